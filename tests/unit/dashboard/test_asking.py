"""What pages that change something share: names that are none lead nowhere, outcomes are told in words."""

from __future__ import annotations

import json

import pytest
from guestpost_dashboard.backends.errors import from_answer
from guestpost_dashboard.calls import RefusedError
from guestpost_dashboard.pages import asking


def test_only_names_are_names() -> None:
    given = [
        "acme",
        "acme",
        "a.b-c",
        "",
        "../pods",
        "acme/status",
        "acme?dryRun=All",
        "Acme",
        "-a",
        "a" * 254,
    ]
    assert asking.names(given) == ("acme", "a.b-c")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, "forbidden"),
        (404, "gone"),
        (409, "conflict"),
        (422, "refused"),
        (400, "refused"),
        (500, "refused"),
    ],
)
def test_an_answer_is_an_outcome(status: int, kind: str) -> None:
    found = asking.outcome("acme", from_answer(status, b'{"message": "so it is", "reason": "Some"}'))
    assert (found.name, found.kind, found.why) == ("acme", kind, "so it is")
    assert found.words


def test_done_and_nothing_to_do_are_outcomes_too() -> None:
    assert asking.outcome("acme", None).kind == "done"
    assert asking.outcome("acme", RefusedError("runs already")).kind == "skipped"


def test_causes_and_policies_are_told_in_their_own_words() -> None:
    cause = {"field": "spec.plan", "message": "Invalid value: 1: odd"}
    said = json.dumps({"message": "m", "details": {"causes": [cause]}})
    assert asking.outcome("acme", from_answer(422, said)).why == "spec.plan: odd"
    policy = json.dumps({"message": "gpt x is forbidden: policy y denied request: it is protected"})
    assert asking.outcome("acme", from_answer(403, policy)).why == "it is protected"
