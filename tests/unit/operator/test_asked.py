"""What people ask for, as the watch tells it: old news, lost deletions, and the order."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_operator.asked import Asked


def obj(
    name: str, version: int, namespace: str = "gpt-acme", uid: str = "", at: str = "10"
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": f"2026-11-24T12:00:{at}Z",
    }
    return {"kind": "TenantExport", "metadata": metadata}


def named(asked: Asked, namespace: str = "gpt-acme") -> list[str]:
    return [each["metadata"]["name"] for each in asked.of("TenantExport", namespace)]


def test_the_oldest_comes_first_and_namespaces_are_apart() -> None:
    asked = Asked()
    assert asked.observe(obj("b", 1, at="30")) == {"gpt-acme"}
    assert asked.observe(obj("c", 2, at="20")) == {"gpt-acme"}
    assert asked.observe(obj("a", 3, namespace="gpt-beta")) == {"gpt-beta"}
    assert named(asked) == ["c", "b"]
    assert named(asked, "gpt-beta") == ["a"]
    assert asked.of("TenantRequest", "gpt-acme") == []


def test_old_news_change_nothing() -> None:
    asked = Asked()
    asked.observe(obj("a", 5))
    assert asked.observe(obj("a", 5)) == set()
    assert asked.observe(obj("a", 4)) == set()
    assert asked.forget(obj("a", 4, uid="of one before")) == set()
    assert named(asked) == ["a"]
    assert asked.forget(obj("a", 6)) == {"gpt-acme"}
    assert asked.forget(obj("a", 6)) == set()
    assert named(asked) == []


def test_what_a_list_does_not_hold_is_gone_unless_it_is_newer() -> None:
    asked = Asked()
    for each in (obj("kept", 1), obj("gone", 2), obj("newer", 9), obj("other", 3, namespace="gpt-beta")):
        asked.observe(each)
    assert asked.keep_only("TenantExport", [("gpt-acme", "kept")], since=5) == {"gpt-acme", "gpt-beta"}
    assert named(asked) == ["kept", "newer"]
    assert named(asked, "gpt-beta") == []


WROTE = {"phase": "Pending"}


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        ({"status": {"phase": "Pending", "url": "u"}}, False),
        ({"status": {"phase": "Pending", "url": "another"}}, True),
        ({"status": {"phase": "Pending", "url": "u", "downloadedAt": "12:00"}}, True),
        ({"status": {"phase": "Pending", "url": "u"}, "generation": 2}, True),
    ],
    ids=[
        "as written",
        "another by a write that was not answered",
        "the pod wrote too",
        "somebody changed it",
    ],
)
def test_what_an_answer_tells_beside_what_was_written_is_looked_at(
    answer: dict[str, Any], more: bool
) -> None:
    asked = Asked()
    before, after = obj("a", 1), obj("a", 3)
    before["metadata"]["generation"], after["metadata"]["generation"] = 1, answer.get("generation", 1)
    asked.observe(before | {"status": {"url": "u"}})
    assert asked.answered(after | {"status": answer["status"]}, WROTE) is more
    # Of what came before it the watch may tell later: it is no news.
    assert asked.observe(obj("a", 2)) == set()
