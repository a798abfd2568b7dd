"""What the API server says has its place: beside the field, or above the form."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from guestpost_dashboard import forms, said
from hypothesis import given
from hypothesis import strategies as st

CRD = Path(__file__).resolve().parents[3] / "crds/guestposttenants.yaml"
VERSIONS = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
TENANT = forms.form_of(VERSIONS[0]["schema"]["openAPIV3Schema"])


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Required value", said.NEEDED),
        ('Invalid value: "x": write acme', "write acme"),
        ('Invalid value: {"channel":"Pinned","n":[1]}: needs a version', "needs a version"),
        ("Required value: spec.state Suspended needs a reason", "spec.state Suspended needs a reason"),
        ("Forbidden: not that", "not that"),
        (
            'Unsupported value: "Big": supported values: "Scale"',
            'Unsupported value: "Big": supported values: "Scale"',
        ),
        ("Invalid value: metadata.name must be a DNS label", "metadata.name must be a DNS label"),
        ("", ""),
    ],
)
def test_the_api_servers_sentence_without_the_value(message: str, told: str) -> None:
    assert said.sentence(message) == told


def test_what_is_wrong_stands_beside_its_field() -> None:
    told = said.placed(
        TENANT,
        [
            ("metadata.name", "Required value: name or generateName is required"),
            ("spec.deletion.abandon[2].reason", 'Invalid value: "x": too short'),
            ("spec.release", "Invalid value: {}: odd"),
            ("spec.owner.shoeSize", "Invalid value: 44: unknown"),
            ("spec.hostname", 'Invalid value: "a": spec.hostname in body should be at least 3 chars long'),
            ("", "the whole is odd"),
            ("<nil>", 'Invalid value: "null": some validation rules were not checked'),
        ],
    )
    assert told.fields["metadata.name"] == [said.NEEDED]
    assert told.fields["spec.deletion.abandon[2].reason"] == ["too short"]
    assert told.fields["spec.release"] == ["odd"]
    assert told.fields["spec.owner"] == ["unknown"]
    assert told.fields["spec.hostname"] == ["should be at least 3 chars long"]
    assert list(told.general) == ["the whole is odd", "some validation rules were not checked"]


def test_what_could_not_be_read_is_said_alone() -> None:
    name = "spec.deletion.gracePeriodSeconds"
    told = said.placed(TENANT, [(name, "Invalid value: must be an integer")], {name: "x is no number"})
    assert told.fields[name] == ["x is no number"]


def test_while_somebody_types_nothing_is_missing_yet() -> None:
    unchecked = "Invalid value: null: some validation rules were not checked because the object was invalid"
    nameless = ("metadata.name", "Required value: name or generateName is required")
    causes = [nameless, ("spec.region", "Required value"), ("spec.plan", "odd"), ("<nil>", unchecked)]
    told = said.unfinished(said.placed(TENANT, causes))
    assert told.general == []
    assert told.fields == {"spec.plan": ["odd"]}
    assert told


@given(st.lists(st.tuples(st.text(), st.text())))
def test_whatever_the_api_server_says_is_placed_somewhere(causes: list[tuple[str, str]]) -> None:
    told = said.placed(TENANT, causes)
    assert bool(told) == bool(causes)
