"""Counts of events."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Event(models.TextChoices):
    """What is counted. A name says what was done; nothing else about it is kept."""

    SIGN_IN = "sign_in", _("Sign-ins")
    THREAD_OPENED = "thread_opened", _("Conversations opened")
    ATTACHMENT_OPENED = "attachment_opened", _("Attachments opened")
    MESSAGE_INSTRUCTED = "message_instructed", _("Messages sent")
    MAILBOX_CONNECTED = "mailbox_connected", _("Mailboxes connected")
    EXPORT_REQUESTED = "export_requested", _("Exports asked for")


class UsageCount(models.Model):
    """How often an event happened on a day (UTC)."""

    day = models.DateField()
    event = models.CharField(max_length=40, choices=Event.choices)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "usage_count"
        constraints = [models.UniqueConstraint(fields=["day", "event"], name="one_count_a_day")]

    def __str__(self) -> str:
        return f"{self.event} on {self.day}: {self.count}"
