"""Spreadsheets that are being imported."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from guestpost_crm.outreach.models.custom import Target


class Spreadsheet(models.Model):
    """An uploaded file between its preview and the import; its content goes when it is done.

    Attributes:
        target: what its lines are.
        made, changed, unchanged: how many records they became.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # Also the table's own default: a program of the version before may still write while this one starts.
    target = models.CharField(
        max_length=10, choices=Target.choices, default=Target.SITE, db_default=Target.SITE.value
    )
    name = models.CharField(max_length=200)
    content = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    made = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "site_import"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"import {self.pk}"
