"""Writing everything of this tenant into one archive."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from guestpost_crm.environment import current
from guestpost_crm.gmail.models import Label, Mailbox, OutboxMessage
from guestpost_crm.inbox.models import Message
from guestpost_crm.outreach.models import DraftFile
from guestpost_crm.privacy.export import mbox, tables
from guestpost_crm.privacy.export.archive import ArchiveWriter
from guestpost_crm.privacy.export.content import RawMessage, one_snapshot, raw_messages

ARCHIVE = "export.zip"
UNFINISHED = "export.zip.unfinished"
OUTBOX = "mail/outbox.mbox"
_PIECE = 256 * 1024


@dataclass
class Progress:
    """How far an export is.

    Attributes:
        messages: raw messages written, of `total`.
        rows: rows of tables written.
        size: bytes of the archive so far.
    """

    total: int = 0
    messages: int = 0
    rows: int = 0
    size: int = 0


@dataclass
class Summary:
    """A finished archive: where it lies, its checksum, and counts by file."""

    path: Path
    size: int
    sha256: str
    counts: dict[str, int] = field(default_factory=dict)


Tell = Callable[[Progress], None]


def export(folder: Path, tell: Tell = lambda progress: None) -> Summary:
    """Write the archive into a folder; what an interrupted export left there is replaced.

    Args:
        folder: of the export's own volume.
        tell: is told of progress after each message and row.

    Raises:
        DecryptionError: the database holds something that the tenant's key does not open.
        OSError: the volume is full or gone.
    """
    unfinished = folder / UNFINISHED
    with unfinished.open("wb") as target:
        with ArchiveWriter(target, _about()) as archive, transaction.atomic():
            one_snapshot()
            _Export(archive, folder, tell).run()
        target.flush()
        os.fsync(target.fileno())
    unfinished.replace(folder / ARCHIVE)
    counts = {member.name: member.count for member in archive.members}
    return Summary(folder / ARCHIVE, archive.size, archive.sha256, counts)


def mailbox_file(mailbox: Mailbox) -> str:
    """The archive's file for a mailbox's mail."""
    return (
        f"mail/{mailbox.pk}-{''.join(c if c.isalnum() or c in '.@-' else '_' for c in mailbox.address)}.mbox"
    )


def draft_file(key: int, name: str) -> str:
    """The archive's file for a draft."""
    plain = "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in name[-120:])
    return f"drafts/{key}-{plain}"


def _about() -> dict[str, Any]:
    return {
        "tenant": current().tenant_name,
        "tenant_uid": current().tenant_uid,
        "exported_at": timezone.now().astimezone(dt.UTC).isoformat(timespec="seconds"),
        "mail": "mail/*.mbox: every message with its attachments, labels in X-Gmail-Labels (mboxrd)",
        "drafts": "drafts/*: the files that were uploaded for orders, as they are",
        "tables": "tables/*.jsonl: the CRM's records; tables/*.csv: the same for spreadsheets",
    }


class _Export:
    """One run over the tables and mailboxes."""

    def __init__(self, archive: ArchiveWriter, folder: Path, tell: Tell) -> None:
        self._archive = archive
        self._folder = folder
        self._tell = tell
        self._progress = Progress(total=Message.objects.count() + OutboxMessage.objects.count())

    def run(self) -> None:
        for model in tables.exported():
            self._table(model)
        for mailbox in Mailbox.objects.order_by("pk"):
            self._mailbox(mailbox)
        self._outbox()
        self._drafts()

    def _told(self) -> None:
        self._progress.size = self._archive.size
        self._tell(self._progress)

    def _table(self, model: type[Model]) -> None:
        name = f"tables/{model._meta.label_lower}"
        spool = self._folder / "table.unfinished"
        # The database is asked once: the CSV waits on the volume until the JSON Lines are complete.
        with spool.open("wb") as copy, self._archive.member(f"{name}.jsonl") as target:
            copy.write(tables.heading(model))
            for line, row in tables.records(model):
                target.write(line)
                copy.write(row)
                target.count += 1
                self._progress.rows += 1
                self._told()
            count = target.count
        with spool.open("rb") as source, self._archive.member(f"{name}.csv") as target:
            shutil.copyfileobj(source, target, _PIECE)
            target.count = count
        spool.unlink()

    def _mailbox(self, mailbox: Mailbox) -> None:
        names = dict(Label.objects.filter(mailbox=mailbox).values_list("gmail_id", "name"))

        def headers(
            key: int, gmail_id: str, thread: str, labels: list[str], received_at: dt.datetime
        ) -> dict[str, str]:
            return {
                "X-GM-MSGID": gmail_id,
                "X-GM-THRID": thread,
                "X-Gmail-Labels": ", ".join(names.get(label, label) for label in labels),
                "X-GuestPostCRM-Received": received_at.isoformat(),
                "X-GuestPostCRM-Id": str(key),
            }

        columns = ("pk", "gmail_id", "thread__gmail_id", "labels", "received_at")
        messages = raw_messages(Message.objects.filter(mailbox=mailbox), *columns)
        self._mbox(mailbox_file(mailbox), messages, headers)

    def _outbox(self) -> None:
        def headers(key: uuid.UUID, state: str) -> dict[str, str]:
            return {"X-GuestPostCRM-Id": str(key), "X-GuestPostCRM-State": state}

        self._mbox(OUTBOX, raw_messages(OutboxMessage.objects.all(), "pk", "state"), headers)

    def _drafts(self) -> None:
        with closing(raw_messages(DraftFile.objects.all(), "pk", "name")) as drafts:
            for each in drafts:
                with self._archive.member(draft_file(*each.row)) as target:
                    for piece in each.pieces:
                        target.write(piece)
                    target.count = 1
                self._told()

    def _mbox(
        self,
        name: str,
        messages: Generator[RawMessage, None, None],
        headers: Callable[..., dict[str, str]],
    ) -> None:
        with self._archive.member(name) as target, closing(messages):
            for message in messages:
                for piece in mbox.entry(headers(*message.row), message.size, message.pieces):
                    target.write(piece)
                target.count += 1
                self._progress.messages += 1
                self._told()
