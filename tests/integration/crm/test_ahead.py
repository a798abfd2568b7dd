"""Downloading ahead: in order, one call at a time, and nothing left over whatever happens meanwhile."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone


class Gmail:
    """Answers at once, unless an item's id says otherwise; counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.contents: list[io.BytesIO] = []
        self._under_way = threading.Lock()

    def message(self, identifier: str, *, background: bool) -> Any:
        from guestpost_crm.gmail import errors
        from guestpost_crm.gmail.api import RawMessage

        assert self._under_way.acquire(blocking=False), "two calls at once"
        try:
            self.asked.append(identifier)
            if identifier.startswith("gone"):
                raise errors.NotFoundError
            if identifier.startswith("limit"):
                raise errors.RateLimitedError(1.0)
            if identifier.startswith("bug"):
                raise ZeroDivisionError
            content = io.BytesIO(identifier.encode())
            self.contents.append(content)
            return RawMessage(identifier, "t", ("INBOX",), timezone.now(), content, len(identifier))
        finally:
            self._under_way.release()

    def message_labels(self, identifier: str) -> tuple[str, ...]:
        self.asked.append(identifier)
        return ("INBOX", "UNREAD")


def items(*names: str) -> list[Any]:
    from guestpost_crm.gmail.models import FetchItem

    return [FetchItem(gmail_id=name, labels_only=name.startswith("labels")) for name in names]


def test_what_comes_is_in_order_and_errors_of_one_message_end_nothing(crm: None) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    gmail: Any = Gmail()
    with downloaded(gmail, items("a", "gone", "labels", "b"), lambda: False, 5) as results:
        found = list(results)
    assert [each.item.gmail_id for each in found if each] == ["a", "gone", "labels", "b"]
    assert [type(each.error).__name__ for each in found if each] == [
        "NoneType", "NotFoundError", "NoneType", "NoneType",
    ]  # fmt: skip
    assert found[2] is not None
    assert found[2].labels == ("INBOX", "UNREAD")


def test_after_an_error_of_the_mailbox_nothing_more_is_asked(crm: None) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    gmail: Any = Gmail()
    with downloaded(gmail, items("a", "limit", "b"), lambda: False, 5) as results:
        found = list(results)
    assert [each.item.gmail_id for each in found if each] == ["a", "limit"]
    assert gmail.asked == ["a", "limit"]


@pytest.mark.parametrize("where", ["in Gmail", "in the items"])
def test_what_is_no_answer_of_gmails_is_raised_where_the_items_are_handled(crm: None, where: str) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    def broken() -> Iterator[Any]:
        yield from items("a")
        raise ZeroDivisionError

    gmail: Any = Gmail()
    given = items("a", "bug", "b") if where == "in Gmail" else broken()
    with downloaded(gmail, given, lambda: False, 5) as results:
        first = next(results)
        assert first is not None
        assert first.item.gmail_id == "a"
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_it_ends_also_when_its_connection_to_the_database_can_not_be_closed(
    crm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.gmail import ahead

    class Connection:
        def close(self) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(ahead, "connection", Connection())
    gmail: Any = Gmail()
    with ahead.downloaded(gmail, items("a"), lambda: False, 20) as results:
        assert next(results) is not None
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_who_gives_up_leaves_no_thread_and_no_open_file(crm: None) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    gmail: Any = Gmail()
    before = threading.active_count()
    many = items(*(str(number) for number in range(200)))

    def leave() -> None:
        with downloaded(gmail, many, lambda: False, 5) as results:
            first = next(results)
            assert first is not None
            first.close()
            raise KeyError

    with pytest.raises(KeyError):
        leave()
    assert threading.active_count() == before
    assert all(content.closed for content in gmail.contents)
    assert len(gmail.asked) < 60, "it runs far ahead"


def test_it_stops_when_it_is_told_to_and_gives_what_it_has(crm: None) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    gmail: Any = Gmail()
    with downloaded(gmail, items("a", "b", "c"), lambda: len(gmail.asked) == 2, 5) as results:
        assert len(list(results)) == 2
    assert gmail.asked == ["a", "b"]


def test_in_a_pause_it_says_so(crm: None) -> None:
    from guestpost_crm.gmail.ahead import downloaded

    goes_on = threading.Event()

    def slow() -> Iterator[Any]:
        yield from items("a")
        goes_on.wait(10)
        yield from items("b")

    gmail: Any = Gmail()
    with downloaded(gmail, slow(), lambda: False, 0.01) as results:
        assert next(results) is not None
        assert next(results) is None
        goes_on.set()
        assert [each.item.gmail_id for each in results if each] == ["b"]
