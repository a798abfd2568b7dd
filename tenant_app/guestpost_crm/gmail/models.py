"""Mailboxes, where their synchronisation stands, and mail to be sent."""

from __future__ import annotations

import datetime as dt
import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guestpost_crm import told
from guestpost_crm.crypto import services as crypto

# So many changes in a row that no notification told of are no chance any more.
NOT_BY_CHANCE = 3


class MailboxState(models.TextChoices):
    """Whether a mailbox may be used."""

    CONNECTED = "connected", _("Connected")
    NEEDS_CONSENT = "needs_consent", _("Needs consent")
    DISCONNECTED = "disconnected", _("Disconnected")


class Mailbox(models.Model):
    """A connected Gmail account.

    Attributes:
        history_id: everything up to this change of the mailbox is stored or queued; None before the
            first listing. A number, never compared as text.
        listing_page: Gmail's token of the listing under way; None when there is none.
        listing: counts full listings; messages that the last one did not name are gone.
        labels_due: history was lost, and the labels of what was here before are still to be compared.
        listing_count, listing_total: ids that it has named so far, and how many it will name, about.
        notified, processed: notifications that came, and those that a sync began after.
        unnoticed: changes found by asking, one after the other, that no notification told of.
        watch_error: why Gmail does not notify, as a word; empty when it does.
        beat_at: when its worker was last known to live.
        looked_at: when history was last read to its end.
        synced_at: when all of the mailbox was here.
        quota_per_minute: units that the account was found to have.
        fetch_rate: messages a minute that were lately fetched.
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
    listing_total = models.PositiveIntegerField(default=0)
    listing_began_at = models.DateTimeField(null=True)
    labels_due = models.BooleanField(default=False, db_default=False)
    notified = models.BigIntegerField(default=0)
    processed = models.BigIntegerField(default=0)
    notified_at = models.DateTimeField(null=True)
    unnoticed = models.PositiveIntegerField(default=0)
    watch_expires_at = models.DateTimeField(null=True)
    watch_error = models.CharField(max_length=60, blank=True)
    beat_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=40, blank=True)
    error_at = models.DateTimeField(null=True)
    compared_at = models.DateTimeField(null=True)
    difference = models.IntegerField(default=0)
    quota_per_minute = models.FloatField(null=True)
    fetch_rate = models.FloatField(null=True)

    class Meta:
        db_table = "mailbox"

    def __str__(self) -> str:
        return f"mailbox {self.pk}"

    @property
    def is_listed(self) -> bool:
        """Whether no listing is under way, neither of messages nor of labels."""
        return self.listing_page is None and not self.labels_due

    @property
    def is_watched(self) -> bool:
        """Whether Gmail tells of changes, as far as is known."""
        expires = self.watch_expires_at
        return expires is not None and expires > timezone.now() and self.unnoticed < NOT_BY_CHANCE

    def keep_token(self, sealed: str) -> None:
        """Set the refresh token, which the broker has sealed and we encrypt once more."""
        self.refresh_token = crypto.encrypt(sealed.encode(), f"mailbox/{self.sub}/refresh-token")

    def token(self) -> str:
        """The sealed refresh token, empty when there is none."""
        if not self.refresh_token:
            return ""
        return crypto.decrypt(bytes(self.refresh_token), f"mailbox/{self.sub}/refresh-token").decode()

    def renew_token(self, sealed: str) -> None:
        """Keep a token that was sealed anew, unless the mailbox was connected or disconnected meanwhile."""
        present = self.refresh_token
        self.keep_token(sealed)
        mine = Mailbox.objects.filter(pk=self.pk, refresh_token=present)
        if not mine.update(refresh_token=self.refresh_token):
            self.refresh_from_db(fields=["refresh_token"])


class FetchItem(models.Model):
    """A message to be fetched. It is written with the cursor that names it, and goes with the message."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="queue")
    gmail_id = models.CharField(max_length=32)
    labels_only = models.BooleanField(default=False)
    live = models.BooleanField(default=False)
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

    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    UNCONFIRMED = "unconfirmed", _("Unconfirmed")
    CANCELLED = "cancelled", _("Taken back")


class OutboxMessage(models.Model):
    """A message that a person instructed us to send, and what became of it.

    Attributes:
        id: travels in a header of the message, so that Gmail can be asked whether it was sent.
        form_key: makes a doubled click one message.
        answers: the message that it answers or forwards.
        problem: what is wrong, as told keeps it.
        send_at: not before this; what the person asked for, or the moment for taking it back.
        not_before: not before this, after a failure.
        attempted_at: when the last call began.
        doubtful_at: since when the last call's effect is not known; it may show for a while from then.
        follow_up_days: remind the person if there is no answer so many days after it was sent.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    form_key = models.UUIDField(unique=True)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.PROTECT, related_name="outbox")
    thread = models.ForeignKey("inbox.Thread", on_delete=models.SET_NULL, null=True, related_name="outbox")
    answers = models.ForeignKey("inbox.Message", on_delete=models.SET_NULL, null=True, related_name="outbox")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    recipients = models.TextField()
    subject = models.TextField(blank=True)
    raw = models.OneToOneField("inbox.Blob", on_delete=models.PROTECT, related_name="outbox")
    state = models.CharField(max_length=12, choices=OutboxState.choices, default=OutboxState.QUEUED)
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    send_at = models.DateTimeField(null=True)
    scheduled = models.BooleanField(default=False)
    follow_up_days = models.PositiveSmallIntegerField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True)
    doubtful_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    gmail_id = models.CharField(max_length=32, blank=True)

    class Meta:
        db_table = "outbox_message"
        indexes = [models.Index(fields=["state", "created_at"], name="outbox_by_state")]

    def __str__(self) -> str:
        return f"outbox {self.pk}"

    @property
    def told(self) -> str:
        """What is wrong, in the language in use; empty when nothing is."""
        return told.shown(self.problem)

    @property
    def due_at(self) -> dt.datetime | None:
        """Nothing is done about it before this; None when it is due."""
        return max((each for each in (self.send_at, self.not_before) if each is not None), default=None)
