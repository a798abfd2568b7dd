"""Threads, messages, their parts, and the encrypted blobs that hold the mail itself.

Headers that lists and search need are columns, covered by the volume's encryption only; the raw mail
with its bodies and attachments is encrypted under the tenant's key.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from guestpost_crm import told


class Blob(models.Model):
    """A sequence of bytes, stored encrypted in chunks. `size` in bytes."""

    size = models.BigIntegerField(default=0)

    class Meta:
        db_table = "blob"

    def __str__(self) -> str:
        return f"blob {self.pk} of {self.size} bytes"


class BlobChunk(models.Model):
    """One encrypted piece of a blob; its place is authenticated."""

    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        db_table = "blob_chunk"
        constraints = [models.UniqueConstraint(fields=["blob", "index"], name="one_chunk_at_a_place")]

    def __str__(self) -> str:
        return f"chunk {self.index} of blob {self.blob_id}"


VIEWS = {
    "inbox": models.Q(in_inbox=True),
    "unread": models.Q(in_inbox=True, unread=True),
    "unanswered": models.Q(in_inbox=True, last_from_us=False, automatic=False, done=False),
    "waiting": models.Q(hidden=False, last_from_us=True, done=False),
    "starred": models.Q(hidden=False, starred=True),
    "all": models.Q(hidden=False),
    "hidden": models.Q(hidden=True),
}


class Thread(models.Model):
    """A conversation, as Gmail groups it. What lists show is kept here, computed from its messages.

    Attributes:
        last_from_us: the last word of a person in it is ours.
        automatic: nobody wrote any of it by hand: bounces, absence notes, lists.
        hidden: all of it lies in spam or trash.
        done: a person needs nothing more from it, until something new comes.
        follow_up_at: when to remind of it, unless an answer comes after `follow_up_set_at`.
    """

    mailbox = models.ForeignKey("gmail.Mailbox", on_delete=models.CASCADE, related_name="threads")
    gmail_id = models.CharField(max_length=32)
    subject = models.TextField(blank=True)
    snippet = models.TextField(blank=True)
    participants = models.TextField(blank=True)
    last_message_at = models.DateTimeField()
    message_count = models.PositiveIntegerField(default=0)
    unread = models.BooleanField(default=False)
    starred = models.BooleanField(default=False)
    in_inbox = models.BooleanField(default=False)
    has_attachments = models.BooleanField(default=False)
    last_from_us = models.BooleanField(default=False)
    automatic = models.BooleanField(default=False)
    hidden = models.BooleanField(default=False)
    done = models.BooleanField(default=False)
    follow_up_at = models.DateTimeField(null=True)
    follow_up_set_at = models.DateTimeField(null=True)
    follow_up_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)

    class Meta:
        db_table = "thread"
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "gmail_id"], name="one_thread_per_gmail_id")
        ]
        # A list for each view, in its order: no view is searched for.
        indexes = [
            models.Index(
                fields=["-last_message_at", "-id"], condition=VIEWS[name], name=f"threads_{name}_newest"
            )
            for name in VIEWS
        ] + [
            models.Index(
                fields=["follow_up_at", "id"],
                condition=models.Q(follow_up_at__isnull=False),
                name="threads_follow_up_in_order",
            )
        ]

    def __str__(self) -> str:
        return f"thread {self.gmail_id}"


class Message(models.Model):
    """One message of a mailbox.

    Attributes:
        sender, recipients, copies: headers as they stand.
        problem: why a message could not be parsed as mail and is shown raw, as told keeps it.
        automatic: nobody wrote it by hand.
        search: its words, found by guestpost_crm.inbox.search; None when they are still to be found.
    """

    mailbox = models.ForeignKey("gmail.Mailbox", on_delete=models.CASCADE, related_name="messages")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages")
    gmail_id = models.CharField(max_length=32)
    received_at = models.DateTimeField()
    message_id = models.TextField(blank=True)
    references = models.TextField(blank=True)
    sender = models.TextField(blank=True)
    reply_to = models.TextField(blank=True)
    recipients = models.TextField(blank=True)
    copies = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    snippet = models.TextField(blank=True)
    labels = models.JSONField(default=list)
    has_attachments = models.BooleanField(default=False)
    automatic = models.BooleanField(default=False)
    search = SearchVectorField(null=True)
    size = models.BigIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)
    raw = models.OneToOneField(Blob, on_delete=models.PROTECT, related_name="message")
    listed_in = models.PositiveIntegerField(default=0)
    stored_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "message"
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "gmail_id"], name="one_message_per_gmail_id")
        ]
        indexes = [
            models.Index(fields=["thread", "received_at"], name="messages_of_a_thread"),
            models.Index(fields=["-received_at", "-id"], name="messages_newest_first"),
            models.Index(
                fields=["-received_at", "-id"],
                condition=models.Q(has_attachments=True),
                name="attachments_newest_first",
            ),
            GinIndex(fields=["search"], name="messages_by_word"),
            GinIndex(OpClass("labels", name="jsonb_path_ops"), name="messages_by_label"),
            models.Index(fields=["id"], condition=models.Q(search=None), name="messages_not_searchable"),
        ]

    def __str__(self) -> str:
        return f"message {self.gmail_id}"

    @property
    def told(self) -> str:
        """Its problem in the language in use; empty when there is none."""
        return told.shown(self.problem)


class Part(models.Model):
    """A leaf of a message's MIME tree: where its body lies in the raw message, and how it is encoded."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="parts")
    index = models.PositiveIntegerField()
    content_type = models.CharField(max_length=200)
    charset = models.CharField(max_length=60, blank=True)
    encoding = models.CharField(max_length=40, blank=True)
    filename = models.TextField(blank=True)
    content_id = models.TextField(blank=True)
    is_attachment = models.BooleanField(default=False)
    start = models.BigIntegerField()
    end = models.BigIntegerField()

    class Meta:
        db_table = "part"
        ordering = ("index",)
        constraints = [models.UniqueConstraint(fields=["message", "index"], name="one_part_at_a_place")]

    def __str__(self) -> str:
        return f"part {self.index} of message {self.message_id}"

    @property
    def size(self) -> int:
        """Of its content in bytes, about."""
        encoded = self.end - self.start
        return encoded * 3 // 4 if self.encoding == "base64" else encoded
