"""A message taken out of Gmail's JSON while it comes, however the network cuts it."""

from __future__ import annotations

import base64
import io
import json
import threading
from itertools import pairwise
from typing import Any

import pytest
from guestpost_crm.gmail import transfer
from guestpost_crm.gmail.errors import TooLargeError
from guestpost_crm.gmail.transfer import IN_MEMORY, Content, RawAnswer
from hypothesis import given
from hypothesis import strategies as st

FIELDS = st.fixed_dictionaries(
    {"id": st.text(max_size=20), "snippet": st.text(max_size=80), "labelIds": st.lists(st.text(max_size=9))}
)


def read(answer: bytes, cuts: list[int], most: int = 1 << 30) -> tuple[dict[str, Any], bytes]:
    content = io.BytesIO()
    reader = RawAnswer(content, most)
    edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    for begin, end in pairwise(edges):
        reader.feed(answer[begin:end])
    return reader.finish(), content.getvalue()


@given(FIELDS, st.binary(max_size=500), st.lists(st.integers(0, 1200), max_size=12), st.data())
def test_it_is_the_same_however_it_is_cut(
    fields: dict[str, Any], raw: bytes, cuts: list[int], data: st.DataObject
) -> None:
    encoded = base64.urlsafe_b64encode(raw).decode()
    if data.draw(st.booleans()):
        encoded = encoded.rstrip("=")
    items = [*fields.items(), ("raw", encoded)]
    order = dict(data.draw(st.permutations(items)))
    answer = json.dumps(
        order, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.none() | st.just(1))
    )
    if data.draw(st.booleans()):
        answer = answer.replace("=", "\\u003d")
        fields = json.loads(json.dumps(fields))
    assert read(answer.encode("utf-8", "surrogatepass"), cuts) == (fields, raw)


@given(st.lists(st.integers(0, 200), max_size=8))
def test_a_snippet_that_looks_like_the_name_is_none(cuts: list[int]) -> None:
    fields = {"snippet": 'he said "raw": "AAAA" and \\ "raw"', "id": "raw"}
    answer = json.dumps({**fields, "raw": "eHl6"}).encode()
    assert read(answer, cuts) == (fields, b"xyz")


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b'{"raw": "eHl6', b'{"raw": "eHl6"', b'{"raw": "e"}', b'{"raw": "eH!6"}', b"[]", b"null",
     b'{"raw": "eHl6", "id": }'],
)  # fmt: skip
def test_what_is_not_whole_is_no_message(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(answer, [])


def test_what_is_too_large_is_refused_while_it_comes() -> None:
    with pytest.raises(TooLargeError):
        read(b'{"raw": "' + b"AAAA" * 1000, [100, 500], most=300)
    with pytest.raises(TooLargeError):
        read(b'{"snippet": "' + b"x" * (2 << 20), list(range(0, 2 << 20, 65536)))


def test_of_all_messages_one_lies_on_disk() -> None:
    """However many arrive at once, the folder for temporary files holds one large message."""
    first, second, small = Content(), Content(), Content()
    large = b"x" * (IN_MEMORY + 1)
    first.write(large)
    written = threading.Event()

    def other() -> None:
        second.write(large)
        written.set()

    waiting = threading.Thread(target=other)
    waiting.start()
    small.write(b"x" * IN_MEMORY)
    assert not written.wait(0.05)
    first.close()
    first.close()
    assert written.wait(10)
    waiting.join(10)
    second.seek(0)
    assert second.read() == large
    second.close()
    small.close()


def test_nobody_waits_for_the_disk_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_TURN", 0.01)
    large = b"x" * (IN_MEMORY + 1)
    first, second = Content(), Content()
    first.write(large)
    with pytest.raises(TimeoutError):
        second.write(large)
    second.close()
    first.close()
    after = Content()
    after.write(large)
    after.close()


def test_what_can_not_be_written_lets_the_next_one_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        content = Content()
        with pytest.raises(OSError, match="No space"):
            content.write(b"x" * (IN_MEMORY + 1))
        content.close()
    after = Content()
    after.write(b"x" * (IN_MEMORY + 1))
    after.close()
