"""Threads, messages, their parts, and the encrypted blobs that hold the mail itself.

Headers that lists and search need are columns, covered by the volume's encryption only; the raw mail
with its bodies and attachments is encrypted under the tenant's key.
"""

from __future__ import annotations

from django.db import models


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


class Thread(models.Model):
    """A conversation, as Gmail groups it. What lists show is kept here, computed from its messages."""

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

    class Meta:
        db_table = "thread"
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "gmail_id"], name="one_thread_per_gmail_id")
        ]
        indexes = [
            models.Index(fields=["-last_message_at", "-id"], name="threads_newest_first"),
            models.Index(
                fields=["-last_message_at", "-id"],
                condition=models.Q(in_inbox=True),
                name="inbox_newest_first",
            ),
        ]

    def __str__(self) -> str:
        return f"thread {self.gmail_id}"


class Message(models.Model):
    """One message of a mailbox.

    `sender` and `recipients` are headers as they stand; `problem` says why a message could not be
    parsed as mail and is shown raw.
    """

    mailbox = models.ForeignKey("gmail.Mailbox", on_delete=models.CASCADE, related_name="messages")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages")
    gmail_id = models.CharField(max_length=32)
    received_at = models.DateTimeField()
    message_id = models.TextField(blank=True, db_index=True)
    references = models.TextField(blank=True)
    sender = models.TextField(blank=True)
    reply_to = models.TextField(blank=True)
    recipients = models.TextField(blank=True)
    copies = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    snippet = models.TextField(blank=True)
    labels = models.JSONField(default=list)
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
        indexes = [models.Index(fields=["thread", "received_at"], name="messages_of_a_thread")]

    def __str__(self) -> str:
        return f"message {self.gmail_id}"


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
