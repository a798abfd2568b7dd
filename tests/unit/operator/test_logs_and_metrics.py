"""What machines read of the operator: JSON lines, and metrics by Prometheus' conventions."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from guestpost_operator import logs, metrics
from guestpost_operator.lifecycle import reporter
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

OURS = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Configures logs, and gives the lines that were written."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def read(level: str) -> Any:
        logs.configure(level)
        return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield read
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_each_line_is_an_object_with_time_level_tenant_and_step(lines: Any) -> None:
    read = lines("INFO")
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(tenant="acme", step="provision"):
        log.info("object applied", kind="Service", object="web")
        log.debug("not shown")
        try:
            raise ValueError("broken\nin two lines")
        except ValueError:
            log.exception("pass broke")
    applied, broke = read()
    assert applied.pop("timestamp").endswith("Z")
    expected = {"event": "object applied", "level": "info", "tenant": "acme", "step": "provision"}
    assert applied == {**expected, "kind": "Service", "object": "web"}
    assert "ValueError: broken" in broke["exception"]
    assert (broke["tenant"], broke["step"]) == ("acme", "provision")


def test_what_libraries_say_has_the_same_form(lines: Any) -> None:
    read = lines("INFO")
    logging.getLogger("somebody").warning("hello %s", "there")
    about = {"k8s_ref": {"kind": "GuestPostTenant", "name": "acme"}}
    logging.getLogger("kopf.objects").error("Handler 'erase' failed temporarily", extra=about)
    logging.getLogger("kopf.objects").info("Handler 'erase' is invoked", extra=about)
    hello, kopfs = read()
    assert (hello["event"], hello["logger"], hello["level"]) == ("hello there", "somebody", "warning")
    assert (kopfs["tenant"], kopfs["step"], kopfs["level"]) == ("acme", "kopf", "error")


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: str(metric._name))
def test_metrics_are_named_by_the_conventions(metric: MetricWrapperBase) -> None:
    """https://prometheus.io/docs/practices/naming/"""
    (family,) = metric.describe()
    assert re.fullmatch(r"guestpost_[a-z]+(_[a-z]+)*", family.name)
    assert family.documentation.endswith(".")
    # Base units, no unit that is a part of one; the type says itself whether it is a total.
    assert not re.search(r"(milli|micro|minutes|hours|kilo|mega|_total$|_count$|_sum$|_bucket$)", family.name)
    if family.type == "histogram":
        assert family.name.endswith("_seconds")
    assert {"tenant", "name", "namespace"}.isdisjoint(metric._labelnames), "their number has no bound"
    assert all(re.fullmatch(r"[a-z]+", label) for label in metric._labelnames)


def test_counters_end_in_total_where_they_are_read() -> None:
    metrics.DRIFT.labels("Service").inc(0)
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(REGISTRY).decode())
    }
    samples = {sample.name for sample in families["guestpost_drift_corrected"].samples}
    assert "guestpost_drift_corrected_total" in samples


def test_tenants_are_counted_by_state_phase_and_condition() -> None:
    def body(state: str, phase: str, ready: str) -> dict[str, Any]:
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
        return {"spec": {"state": state}, "status": status}

    def tenants(state: str, phase: str) -> float | None:
        return REGISTRY.get_sample_value("guestpost_tenants", {"state": state, "phase": phase})

    running = body("Running", "Running", "True")
    reporter.count(
        [running, running, body("Suspended", "Suspended", "True"), body("Suspended", "Blocked", "False"), {}]
    )
    assert (tenants("Running", "Running"), tenants("Running", "Pending")) == (2, 1)
    assert (tenants("Suspended", "Suspended"), tenants("Suspended", "Blocked")) == (1, 1)
    # What is suspended as asked for is Ready: alerts on Ready follow the state.
    ready = {"condition": "Ready", "status": "True"}
    assert REGISTRY.get_sample_value("guestpost_tenants_condition", ready) == 3
    reporter.count([])
    assert tenants("Running", "Running") is None
