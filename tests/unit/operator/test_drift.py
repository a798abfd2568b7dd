"""Whether an object still is what was applied."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from guestpost_operator import drift
from guestpost_operator.api import names
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("0.5", "0.5"),
        ("500m", "0.5"),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("2T", 2 * 10**12),
        ("", None),
        ("Gi", None),
        ("1GB", None),
        ("ten", None),
        ("1Gim", None),
    ],
)
def test_quantities(text: str, number: Any) -> None:
    assert drift.quantity(text) == (None if number is None else Decimal(number))


HOLDS = [
    # What the API server adds.
    ({"a": 1, "defaulted": 2}, {"a": 1}),
    ({"a": {"b": 1, "more": 2}}, {"a": {"b": 1}}),
    # What it leaves out.
    ({}, {"labels": {}}),
    ({}, {"text": ""}),
    ({}, {"list": []}),
    # What it rewrites.
    ({"limits": {"cpu": "500m", "memory": "1Gi"}}, {"limits": {"cpu": "0.5", "memory": "1024Mi"}}),
    ({"storage": "1Gi"}, {"storage": "1024Mi"}),
    ({"emptyDir": {"sizeLimit": "256Mi"}}, {"emptyDir": {"sizeLimit": "0.25Gi"}}),
    # What has a name is found by it.
    (
        {"env": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]},
        {"env": [{"name": "a"}, {"name": "b"}]},
    ),
]
LACKS = [
    ({"a": 2}, {"a": 1}),
    ({}, {"a": 1}),
    ({"a": None}, {"a": 1}),
    ({"a": [1, 2]}, {"a": [1]}),
    ({"a": [2, 1]}, {"a": [1, 2]}),
    ({"env": [{"name": "a", "value": "1"}]}, {"env": [{"name": "a", "value": "2"}]}),
    ({"env": [{"name": "x"}]}, {"env": [{"name": "a"}]}),
    ({"a": "text"}, {"a": {"b": 1}}),
    ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
    # One more label selects other pods; no selector selects nothing, an empty one everything.
    ({"matchLabels": {"a": "1", "b": "2"}}, {"matchLabels": {"a": "1"}}),
    ({"podSelector": {"matchLabels": {"a": "1"}}}, {"podSelector": {}}),
    ({}, {"podSelector": {}}),
    ({"hard": {"pods": "1", "secrets": "9"}}, {"hard": {"pods": "1"}}),
    # A quantity is one only where Kubernetes has one.
    ({"value": "1024Mi"}, {"value": "1Gi"}),
]


@pytest.mark.parametrize(("live", "wanted"), HOLDS)
def test_what_holds_every_value(live: Any, wanted: Any) -> None:
    assert drift.contains(live, wanted)


@pytest.mark.parametrize(("live", "wanted"), LACKS)
def test_what_does_not(live: Any, wanted: Any) -> None:
    assert not drift.contains(live, wanted)


TREE = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(TREE)
def test_everything_holds_itself(tree: Any) -> None:
    assert drift.contains(tree, tree)


def entry(manager: str, operation: str = "Apply", subresource: str = "", **fields: Any) -> dict[str, Any]:
    made = {"manager": manager, "operation": operation, "fieldsV1": fields or {"f:spec": {"f:a": {}}}}
    return made | ({"subresource": subresource} if subresource else {})


def owned_by(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "metadata": {"name": "x", "managedFields": list(entries)}}


OURS = names.FIELD_MANAGER


@pytest.mark.parametrize(
    ("entries", "foreign"),
    [
        ([entry(OURS)], []),
        ([entry("kube-controller-manager", "Update", subresource="status")], []),
        ([entry("kube-controller-manager", "Update")], []),
        ([entry("kubectl-edit", "Update")], ["kubectl-edit"]),
        # Notes in metadata are anybody's to make.
        ([entry("kubectl-annotate", "Update", **{"f:metadata": {"f:annotations": {}}})], []),
        ([entry("somebody", "Update", subresource="status")], []),
    ],
)
def test_strangers_are_found(entries: list[dict[str, Any]], foreign: list[str]) -> None:
    assert drift.foreign_fields(owned_by(*entries)) == foreign
    assert drift.needs_take_over(owned_by(*entries)) == bool(foreign)


def test_strangers_fields_become_ours_and_controllers_stay_theirs() -> None:
    spec = {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}
    live = owned_by(
        entry(OURS, **{"f:spec": {"f:a": {}}}),
        entry("kubectl-edit", "Update", **spec),
        entry("kube-controller-manager", "Update", subresource="status"),
    )
    before = str(live)
    ours, theirs = drift.take_over(live)
    assert (ours["manager"], ours["operation"], ours["fieldsV1"]) == (OURS, "Apply", spec)
    assert theirs["manager"] == "kube-controller-manager"
    assert str(live) == before, "what was read is not changed"


def test_what_was_made_by_post_is_taken_over_before_it_is_applied() -> None:
    assert drift.needs_take_over(owned_by(entry(OURS, "Update")))
    assert not drift.needs_take_over(owned_by(entry(OURS, "Apply")))


def test_the_content_of_an_object_is_what_people_write() -> None:
    one = {
        "metadata": {"name": "x", "resourceVersion": "1", "generation": 1},
        "spec": {"a": 1},
        "status": {"b": 1},
    }
    two = {
        "metadata": {"name": "x", "resourceVersion": "2", "generation": 5},
        "spec": {"a": 1},
        "status": {"b": 2},
    }
    assert drift.content_hash(one) == drift.content_hash(two)
    note = {"deployment.kubernetes.io/revision": "3"}
    assert drift.content_hash({**one, "metadata": {"name": "x", "annotations": note}}) == drift.content_hash(
        one
    )
    assert drift.content_hash({**one, "spec": {"a": 2}}) != drift.content_hash(one)
    labelled = {**one, "metadata": {"name": "x", "labels": {"a": "b"}}}
    assert drift.content_hash(labelled) != drift.content_hash(one)


def test_a_job_keeps_the_pods_that_it_was_begun_with() -> None:
    live = {"spec": {"parallelism": 1, "template": {"spec": {"restartPolicy": "Never"}}}}
    manifest = {"spec": {"parallelism": 0, "template": {"spec": {}}}}
    merged = drift.as_begun(manifest, live)
    assert merged == {"spec": {"parallelism": 0, "template": {"spec": {"restartPolicy": "Never"}}}}
    assert manifest["spec"]["template"] == {"spec": {}}
