"""mbox: whatever a message holds and however it is cut into pieces, it comes back byte for byte."""

from __future__ import annotations

import io
import itertools
import mailbox
from pathlib import Path

import pytest
from guestpost_crm.privacy.export import mbox
from hypothesis import given
from hypothesis import strategies as st

LINES = st.sampled_from(
    [
        b"From ",
        b"From x\n",
        b">From y\n",
        b">>From \r\n",
        b" From z\n",
        b"\n",
        b"\r\n",
        b"Fro",
        b"m ",
        b"text",
    ]
)
MESSAGE = st.lists(st.one_of(LINES, st.binary(max_size=30)), max_size=30).map(b"".join)


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    return [raw[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(st.tuples(MESSAGE, st.lists(st.integers(0, 400), max_size=8)), max_size=5))
def test_messages_come_back(messages: list[tuple[bytes, list[int]]]) -> None:
    written = io.BytesIO()
    for number, (raw, cuts) in enumerate(messages):
        for piece in mbox.entry({"X-Number": str(number)}, len(raw), pieces(raw, cuts)):
            written.write(piece)
    written.seek(0)
    found = [(entry.headers, entry.content.read()) for entry in mbox.read(written)]
    assert found == [({"X-Number": str(number)}, raw) for number, (raw, _) in enumerate(messages)]


def test_a_line_longer_than_any_buffer_comes_back() -> None:
    raw = b"From " + b"y" * 300_000 + b"From \nFrom here\n"
    written = io.BytesIO(b"".join(mbox.entry({}, len(raw), pieces(raw, [70_000, 140_003, 300_000]))))
    assert [entry.content.read() for entry in mbox.read(written)] == [raw]


def test_other_programs_read_it(tmp_path: Path) -> None:
    raw = b"Subject: Rates\r\nFrom: a@x.example\r\n\r\nFrom here on it costs 120 USD.\r\n"
    path = tmp_path / "mail.mbox"
    labels = {"X-Gmail-Labels": "INBOX, Prices\nX-Evil: 1"}
    path.write_bytes(b"".join(mbox.entry(labels, len(raw), [raw])) * 2)
    box = mailbox.mbox(path)
    assert len(box) == 2
    assert (box[0]["Subject"], box[0]["X-Gmail-Labels"]) == ("Rates", "INBOX, Prices X-Evil: 1")
    assert box[0]["X-Evil"] is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"no separator\n", "a From_ line was expected"),
        (b"".join(mbox.entry({}, 5, [b"hello"]))[:-4], "cut off"),
        (b"".join(mbox.entry({}, 5, [b"hello"])).replace(b": 5", b": x"), "no number"),
        (b"".join(mbox.entry({}, 5, [b"hello"])).replace(b"X-GuestPostCRM-Size: 5\n", b"\n"), "no size"),
    ],
)
def test_what_is_no_mbox_of_ours_is_refused(content: bytes, what: str) -> None:
    with pytest.raises(mbox.MboxError, match=what):
        list(mbox.read(io.BytesIO(content)))
