"""Alerts and dashboard: valid, about series that exist, each alert with a runbook; off until asked for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_broker import metrics as broker
from guestpost_broker.pacing import Pacer
from guestpost_crm.gmail import metrics as mail
from guestpost_operator import metrics as operator
from localkube import binaries
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "charts/guestpost-operator/files/monitoring"
GROUPS = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
ON = {"metrics.rules.enabled": "true", "metrics.dashboard.enabled": "true"}
# What Prometheus itself, and the PodMonitors, add to each series.
ADDED = {"namespace", "pod", "job", "instance", "container", "endpoint", "guestpostcrm_com_tenant"}


def series() -> dict[str, set[str]]:
    """Every series that our programs give, with its labels."""
    found: dict[str, set[str]] = {}
    for module in (operator, broker, mail):
        for metric in vars(module).values():
            if not isinstance(metric, MetricWrapperBase):
                continue
            name, labels = metric._name, set(metric._labelnames)
            if isinstance(metric, Counter):
                found[f"{name}_total"] = labels
            elif isinstance(metric, Histogram):
                found[f"{name}_bucket"] = labels | {"le"}
                found[f"{name}_count"] = found[f"{name}_sum"] = labels
            elif isinstance(metric, Gauge):
                found[name] = labels
    pacer = Pacer(lambda project: 1.0, lambda: 1.0)
    for family in broker.Backfills(pacer, lambda: ["p"]).collect():
        found[family.name] = set(family.samples[0].labels)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]


@pytest.fixture(scope="session")
def read() -> dict[str, Any]:
    """What Prometheus' own parser makes of every expression."""
    names, texts = zip(*expressions(), strict=True)
    lines = "\n".join(" ".join(text.split()) for text in texts)
    program = str(binaries.ensure("promql")["promql"])
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def test_every_expression_is_understood(read: dict[str, Any]) -> None:
    assert {name: each["error"] for name, each in read.items() if "error" in each} == {}
    assert len(read) > 40


def test_every_series_exists_with_the_labels_that_are_asked_for(read: dict[str, Any]) -> None:
    known = series()
    for name, each in read.items():
        assert each["selectors"], name
        for selector in each["selectors"]:
            assert selector["name"] in known, (name, selector["name"])
            unknown = set(selector["labels"]) - known[selector["name"]] - ADDED
            assert not unknown, (name, selector)
        labels = set().union(*(known[selector["name"]] for selector in each["selectors"])) | ADDED
        assert set(each["grouping"]) <= labels, name


def test_values_of_labels_are_those_that_the_code_gives() -> None:
    """A misspelt condition or outcome would make an alert that never fires."""
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("operator/guestpost_operator", "consent_broker/guestpost_broker")
        for path in (ROOT / folder).rglob("*.py")
    )
    asked = re.findall(
        r'(?:condition|outcome|result)\s*!?=~?\s*"([^"]+)"',
        json.dumps(list(expressions())).replace('\\"', '"'),
    )
    words = {word for each in asked for word in each.split("|")}
    assert len(words) > 12
    assert {word for word in words if f'"{word}"' not in source} == set()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    runbook = ROOT / "docs/runbooks" / notes["runbook_url"].removeprefix("RUNBOOKS/")
    assert name in runbook.read_text(encoding="utf-8"), "the runbook does not name the alert"


def test_no_alert_names_an_address_or_a_person() -> None:
    """Tenants are named by their namespace, mailboxes by a number."""
    shown = set(re.findall(r"\$labels\.(\w+)", json.dumps(ALERTS)))
    assert shown <= {"verb", "code", "method", "outcome", "project", "mailbox", "namespace", "reason"}


def test_they_are_off_until_asked_for(rendered: Any) -> None:
    assert ("PrometheusRule", "guestpost") not in rendered()
    assert ("ConfigMap", "guestpost-dashboard") not in rendered()


def test_rules_are_rendered_with_the_addresses_of_their_runbooks(rendered: Any) -> None:
    changes = {**ON, "metrics.rules.runbooks": '"https://wiki.example.com/guestpost/"',
               "metrics.rules.labels": '{"release": "prometheus"}'}  # fmt: skip
    rule = rendered("least", changes)["PrometheusRule", "guestpost"]
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    links = [
        each["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for each in group["rules"]
    ]
    assert len(links) == len(ALERTS)
    assert "https://wiki.example.com/guestpost/deletion-blocked.md" in links
    assert all(link.startswith("https://wiki.example.com/guestpost/") for link in links)


def test_the_dashboard_is_rendered_as_it_is(rendered: Any) -> None:
    config = rendered("least", {**ON, "metrics.dashboard.annotations": '{"grafana_folder": "CRM"}'})[
        "ConfigMap", "guestpost-dashboard"
    ]
    assert json.loads(config["data"]["guestpostcrm.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "CRM"}


def test_panels_lie_side_by_side_and_are_explained() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith((".", "!")), panel["title"]
