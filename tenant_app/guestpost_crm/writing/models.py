"""Texts that are written again and again."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class MessageTemplate(models.Model):
    """A text with blanks, which are filled for the conversation that it is used in."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    body = models.TextField(_("text"), max_length=50_000)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "message_template"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
