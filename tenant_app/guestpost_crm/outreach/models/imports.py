"""Spreadsheets that are being imported."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SiteImport(models.Model):
    """An uploaded file between its preview and the import; its content goes when it is done."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
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
