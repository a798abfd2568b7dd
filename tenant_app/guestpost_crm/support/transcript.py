"""A terminal's transcript for people: text alone, without what moves a cursor or changes colours."""

from __future__ import annotations

import re

from guestpost_crm.support.models import ShellSession

# ECMA-48: control sequences, then strings that end in ST or BEL, then other escapes, then other controls.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)|\x1b[ -/]*[0-~]|[\x00-\x07\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)
MOST = 2_000_000


def plain(text: str) -> str:
    """The text that a person would read, with lines as they were; a backspace takes a character back."""
    text = _ESCAPES.sub(lambda found: found[0] if found[0] == "\r" else "", text)
    lines = [_overwritten(line) for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join(_taken_back(line) for line in lines)


def _overwritten(line: str) -> str:
    """After a carriage return a line is written over; what was there is kept before it, for it was seen."""
    return "\n".join(part for part in line.split("\r") if part) if "\r" in line else line


def _taken_back(line: str) -> str:
    while "\b" in line:
        line = re.sub(r"[^\b]\x08|^\x08+", "", line)
    return line


def lines(session: ShellSession, kind: str) -> tuple[list[str], bool]:
    """What was shown or typed, and whether that is only its beginning."""
    pieces, size = [], 0
    texts = session.pieces.filter(kind=kind).order_by("index").values_list("text", flat=True)
    for text in texts.iterator():
        pieces.append(text)
        size += len(text)
        if size > MOST:
            break
    return plain("".join(pieces)[:MOST]).split("\n"), size > MOST
