"""Revisions: content-addressed, whole, and refused when somebody changed them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guestpost_operator import revision
from guestpost_operator.revision import Revision, RevisionError

# etcd takes 1.5 MiB an object; a ConfigMap at most 1 MiB.
ROOM = 256 * 1024


def test_the_same_content_has_the_same_id(configure: Any) -> None:
    assert revision.current(configure()).id == revision.current(configure()).id
    assert len(revision.current(configure()).id) == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"images__crm": "registry.example.com/crm:1.4.3"},
        {"supportContact": "help@example.com"},
        {"routing__kind": "None"},
        {"plans__Starter__database": {"storage": "11Gi"}},
    ],
)
def test_another_value_is_another_revision(configure: Any, changes: dict[str, Any]) -> None:
    assert revision.current(configure(**changes)).id != revision.current(configure()).id


def test_the_operators_own_settings_move_no_tenant(configure: Any) -> None:
    config = configure()
    other = config.model_copy(update={"operator": config.operator.model_copy(update={"concurrency": 3})})
    assert revision.current(other).id == revision.current(config).id


def test_what_is_stored_is_read_back_whole(configure: Any) -> None:
    current = revision.current(configure())
    stored = current.to_config_map("guestpost-system")
    assert stored["immutable"] is True
    assert len(json.dumps(stored)) < ROOM
    again = revision.from_config_map(stored)
    assert (again.id, again.templates, again.config) == (current.id, current.templates, current.config)


def test_defaults_are_written_out(configure: Any) -> None:
    """Else the next release's defaults would move tenants that are pinned."""
    assert revision.current(configure()).config["imagePullPolicy"] == "IfNotPresent"
    assert revision.current(configure()).config["clientIds"]["acme-crm-prod"]


@pytest.mark.parametrize("key", ["sync.yaml.j2", "config.json"])
def test_what_was_changed_is_refused(configure: Any, key: str) -> None:
    stored = revision.current(configure()).to_config_map("guestpost-system")
    stored["data"][key] = "{}"
    with pytest.raises(RevisionError, match="was changed"):
        revision.from_config_map(stored)


@pytest.mark.parametrize("data", [{}, {"config.json": "no JSON"}])
def test_what_is_no_revision_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(RevisionError, match="is not a revision"):
        revision.from_config_map({"metadata": {"name": "guestpost-revision-x"}, "data": data})


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("a: {{ missing.value }}", "missing"),
        ("a: [", "a.yaml.j2"),
        ("a: 1", "not a Kubernetes object"),
        ("- 1", "not a Kubernetes object"),
        ("{% include 'other.j2' %}", "no template other.j2"),
        ("a: {{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% for", "is none"),
    ],
)
def test_a_template_that_fails_is_named(template: str, says: str) -> None:
    with pytest.raises(RevisionError, match=says):
        Revision({"a.yaml.j2": template}, {}).render({}, {})


def test_values_go_into_their_places() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ t.name | json }}}\n"
    text += "data: {x: {{ ('a-' ~ t.name) | json }}}"
    (made,) = Revision({"a.yaml.j2": text}, {}).render({}, {"t": {"name": "x: {}"}})
    assert made["metadata"]["name"] == "x: {}"
    assert made["data"]["x"] == "a-x: {}"
