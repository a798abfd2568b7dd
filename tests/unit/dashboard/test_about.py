"""What a tenant's page says, made from the object and its events."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_dashboard import about, rows

RUNBOOKS = "https://guestpostcrm.com/docs/runbooks/"
HERE = Path(__file__).resolve().parents[3] / "docs/runbooks"
STAMP = "2026-11-24T12:00:"
Make = Callable[..., dict[str, Any]]


def test_what_is_wrong_comes_first_and_says_what_to_do(tenant: Make) -> None:
    found = about.judged(
        tenant(
            conditions={
                "Ready": ("False", "NotReady"),
                "NamespaceReady": ("True", "Applied"),
                "DatabaseReady": ("False", "VolumePending"),
                "Isolated": ("Unknown", "NotChecked"),
                "Stalled": ("True", "HostnameTaken"),
                "Paused": ("False", "NotPaused"),
                "Reconciling": ("True", "Working"),
            }
        ),
        RUNBOOKS,
    )
    assert [(each.type, each.tone) for each in found] == [
        ("Stalled", "bad"),
        ("Ready", "bad"),
        ("DatabaseReady", "bad"),
        ("Paused", "calm"),
        ("NamespaceReady", "good"),
        ("Isolated", "busy"),
        ("Reconciling", "busy"),
    ]
    assert found[0].runbook == f"{RUNBOOKS}stalled.md"
    assert all(bool(each.advice) == bool(each.runbook) == (each.tone == "bad") for each in found)
    assert found[0].since > 0


@pytest.mark.parametrize("kind", [*about.GOOD, *about.BAD])
def test_every_condition_that_holds_a_tenant_up_has_a_runbook(kind: str) -> None:
    assert (HERE / f"{about.RUNBOOKS[kind]}.md").is_file()
    assert about.ADVICE[kind]


def test_the_page_of_a_tenant(tenant: Make) -> None:
    body = tenant(
        "acme",
        revision="r2",
        app={"url": "https://acme.crm.example.com", "version": "1.2.0", "revision": "r1"},
        release={"previousRevision": "r1", "movedAt": "2026-11-24T13:00:00Z"},
        database={"name": "database", "size": "20Gi", "storageClassName": "premium"},
        messaging={"topic": "projects/p/topics/t", "subscription": "projects/p/subscriptions/s"},
        volumes=[{"name": "pv-1"}, {"name": "pv-2"}],
        deletion={"requestedAt": "2026-11-24T12:00:00Z", "requestedBy": "Customer", "blockedBy": "Messaging"},
    )
    found = about.tenant(body, RUNBOOKS)
    facts = {f"{title}/{name}": value for title, pairs in found.facts for name, value in pairs}
    assert facts["Server/Owner"] == "Anna Reyes <anna@acme.example>"
    assert facts["Release/Web and sync at"] == "r1"
    assert facts["Database/Volumes"] == "pv-1, pv-2"
    assert facts["Messaging/Topic"] == "projects/p/topics/t"
    assert facts["Deletion/Waits at"] == "Messaging"
    assert facts["Deletion/Asked for"] == "2026-11-24 12:00 UTC"
    assert [each.what for each in found.history] == ["Taken on, after r1", "Made"]
    assert (found.moving, found.current, found.url) == (True, True, "https://acme.crm.example.com")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "ftp://x"])
def test_an_address_that_is_no_web_page_is_no_link(tenant: Make, url: str) -> None:
    assert about.tenant(tenant(app={"url": url}), RUNBOOKS).url == ""


def test_a_spec_that_the_operator_has_not_seen(tenant: Make) -> None:
    body = tenant(observedGeneration=1)
    body["metadata"]["generation"] = 2
    assert not about.tenant(body, RUNBOOKS).current


def test_events_are_told_the_newest_first_whoever_wrote_them() -> None:
    found = about.events(
        [
            {"metadata": {"creationTimestamp": "2026-11-24T10:00:00Z"}, "reason": "Old", "type": "Normal"},
            {
                "metadata": {"creationTimestamp": "2026-11-24T09:00:00Z"},
                "eventTime": "2026-11-24T09:00:00.000000Z",
                "series": {"count": 7, "lastObservedTime": "2026-11-24T12:00:00.000000Z"},
                "reason": "Repeats",
                "type": "Warning",
                "note": "again",
                "regarding": {"kind": "Pod", "name": "web-1"},
            },
            {
                "metadata": {"creationTimestamp": "2026-11-24T09:00:00Z"},
                "deprecatedLastTimestamp": "2026-11-24T11:00:00Z",
                "deprecatedCount": 3,
                "reason": "Core",
            },
        ]
    )
    assert [(each.reason, each.count, each.warning) for each in found] == [
        ("Repeats", 7, True),
        ("Core", 3, False),
        ("Old", 1, False),
    ]
    assert found[0].about == "Pod web-1"


async def test_of_many_events_the_newest_are_shown(browser: Any) -> None:
    """The API server lists them by name, which says nothing of their time."""
    browser.cluster.others["events"] = [
        {
            "metadata": {"name": f"event-{number:04}", "creationTimestamp": "2026-11-24T12:00:00Z"},
            "eventTime": f"2026-11-24T{12 + number // 60:02}:{number % 60:02}:00Z",
            "reason": f"Number{number:04}",
        }
        for number in range(620)
    ]  # fmt: skip
    await browser.sign_in()
    text = (await browser.http.get("/tenants/acme")).text
    shown = re.findall(r"Number\d{4}", text)
    assert shown == [f"Number{number:04}" for number in range(619, 519, -1)]
    assert "These are the newest 100." in text


async def test_of_many_exports_the_newest_are_shown(browser: Any) -> None:
    browser.cluster.others["tenantexports"] = [
        {
            "metadata": {"name": f"export-{number:04}", "creationTimestamp": f"{STAMP}{number % 60:02}"},
            "spec": {"requestedBy": "Staff"},
        }
        for number in range(120)
    ]  # fmt: skip
    await browser.sign_in()
    text = (await browser.http.get("/tenants/acme")).text
    shown = re.findall(r"export-\d{4}", text)
    assert shown[:2] == ["export-0059", "export-0119"]
    assert len(shown) == 100


def test_the_yaml_can_be_read_again_and_holds_nothing_that_only_machines_keep(tenant: Make) -> None:
    body = tenant()
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    body["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "guestpostcrm.com/last-handled-configuration": "{}",
        "guestpostcrm.com/paused": "true",
    }
    found = yaml.safe_load(about.as_yaml(body))
    assert found["metadata"]["annotations"] == {"guestpostcrm.com/paused": "true"}
    assert "managedFields" not in found["metadata"]
    assert found["spec"] == body["spec"]
    assert "managedFields" in body["metadata"]


def test_usage_is_numbers_for_people() -> None:
    found = about.usage(
        {
            "status": {
                "reportedAt": "2026-11-24T13:00:00Z",
                "people": 3,
                "messages": 41823,
                "databaseBytes": 5_000_000,
                "events": {"signIns": 12, "messagesSent": 1200},
            }
        }
    )
    assert found.held == (("People", "3"), ("Messages", "41\u202f823"), ("Database", "4.8 MiB"))
    assert found.done == (("Sign-ins", "12"), ("Messages sent", "1\u202f200"))
    assert found.reported > 0
    assert about.usage({}) == about.Usage(0, (), ())


def test_every_number_of_a_usage_is_shown() -> None:
    definition = yaml.safe_load((HERE.parents[1] / "crds/tenantusages.yaml").read_text(encoding="utf-8"))
    (version,) = definition["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert {*about.HELD, "databaseBytes", "reportedAt", "events"} == set(status)
    assert set(about.DONE) == set(status["events"]["properties"])


def test_conditions_and_runbooks_are_those_of_the_kubectl_plugin() -> None:
    """The parts share no code; what they say of a condition is the same."""
    from kubectl_guestpost import words

    assert {kind: about.RUNBOOKS[kind] for kind in words.RUNBOOKS} == words.RUNBOOKS
    assert set(about.RUNBOOKS) - set(words.RUNBOOKS) == {"Ready"}
    assert (rows.PARTS, rows.BLOCKS) == (words.PARTS, words.TROUBLES)
