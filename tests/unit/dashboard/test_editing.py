"""Three-way edits: nobody's change is lost, and where two meet it is said."""

from __future__ import annotations

import json
from typing import Any

from guestpost_dashboard import editing
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c.d/e"])
# As the API server keeps them: no null is stored, and numbers are not compared with booleans.
LEAF = (
    st.integers(2, 4) | st.booleans() | st.sampled_from(["x", "y"]) | st.lists(st.integers(2, 3), max_size=2)
)
OBJECTS = st.recursive(LEAF, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8).filter(
    lambda each: isinstance(each, dict)
)


def applied(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386, as it is written there."""
    whole = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            whole.pop(key, None)
        elif isinstance(value, dict):
            whole[key] = applied(whole.get(key), value)
        else:
            whole[key] = value
    return whole


@given(OBJECTS, OBJECTS)
def test_the_patch_makes_of_one_the_other(before: Any, after: Any) -> None:
    assert applied(before, editing.merge_patch(before, after)) == after
    assert editing.merge_patch(before, before) == {}


@given(OBJECTS, OBJECTS)
def test_the_patch_names_nothing_that_does_not_change(before: Any, after: Any) -> None:
    def unchanged(patch: dict[str, Any], old: Any, new: Any) -> None:
        for key, value in patch.items():
            was, will = old.get(key), new.get(key)
            assert was != will
            if isinstance(value, dict) and isinstance(was, dict) and isinstance(will, dict):
                unchanged(value, was, will)

    unchanged(editing.merge_patch(before, after), before, after)


@given(OBJECTS, OBJECTS)
def test_alone_one_gets_what_one_wants(loaded: Any, wanted: Any) -> None:
    found = editing.merged(loaded, wanted, loaded)
    assert found.whole == wanted
    assert found.conflicts == ()


@given(OBJECTS, OBJECTS)
def test_whoever_changes_nothing_keeps_what_is_there(loaded: Any, present: Any) -> None:
    found = editing.merged(loaded, loaded, present)
    assert found.whole == present
    assert found.conflicts == ()


@given(OBJECTS, OBJECTS)
def test_the_same_change_twice_is_no_conflict(loaded: Any, wanted: Any) -> None:
    assert editing.merged(loaded, wanted, wanted) == editing.Merged(wanted, ())


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if isinstance(value, dict) and value:
        return {
            key: text for name, inner in value.items() for key, text in leaves(inner, (*path, name)).items()
        }
    return {path: json.dumps(value)}


@given(OBJECTS, OBJECTS, OBJECTS)
def test_nothing_of_the_others_is_overwritten(loaded: Any, wanted: Any, present: Any) -> None:
    """What others changed is there afterwards, or it was a conflict; and every value is somebody's."""
    found = editing.merged(loaded, wanted, present)
    conflicts = {each.path for each in found.conflicts}
    for path, text in leaves(found.whole).items():
        assert text in (leaves(wanted).get(path), leaves(present).get(path)) or text == "{}"
    was, now, after = leaves(loaded), leaves(present), leaves(found.whole)
    for path, text in now.items():
        inside = any(path[: len(each)] == each for each in conflicts)
        if was.get(path) != text and not inside and path not in after:
            # It went, so whoever edited took it away or put something else around it.
            assert leaves(wanted).get(path) != text


def test_a_conflict_says_all_three() -> None:
    found = editing.merged(
        {"spec": {"plan": "Starter", "hostname": "a.example"}},
        {"spec": {"plan": "Growth", "hostname": "a.example"}},
        {"spec": {"plan": "Scale"}},
    )
    assert found.conflicts == (editing.Conflict(("spec", "plan"), "Starter", "Growth", "Scale"),)
    assert found.whole == {"spec": {"plan": "Scale"}}
    gone = editing.merged({"a": 1}, {}, {"a": 2})
    assert gone.conflicts == (editing.Conflict(("a",), "1", editing.ABSENT, "2"),)


def test_conflicts_are_decided_value_by_value() -> None:
    loaded = {"spec": {"plan": "Starter", "n": {"k.with/dots": "1"}}}
    wanted = {"spec": {"plan": "Growth", "n": {"k.with/dots": "2"}}}
    present = {"spec": {"plan": "Scale", "n": {"k.with/dots": "3"}}}
    mine = editing.as_in(present, loaded, ("spec", "plan"))
    theirs = editing.as_in(loaded, wanted, ("spec", "n", "k.with/dots"))
    found = editing.merged(mine, theirs, present)
    assert found.conflicts == ()
    assert found.whole == {"spec": {"plan": "Growth", "n": {"k.with/dots": "3"}}}


def test_a_value_that_is_not_there_is_taken_over_too() -> None:
    assert editing.as_in({}, {"a": {"b": 1, "c": 2}}, ("a", "b")) == {"a": {"c": 2}}
    assert editing.as_in({"a": {"b": 1}}, {}, ("a", "b")) == {"a": {"b": 1}}
    assert editing.as_in({"a": 1}, {"a": {"b": 2}}, ("a",)) == {"a": 1}


def test_only_what_people_write_is_edited() -> None:
    whole = {
        "kind": "GuestPostTenant",
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "metadata": {
            "name": "acme",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 2,
            "managedFields": [],
            "creationTimestamp": "t",
            "finalizers": ["x"],
            "labels": {"a": "b"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "guestpostcrm.com/last-handled-configuration": "{}",
                "mine": "1",
            },
        },
        "spec": {"plan": "Starter"},
        "status": {"phase": "Running"},
    }
    assert editing.editable(whole) == {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "GuestPostTenant",
        "metadata": {"name": "acme", "labels": {"a": "b"}, "annotations": {"mine": "1"}},
        "spec": {"plan": "Starter"},
    }


@given(OBJECTS, OBJECTS)
def test_a_diff_is_empty_just_when_nothing_changes(before: Any, after: Any) -> None:
    assert bool(editing.diff(before, after)) == (
        json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    )


def test_a_diff_is_read_as_one_of_git() -> None:
    lines = editing.diff({"spec": {"plan": "Starter"}}, {"spec": {"plan": "Growth"}})
    assert [(each.kind, each.text) for each in lines] == [
        ("place", "@@ -1,2 +1,2 @@"),
        ("kept", "spec:"),
        ("removed", "  plan: Starter"),
        ("added", "  plan: Growth"),
    ]
