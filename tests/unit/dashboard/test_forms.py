"""Forms made from schemas: what is in an object can be shown and read again; what is wrong has its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_dashboard import forms, yamltext
from guestpost_dashboard.forms import Field
from hypothesis import given
from hypothesis import strategies as st

CRDS = Path(__file__).resolve().parents[3] / "crds"


def schema(plural: str) -> dict[str, Any]:
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


TENANT = forms.form_of(schema("guestposttenants"))
GRANT = forms.form_of(schema("supportgrants"))


def field(name: str, form: Field = TENANT) -> Field:
    (found,) = [each for each in forms.plain_fields(form) if each.name == name]
    return found


# -- schema to form -----------------------------------------------------------------------------------------


def test_every_value_of_a_tenant_has_a_field_of_its_own() -> None:
    kinds = {each.name: each.kind for each in forms.plain_fields(TENANT)}
    assert "yaml" not in kinds.values()
    assert kinds["metadata.name"] == "text"
    assert kinds["spec.plan"] == "choice"
    assert kinds["spec.suspendReason"] == "long"
    assert kinds["spec.deletion.protected"] == "flag"
    assert kinds["spec.deletion.gracePeriodSeconds"] == "integer"
    assert kinds["spec.deletion.abandon"] == "list"


def test_fields_say_what_the_schema_says() -> None:
    plan, grace = field("spec.plan"), field("spec.deletion.gracePeriodSeconds")
    assert plan.choices == ("Starter", "Growth", "Scale")
    assert plan.default == "Starter"
    assert "How large the server is" in plan.description
    assert (grace.minimum, grace.maximum, grace.default) == (0, 2592000, 604800)
    assert grace.label == "Grace period (seconds)"
    assert field("spec.googleProject").label == "Google project"


def test_what_can_not_change_is_known_by_its_rule() -> None:
    fixed = {each.name for each in forms.plain_fields(TENANT) if each.fixed}
    assert fixed == {"metadata.name", "spec.region", "spec.googleProject"}


def test_what_is_needed_comes_first() -> None:
    (spec,) = [each for each in TENANT.fields if each.name == "spec"]
    needed = [each.required for each in spec.fields]
    assert needed == sorted(needed, reverse=True)
    assert [each.kind for each in spec.fields][-3:] == ["group", "group", "group"]
    assert {each.name for each in spec.fields if each.required} == {
        "spec.owner",
        "spec.region",
        "spec.googleProject",
    }


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"x-kubernetes-int-or-string": True},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        {"type": "object", "properties": {"a.b": {"type": "string"}}},
        {"type": "string", "format": "byte"},
        {"type": "integer", "enum": [1, 2]},
        {},
    ],
)
def test_a_shape_without_a_field_is_typed_as_yaml(shape: dict[str, Any]) -> None:
    assert forms.field_of(shape, ("spec", "x")).kind == "yaml"


def test_what_nests_too_deep_is_typed_as_yaml() -> None:
    shape: dict[str, Any] = {"type": "string"}
    for _ in range(12):
        shape = {"type": "object", "properties": {"x": shape}}
    deepest = list(forms.plain_fields(forms.field_of(shape, ("spec",))))
    assert [each.kind for each in deepest] == ["yaml"]


def test_a_kind_is_found_in_what_the_api_server_publishes() -> None:
    mark = {"x-kubernetes-group-version-kind": [{"group": "g", "kind": "Thing", "version": "v1"}]}
    document = {"components": {"schemas": {"g.Other": {}, "g.Thing": {**mark, "type": "object"}}}}
    assert forms.schema_of(document, "Thing")["type"] == "object"
    with pytest.raises(LookupError, match="chart installed"):
        forms.schema_of(document, "Nothing")


def test_a_job_asks_for_some_fields_only() -> None:
    names = ("spec.deletion.abandon[0].reason", "spec.suspendReason")
    some = forms.part(TENANT, names, ("spec.suspendReason",))
    assert [each.name for each in some.fields] == ["reason", "spec.suspendReason"]
    assert [each.required for each in some.fields] == [True, True]
    with pytest.raises(LookupError):
        forms.part(TENANT, ("spec.nothing",))


# -- objects and texts --------------------------------------------------------------------------------------

LINE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_categories=("C", "Z")), min_size=1
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": LINE,
    "long": LINE,
    "integer": st.integers(-(10**12), 10**12),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
}


@st.composite
def objects(draw: st.DrawFn, form: Field = TENANT) -> dict[str, Any]:
    """Objects that a kind's form can hold, some of their values left out."""
    whole: dict[str, Any] = {}
    for each in forms.plain_fields(form):
        if draw(st.booleans()):
            continue
        if each.kind == "list":
            items = each.fields[0].fields
            some = st.fixed_dictionaries({str(item.path[-1]): value(item) for item in items})
            forms._put(whole, each.path, draw(st.lists(some, min_size=1, max_size=4)))
        else:
            forms._put(whole, each.path, draw(value(each)))
    return whole


def value(field: Field) -> st.SearchStrategy[Any]:
    return st.sampled_from(field.choices) if field.kind == "choice" else VALUES[field.kind]


@given(objects())
def test_what_is_shown_is_read_again(whole: dict[str, Any]) -> None:
    """Nothing of what was loaded is lost or changed by opening and sending the form."""
    texts = forms.shown(TENANT, whole)
    again, wrong = forms.read(TENANT, texts, whole)
    assert wrong == {}
    for each in forms.plain_fields(TENANT):
        held = forms.value_at(whole, each.path)
        if held is not None:
            assert forms.value_at(again, each.path) == held
    # What was not there is at most a default.
    for each in forms.plain_fields(TENANT):
        if forms.value_at(whole, each.path) is None:
            assert forms.value_at(again, each.path) in (None, each.default)


@given(objects(), st.dictionaries(st.sampled_from(["annotations", "extra"]), st.just({"a.b/c": "d"})))
def test_what_the_form_does_not_know_stays(whole: dict[str, Any], unknown: dict[str, Any]) -> None:
    base = {**whole, "spec": {**whole.get("spec", {}), **unknown}}
    again, _ = forms.read(TENANT, forms.shown(TENANT, base), base)
    assert {key: again["spec"][key] for key in unknown} == unknown


@given(st.dictionaries(st.sampled_from([each.name for each in forms.plain_fields(TENANT)]), st.text()))
def test_whatever_is_typed_becomes_an_object_or_is_told(texts: dict[str, str]) -> None:
    whole, wrong = forms.read(TENANT, texts)
    assert set(wrong) <= {"spec.deletion.gracePeriodSeconds"}
    yamltext.dump(whole)


def test_defaults_are_left_to_the_api_server() -> None:
    texts = forms.shown(TENANT, {}) | {
        "metadata.name": " acme ",
        "spec.owner.name": "Anna",
        "spec.hostname": "",
    }
    whole, _ = forms.read(TENANT, texts)
    assert whole == {"metadata": {"name": "acme"}, "spec": {"owner": {"name": "Anna"}}}


def test_a_job_means_the_defaults_that_it_shows() -> None:
    shape = forms.part(TENANT, ("spec.deletion.gracePeriodSeconds", "spec.deletion.finalExport"))
    whole, _ = forms.read(shape, forms.shown(shape, {}), sparse=False)
    assert whole == {"spec": {"deletion": {"gracePeriodSeconds": 604800, "finalExport": "Required"}}}


def test_what_is_emptied_goes_and_leaves_no_empty_group() -> None:
    base = {"spec": {"storage": {"className": "fast"}, "plan": "Growth"}}
    whole, _ = forms.read(TENANT, {"spec.storage.className": ""}, base)
    assert whole == {"spec": {"plan": "Growth"}}
    assert base["spec"]["storage"] == {"className": "fast"}


def test_an_empty_group_that_is_there_stays() -> None:
    base = {"spec": {"plan": "Growth", "storage": {}}}
    whole, _ = forms.read(TENANT, forms.shown(TENANT, base), base)
    assert whole == base


def test_a_box_that_is_not_ticked_is_false() -> None:
    base = {"spec": {"deletion": {"protected": True}}}
    whole, _ = forms.read(TENANT, {"spec.deletion.protected": "false"}, base)
    assert whole["spec"]["deletion"]["protected"] is False


def test_rows_in_which_nothing_is_written_are_no_items() -> None:
    name = "spec.deletion.abandon"
    texts = {
        name: "",
        f"{name}[0].step": "",
        f"{name}[0].reason": "",
        f"{name}[3].step": "Keys",
        f"{name}[3].reason": "the project is gone",
    }
    whole, _ = forms.read(TENANT, texts)
    assert whole["spec"]["deletion"]["abandon"] == [{"step": "Keys", "reason": "the project is gone"}]
    assert forms.rows(field(name), texts) == [0, 3]
    emptied, _ = forms.read(TENANT, {name: ""}, whole)
    assert emptied == {}


def test_what_is_no_number_is_told_and_kept() -> None:
    name = "spec.deletion.gracePeriodSeconds"
    whole, wrong = forms.read(TENANT, {name: "a week"})
    assert "is no number" in wrong[name]
    assert forms.value_at(whole, forms.path_of(name)) == "a week"


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_numbers_are_finite(text: str) -> None:
    shape = forms.field_of({"type": "number"}, ("spec", "x"))
    _, wrong = forms.read(Field((), "group", "", fields=(shape,)), {"spec.x": text})
    assert "spec.x" in wrong


@given(
    st.lists(
        st.one_of(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}", fullmatch=True), st.integers(0, 999)),
        min_size=1,
    )
)
def test_names_of_fields_lead_back_to_their_paths(steps: list[str | int]) -> None:
    assert forms.path_of(forms.name_of(tuple(steps))) == tuple(steps)


@given(st.text())
def test_any_text_has_a_path_or_none(text: str) -> None:
    path = forms.path_of(text)
    assert path == () or all(isinstance(step, str | int) for step in path)


def test_a_group_is_open_when_it_holds_something() -> None:
    (spec,) = [each for each in TENANT.fields if each.name == "spec"]
    (storage,) = [each for each in spec.fields if each.name == "spec.storage"]
    assert not storage.is_touched(forms.shown(TENANT, {}), {})
    assert storage.is_touched({"spec.storage.database": "20Gi"}, {})
    assert storage.is_touched({}, {"spec.storage.database": ["too small"]})


def test_grants_have_a_form_too() -> None:
    kinds = {each.name: each.kind for each in forms.plain_fields(GRANT)}
    assert kinds == {
        "metadata.name": "text",
        "spec.subject": "text",
        "spec.reason": "long",
        "spec.level": "choice",
        "spec.durationSeconds": "integer",
    }
