"""Notices on their way."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What a notice is about; guestpost_crm.notices.texts has its words."""

    INVITATION = "invitation"
    LINK_LOST = "link-lost"
    MAILBOX_STOPPED = "mailbox-stopped"
    SUPPORT_ASKS = "support-asks"
    ERASURE_ASKED = "erasure-asked"
    ERASURE_TAKEN_BACK = "erasure-taken-back"
    ERASURE_NEAR = "erasure-near"
    EXPORT_DOWNLOADED = "export-downloaded"
    WEBHOOK_STOPPED = "webhook-stopped"
    ROLE_CHANGED = "role-changed"
    ACCESS_ENDED = "access-ended"
    TOKEN_MADE = "token-made"  # noqa: S105 - the name of a notice
    FACTOR_SET_UP = "factor-set-up"
    FACTOR_REMOVED = "factor-removed"
    FACTOR_RESET = "factor-reset"
    FACTOR_LOCKED = "factor-locked"
    CODE_USED = "code-used"


class NoticeState(models.TextChoices):
    """What became of a notice."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Given up")


class Notice(models.Model):
    """One mail to one address. It is written with what it tells of, in one transaction.

    Attributes:
        id: stands in the Message-ID, so that one that is sent twice is known as one.
        person: who gets it; None for somebody who is not here yet.
        address: where to; a person's own at that time.
        subject: what it is about, as in the audit log.
        detail: what its words need: names of people of the team, numbers, days; nothing of mail or records.
        once: one of its kind and moment is enough; empty where there may be many.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Kind])
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    address = models.EmailField(max_length=320)
    language = models.CharField(max_length=10, blank=True)
    subject = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict)
    once = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=10, choices=NoticeState.choices, default=NoticeState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    problem = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    next_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "notice"
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["once"], condition=~models.Q(once=""), name="one_notice_of_a_moment"
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(next_at__isnull=False), name="notices_due"),
            models.Index(fields=["subject"], name="notices_by_subject"),
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"
