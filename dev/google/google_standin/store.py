"""Mailboxes: accounts, messages and the history of their changes, in SQLite on a temporary file.

Ids are like Gmail's: sixteen hexadecimal digits for messages and threads, growing decimal numbers
for history (https://developers.google.com/workspace/gmail/api/guides/sync).
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google_standin.mime import Index

_SCHEMA = """
CREATE TABLE account (
  email TEXT PRIMARY KEY, sub TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  history INTEGER NOT NULL, floor INTEGER NOT NULL, labels TEXT NOT NULL
) STRICT;
CREATE TABLE message (
  account TEXT NOT NULL, id TEXT NOT NULL, thread TEXT NOT NULL, date INTEGER NOT NULL,
  history INTEGER NOT NULL, labels TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL,
  sender TEXT NOT NULL, snippet TEXT NOT NULL, size INTEGER NOT NULL, raw BLOB NOT NULL,
  PRIMARY KEY (account, id)
) STRICT;
CREATE INDEX message_by_date ON message (account, date DESC, id DESC);
CREATE INDEX message_by_thread ON message (account, thread, date);
CREATE INDEX message_by_message_id ON message (account, message_id);
CREATE TABLE history (
  account TEXT NOT NULL, id INTEGER NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL,
  thread TEXT NOT NULL, labels TEXT NOT NULL, changed TEXT NOT NULL
) STRICT;
CREATE INDEX history_by_id ON history (account, id);
"""
_COLUMNS = "id, thread, date, history, labels, message_id, subject, sender, snippet, size"


class UnknownAccountError(LookupError):
    """No such account."""


class UnknownMessageError(LookupError):
    """No such message in this account."""


@dataclass(frozen=True)
class Account:
    """A Google account and where its mailbox stands.

    Attributes:
        history: id of the newest change.
        floor: changes up to this id are forgotten.
        user_labels: label name by label id.
    """

    email: str
    sub: str
    name: str
    history: int
    floor: int
    user_labels: dict[str, str]


@dataclass(frozen=True)
class Message:
    """A message without its content. `date` is in milliseconds since the epoch."""

    id: str
    thread: str
    date: int
    history: int
    labels: tuple[str, ...]
    message_id: str
    subject: str
    sender: str
    snippet: str
    size: int


@dataclass(frozen=True)
class Change:
    """One history record: `kind` is messagesAdded, messagesDeleted, labelsAdded or labelsRemoved."""

    id: int
    kind: str
    message: str
    thread: str
    labels: tuple[str, ...]
    changed: tuple[str, ...]


class Store:
    """All mailboxes. Used from one thread at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="google-standin-")
        self._db = sqlite3.connect(Path(self._folder.name) / "mail.db", check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        # As Gmail's do, ids begin with the time: after a restart, which forgets all mail, none comes twice.
        self._started = int(time.time() * 1000)
        self._next_id = self._started << 20

    def close(self) -> None:
        """Forget everything."""
        self._db.close()
        self._folder.cleanup()

    def put_account(self, email: str, name: str, sub: str | None, history: int | None) -> Account:
        """Create an account, or change its name; `history` sets where a new mailbox's ids begin."""
        email, begins = email.lower(), history or self._started
        fresh = (email, sub or str(110_000_000_000_000_000_000 + self._count()), name, begins, begins)
        self._db.execute(
            "INSERT INTO account VALUES (?, ?, ?, ?, ?, '{}')"
            " ON CONFLICT (email) DO UPDATE SET name = excluded.name",
            fresh,
        )
        return self.account(email)

    def _count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM account").fetchone()[0])

    def account(self, email: str) -> Account:
        """One account (UnknownAccountError)."""
        row = self._db.execute("SELECT * FROM account WHERE email = ?", (email.lower(),)).fetchone()
        if row is None:
            raise UnknownAccountError(email)
        address, sub, name, history, floor, labels = row
        return Account(address, sub, name, history, floor, json.loads(labels))

    def accounts(self) -> list[Account]:
        """All accounts."""
        rows = self._db.execute("SELECT email FROM account ORDER BY email").fetchall()
        return [self.account(row[0]) for row in rows]

    def label_id(self, email: str, name: str) -> str:
        """The id of a user's label, which is made when it is new."""
        account = self.account(email)
        for key, known in account.user_labels.items():
            if known == name:
                return key
        key = f"Label_{len(account.user_labels) + 1}"
        labels = json.dumps({**account.user_labels, key: name})
        self._db.execute("UPDATE account SET labels = ? WHERE email = ?", (labels, account.email))
        return key

    def expire_history(self, email: str) -> None:
        """Forget every change so far, as Gmail does after about a week."""
        self._db.execute("UPDATE account SET floor = history WHERE email = ?", (email.lower(),))
        self._db.execute("DELETE FROM history WHERE account = ?", (email.lower(),))

    def _advance(self, email: str) -> int:
        self._db.execute("UPDATE account SET history = history + 1 WHERE email = ?", (email,))
        return self.account(email).history

    def add(
        self,
        email: str,
        raw: bytes,
        *,
        labels: Iterable[str],
        date: int,
        thread: str | None,
        index: Index,
    ) -> Message:
        """Put a message into a mailbox; without `thread` it begins one of its own."""
        email = self.account(email).email
        self._next_id += 0x1001
        identifier = f"{self._next_id:016x}"
        history = self._advance(email)
        thread = thread or identifier
        chosen = tuple(dict.fromkeys(labels))
        self._db.execute(
            "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                email, identifier, thread, date, history, json.dumps(chosen), index.message_id, index.subject,
                index.sender, index.snippet, len(raw), raw,
            ),
        )  # fmt: skip
        self._record(email, history, "messagesAdded", identifier, thread, chosen, ())
        return self.message(email, identifier)

    def _record(
        self,
        email: str,
        history: int,
        kind: str,
        message: str,
        thread: str,
        labels: Iterable[str],
        changed: Iterable[str],
    ) -> None:
        self._db.execute(
            "INSERT INTO history VALUES (?,?,?,?,?,?,?)",
            (email, history, kind, message, thread, json.dumps([*labels]), json.dumps([*changed])),
        )

    def message(self, email: str, identifier: str) -> Message:
        """One message without its content (UnknownMessageError)."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM message WHERE account = ? AND id = ?",  # noqa: S608 - our own columns
            (email.lower(), identifier),
        ).fetchone()
        if row is None:
            raise UnknownMessageError(identifier)
        return _message(row)

    def raw(self, email: str, identifier: str) -> bytes:
        """A message's content (UnknownMessageError)."""
        row = self._db.execute(
            "SELECT raw FROM message WHERE account = ? AND id = ?", (email.lower(), identifier)
        ).fetchone()
        if row is None:
            raise UnknownMessageError(identifier)
        return bytes(row[0])

    def messages(self, email: str, where: str = "", values: Iterable[Any] = ()) -> Iterator[Message]:
        """Messages, the newest first; `where` is a condition on the table's columns."""
        condition = f" AND {where}" if where else ""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM message WHERE account = ?{condition} ORDER BY date DESC, id DESC",  # noqa: S608
            (email.lower(), *values),
        )
        return map(_message, rows)

    def counts(self, email: str, label: str = "") -> tuple[int, int]:
        """How many messages and threads there are, of all or of one label."""
        row = self._db.execute(
            "SELECT count(*), count(DISTINCT thread) FROM message"
            " WHERE account = ? AND (? = '' OR labels LIKE ?)",
            (email.lower(), label, f"%{json.dumps(label)}%"),
        ).fetchone()
        return int(row[0]), int(row[1])

    def older(self, email: str, page: str) -> Iterator[Message]:
        """Messages after the one that a page token names, the newest first; from the beginning without one.

        A token names a place and no number, so that mail which arrives or goes meanwhile moves nothing.
        """
        if not page:
            return self.messages(email)
        date, _, identifier = page.partition("-")
        return self.messages(email, "(date, id) < (?, ?)", [int(date), identifier])

    def relabel(self, email: str, identifier: str, add: Iterable[str], remove: Iterable[str]) -> Message:
        """Change a message's labels (UnknownMessageError)."""
        message = self.message(email, identifier)
        added = [label for label in dict.fromkeys(add) if label not in message.labels]
        removed = [label for label in dict.fromkeys(remove) if label in message.labels]
        labels = [label for label in message.labels if label not in removed] + added
        for kind, changed in (("labelsAdded", added), ("labelsRemoved", removed)):
            if changed:
                history = self._advance(email.lower())
                self._db.execute(
                    "UPDATE message SET labels = ?, history = ? WHERE account = ? AND id = ?",
                    (json.dumps(labels), history, email.lower(), identifier),
                )
                self._record(email.lower(), history, kind, identifier, message.thread, labels, changed)
        return self.message(email, identifier)

    def delete(self, email: str, identifier: str) -> None:
        """Remove a message for good (UnknownMessageError)."""
        message = self.message(email, identifier)
        self._db.execute("DELETE FROM message WHERE account = ? AND id = ?", (email.lower(), identifier))
        history = self._advance(email.lower())
        self._record(
            email.lower(), history, "messagesDeleted", identifier, message.thread, message.labels, ()
        )

    def changes(self, email: str, after: int, limit: int) -> list[Change]:
        """History records with an id greater than `after`, the oldest first."""
        rows = self._db.execute(
            "SELECT id, kind, message, thread, labels, changed FROM history"
            " WHERE account = ? AND id > ? ORDER BY id LIMIT ?",
            (email.lower(), after, limit),
        ).fetchall()
        return [
            Change(identifier, kind, message, thread, tuple(json.loads(labels)), tuple(json.loads(changed)))
            for identifier, kind, message, thread, labels, changed in rows
        ]


def _message(row: Any) -> Message:
    identifier, thread, date, history, labels, *rest = row
    return Message(identifier, thread, date, history, tuple(json.loads(labels)), *rest)
