"""Mailboxes, where their synchronisation stands, and mail to be sent."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from guestpost_crm.crypto import services as crypto


class MailboxState(models.TextChoices):
    """Whether a mailbox may be used."""

    CONNECTED = "connected", "Connected"
    NEEDS_CONSENT = "needs_consent", "Needs consent"
    DISCONNECTED = "disconnected", "Disconnected"


class Mailbox(models.Model):
    """A connected Gmail account.

    Attributes:
        history_id: everything up to this change of the mailbox is stored or queued; None before the
            first listing. A number, never compared as text.
        listing_page: Gmail's token of the listing under way; None when there is none.
        listing: counts full listings; messages that the last one did not name are gone.
        notified, processed: notifications that came, and those that a sync began after.
    """

    sub = models.CharField(max_length=255, unique=True)
    address = models.EmailField(max_length=320)
    state = models.CharField(max_length=15, choices=MailboxState.choices, default=MailboxState.CONNECTED)
    refresh_token = models.BinaryField(null=True)
    connected_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    connected_at = models.DateTimeField()
    history_id = models.BigIntegerField(null=True)
    listing = models.PositiveIntegerField(default=0)
    listing_page = models.TextField(null=True)  # noqa: DJ001 - None and "" mean different things
    listing_count = models.PositiveIntegerField(default=0)
    notified = models.BigIntegerField(default=0)
    processed = models.BigIntegerField(default=0)
    watch_expires_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=40, blank=True)
    error_at = models.DateTimeField(null=True)
    compared_at = models.DateTimeField(null=True)
    difference = models.IntegerField(default=0)

    class Meta:
        db_table = "mailbox"

    def __str__(self) -> str:
        return f"mailbox {self.pk}"

    def keep_token(self, sealed: str) -> None:
        """Set the refresh token, which the broker has sealed and we encrypt once more."""
        self.refresh_token = crypto.encrypt(sealed.encode(), f"mailbox/{self.sub}/refresh-token")

    def token(self) -> str:
        """The sealed refresh token, empty when there is none."""
        if not self.refresh_token:
            return ""
        return crypto.decrypt(bytes(self.refresh_token), f"mailbox/{self.sub}/refresh-token").decode()


class FetchItem(models.Model):
    """A message to be fetched. It is written with the cursor that names it, and goes with the message."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="queue")
    gmail_id = models.CharField(max_length=32)
    labels_only = models.BooleanField(default=False)
    live = models.BooleanField(default=False)
    listing = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    error = models.CharField(max_length=60, blank=True)

    class Meta:
        db_table = "fetch_item"
        constraints = [models.UniqueConstraint(fields=["mailbox", "gmail_id"], name="queued_once")]
        indexes = [models.Index(fields=["mailbox", "-live", "id"], name="queue_in_order")]

    def __str__(self) -> str:
        return f"fetch {self.gmail_id}"


class Label(models.Model):
    """A label of a mailbox, by Gmail's id."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="labels")
    gmail_id = models.CharField(max_length=200)
    name = models.TextField()

    class Meta:
        db_table = "label"
        constraints = [models.UniqueConstraint(fields=["mailbox", "gmail_id"], name="one_label_per_gmail_id")]

    def __str__(self) -> str:
        return self.name


class OutboxState(models.TextChoices):
    """What is known of a message that somebody wanted sent."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    UNCONFIRMED = "unconfirmed", "Unconfirmed"


class OutboxMessage(models.Model):
    """A message that a person instructed us to send, and what became of it.

    `id` travels in a header of the message, so that Gmail can be asked whether it was sent.
    `form_key` makes a doubled click one message.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    form_key = models.UUIDField(unique=True)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.PROTECT, related_name="outbox")
    thread = models.ForeignKey("inbox.Thread", on_delete=models.SET_NULL, null=True, related_name="outbox")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    recipients = models.TextField()
    subject = models.TextField(blank=True)
    raw = models.OneToOneField("inbox.Blob", on_delete=models.PROTECT, related_name="outbox")
    state = models.CharField(max_length=12, choices=OutboxState.choices, default=OutboxState.QUEUED)
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    gmail_id = models.CharField(max_length=32, blank=True)

    class Meta:
        db_table = "outbox_message"
        indexes = [models.Index(fields=["state", "created_at"], name="outbox_by_state")]

    def __str__(self) -> str:
        return f"outbox {self.pk}"
