"""What `kubectl guestpost` shows, and what can be typed, without a cluster."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from kubectl_guestpost import arguments, completion, erasing, words
from kubectl_guestpost.errors import PluginError, RefusedError

ROOT = Path(__file__).resolve().parents[3]
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


def condition(kind: str, status: str, reason: str = "Because", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-11-24T11:00:00Z"}  # fmt: skip


def tenant(
    *conditions: dict[str, str], generation: int = 2, observed: int = 2, **status: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": "acme", "generation": generation, "creationTimestamp": "2026-11-20T12:00:00Z"},
        "spec": {"plan": "Growth", "region": "europe-west1", "googleProject": "acme-crm", "state": "Running"},
        "status": {
            "observedGeneration": observed,
            "phase": "Running",
            "conditions": list(conditions),
            **status,
        },
    }


@pytest.mark.parametrize(("text", "length"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)])
def test_lengths_of_time_are_read(text: str, length: int) -> None:
    assert words.seconds(text) == length


@pytest.mark.parametrize("text", ["", "7", "7w", "-1d", "1.5h", "7 d"])
def test_what_is_no_length_of_time_is_told(text: str) -> None:
    with pytest.raises(PluginError, match="write 45s, 30m, 12h or 7d"):
        words.seconds(text)


@pytest.mark.parametrize(
    ("length", "shown"), [(0, "0s"), (119, "119s"), (120, "2m"), (7_300, "2h"), (200_000, "2d")]
)
def test_ages_are_shown_as_kubectl_does(length: float, shown: str) -> None:
    assert words.span(length) == shown


def test_a_tenant_that_is_well_has_no_trouble() -> None:
    well = tenant(condition("Ready", "True", "Running"), condition("DatabaseReady", "True"))
    assert words.trouble(well) is None
    assert words.is_settled(well)
    assert words.row(well, NOW)[:3] == ("acme", "Running", "True")
    assert words.row(well, NOW)[-2:] == ("4d", "")


def test_the_cause_is_told_and_not_the_consequence() -> None:
    ill = tenant(
        condition("Ready", "False", "DatabaseNotReady", "a part is missing"),
        condition("DatabaseReady", "False", "Pending", "no node fits the volume"),
        condition("ApplicationReady", "False", "Waiting"),
    )
    assert words.row(ill, NOW)[-1] == "Pending: no node fits the volume"


def test_what_holds_a_tenant_comes_first() -> None:
    held = tenant(condition("DatabaseReady", "False"), condition("Paused", "True", "PausedByAnnotation"))
    assert words.row(held, NOW)[-1] == "PausedByAnnotation"


def test_a_change_that_the_operator_has_not_seen_is_not_settled() -> None:
    unseen = tenant(condition("Ready", "True", "Running"), generation=3)
    assert not words.is_settled(unseen)
    assert "has not seen the latest change" in words.status(unseen, NOW)


def test_status_names_the_runbook_and_what_was_asked() -> None:
    shown = words.status(
        tenant(
            condition("DeletionBlocked", "True", "Unreachable", "the project is gone"),
            deletion={"requestedBy": "Customer", "eraseAfter": "2026-11-26T12:00:00Z",
                      "completed": ["Application"], "blockedBy": "Messaging"},
        ),
        NOW,
    )  # fmt: skip
    assert "DeletionBlocked: see docs/runbooks/deletion-blocked.md" in shown
    for fact in ("asked for by Customer", "2026-11-26 12:00 UTC (in 2d)", "Blocked by: Messaging"):
        assert fact in shown, shown


def test_a_tenant_without_a_status_is_shown_too() -> None:
    fresh = {**tenant(), "status": {}}
    assert words.row(fresh, NOW)[1:3] == ("Pending", "Unknown")
    assert "Pending" in words.status(fresh, NOW)


def test_every_condition_has_its_runbook() -> None:
    for name in words.RUNBOOKS.values():
        assert (ROOT / f"docs/runbooks/{name}.md").is_file(), name


def test_progress_of_an_export() -> None:
    running = {"status": {"phase": "Running", "progress": {"messages": 1_200, "total": 5_000}}}
    assert words.export_progress(running) == "1,200 of 5,000 messages (24 %)"
    complete = {"status": {"phase": "Complete", "counts": {"messages": 5_000}, "bytes": 1_048_576}}
    assert words.export_progress(complete) == "5,000 messages, 1,048,576 bytes"


def test_columns_are_as_wide_as_they_must_be() -> None:
    shown = words.table(("A", "LONG"), [("x" * 5, ""), ("y", "z")])
    assert shown == "A       LONG\nxxxxx\ny       z"


def test_a_pause_of_the_rollout_is_told_with_its_reason_and_strange_words_are_one() -> None:
    wrote = {
        "manager": "kubectl-patch",
        "time": "2026-11-24T11:30:00Z",
        "fieldsV1": {"f:data": {"f:paused": {}}},
    }
    made = {
        "manager": "guestpost-operator",
        "time": "2026-11-20T12:00:00Z",
        "fieldsV1": {"f:data": {".": {}}},
    }

    def said(**data: str) -> str:
        found = {"metadata": {"managedFields": [made, wrote]}, "data": data}
        return words.rollout(found, [], NOW)

    assert said(paused="false") == "The rollout is not paused"
    assert said(paused="true", reason="Ticket 7") == "The rollout is paused for 30m: Ticket 7"
    assert said(paused="no") == (
        "The rollout is paused for 30m: no reason was given\n"
        "(ConfigMap rollout says paused: no, which is neither true nor false)"
    )
    assert words.is_paused({"metadata": {}})
    assert words.rollout({"metadata": {}}, [], NOW).startswith("The rollout is paused: no reason")


@pytest.mark.parametrize("typed", ["", "ac", "acme2", "ACME"])
def test_another_word_than_the_one_at_stake_does_nothing(typed: str) -> None:
    with pytest.raises(RefusedError, match="nothing was done"):
        erasing.confirm("all of it", "acme", typed)
    erasing.confirm("all of it", "acme", "acme")


def test_where_nobody_can_type_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    with pytest.raises(RefusedError, match="add --confirm=acme"):
        erasing.confirm("all of it", "acme", None)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["suspend", "acme"], "--reason"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "COMMAND"),
        (["abandon", "acme", "Mail", "--reason", "x"], "invalid choice: 'Mail'"),
        (["resume", "acme", "--timeout", "soon"], "write 45s, 30m, 12h or 7d"),
        (["grants", "request", "acme", "--reason", "x"], "--subject"),
        (["rollout", "pause"], "--reason"),
    ],
)
def test_what_was_not_understood_is_told(
    typed: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parser().parse_args(typed)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert "kubectl guestpost" in told


@pytest.mark.parametrize(
    ("words_typed", "proposed"),
    [
        (["su"], ["suspend"]),
        (["list", "--state", ""], ["Running", "Suspended", "Hibernated"]),
        (["list", "-o", "w"], ["wide"]),
        (["grants", ""], ["list", "request", "withdraw"]),
        (["grants", "request", "acme", "--level", "B"], ["Browse"]),
        (["rollout", ""], ["status", "pause", "resume"]),
        (["rollout", "pause", "--rea"], ["--reason"]),
        (["abandon", "acme", "Mess"], ["Messaging"]),
        (["suspend", "acme", "--rea"], ["--reason"]),
        (["export", "acme", "--no"], ["--no-wait"]),
        (["suspend", "acme", "--reason", ""], []),
        (["nonsense", "x"], []),
    ],
)
def test_completion_proposes_what_fits(
    words_typed: list[str], proposed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert completion.main(words_typed) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == proposed
    assert last == ":4"


def test_completion_keeps_quiet_without_a_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert completion.main(["status", "a"]) == 0
    assert capsys.readouterr().out == ":4\n"
