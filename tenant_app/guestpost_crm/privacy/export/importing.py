"""An archive back into an empty tenant: the same records, the same mail, byte for byte."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.core import serializers
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Model

from guestpost_crm.gmail.models import Mailbox, MailboxState, OutboxMessage
from guestpost_crm.inbox import services as inbox
from guestpost_crm.inbox import storage
from guestpost_crm.inbox.models import Message
from guestpost_crm.outreach.models import DraftFile
from guestpost_crm.privacy.export import mbox, tables
from guestpost_crm.privacy.export.archive import ArchiveError, ArchiveReader
from guestpost_crm.privacy.export.exporting import OUTBOX, draft_file, mailbox_file

# Their contents are files of their own in the archive.
_WITH_FILES: tuple[type[Model], ...] = (Message, OutboxMessage, DraftFile)


def import_archive(path: Path) -> dict[str, int]:
    """Read an archive into a tenant that has nothing yet; all of it or nothing.

    Args:
        path: of the archive.

    Returns:
        The number of records by file.

    Raises:
        ArchiveError: the archive is damaged, or this tenant is not empty.
    """
    with ArchiveReader(path) as archive:
        archive.verify()
        _require_empty()
        with transaction.atomic():
            for model in tables.exported():
                if model not in _WITH_FILES:
                    _load(archive, model)
            # Consents belong to the server that they were given to.
            Mailbox.objects.update(state=MailboxState.NEEDS_CONSENT)
            _load_messages(archive)
            _load_outbox(archive)
            _load_drafts(archive)
            _reset_sequences()
        return {member.name: member.count for member in archive.members}


def _require_empty() -> None:
    for model in tables.exported():
        if model._default_manager.exists():
            what = model._meta.verbose_name_plural
            raise ArchiveError(f"this tenant is not empty, it has {what}; import into a new tenant")


def _lines(archive: ArchiveReader, model: type[Model]) -> Iterator[Any]:
    """The records of a table, one after the other; a table that the archive does not know has none."""
    name = f"tables/{model._meta.label_lower}.jsonl"
    if name not in {member.name for member in archive.members}:
        return
    with archive.open(name) as source:
        for line in io.TextIOWrapper(source, encoding="utf-8"):
            # In a list: a text Django would cut again, at what Unicode calls line breaks too.
            yield from serializers.deserialize("jsonl", [line])


def _load(archive: ArchiveReader, model: type[Model]) -> None:
    for record in _lines(archive, model):
        record.save()


def _load_messages(archive: ArchiveReader) -> None:
    """In the table messages lie by key, in the mboxes by mailbox and key: all mboxes are read in parallel."""
    with ExitStack() as stack:
        boxes = {
            mailbox.pk: mbox.read(stack.enter_context(archive.open(mailbox_file(mailbox))))
            for mailbox in Mailbox.objects.all()
        }
        for record in _lines(archive, Message):
            message: Message = record.object
            entry = _next(boxes[message.mailbox_id], message.pk)
            message.raw = storage.write(entry)
            entry.seek(0)
            record.save()
            inbox.keep_parts(message, entry)


def _load_outbox(archive: ArchiveReader) -> None:
    with archive.open(OUTBOX) as source:
        entries = mbox.read(source)
        for record in _lines(archive, OutboxMessage):
            record.object.raw = storage.write(_next(entries, record.object.pk))
            record.save()


def _load_drafts(archive: ArchiveReader) -> None:
    for record in _lines(archive, DraftFile):
        file: DraftFile = record.object
        name = draft_file(file.pk, file.name)
        with archive.open(name) as source, tempfile.SpooledTemporaryFile(max_size=1 << 20) as copy:
            shutil.copyfileobj(source, copy)
            copy.seek(0)
            file.raw = storage.write(copy)
        record.save()


def _next(entries: Iterator[mbox.Entry], key: object) -> IO[bytes]:
    """The next message of an mbox, which has to be the one of this key."""
    try:
        entry = next(entries)
    except (StopIteration, mbox.MboxError) as error:
        raise ArchiveError(f"the mail of record {key} is missing: {error}") from None
    if entry.headers.get("X-GuestPostCRM-Id") != str(key):
        raise ArchiveError(f"the mail of record {key} is not where it should be")
    return entry.content


def _reset_sequences() -> None:
    """Let new records get keys after the imported ones."""
    models = tables.exported()
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
