"""Drafts that were uploaded for an order."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from guestpost_crm.outreach.models.orders import Order


class DraftFile(models.Model):
    """A file that is a draft of an order's text; `raw` is its content, encrypted as mail is."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="draft_files")
    name = models.CharField(max_length=255)
    raw = models.OneToOneField("inbox.Blob", on_delete=models.PROTECT, related_name="draft")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "draft_file"
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return self.name
