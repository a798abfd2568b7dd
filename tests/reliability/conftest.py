"""An operator behind a wire, and what plays the rest."""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import operator_fixtures
import pytest
from operator_fixtures import (  # noqa: F401 - pytest finds fixtures here
    Running,
    addresses,
    admin,
    pubsub,
    standin,
    tenants,
    workloads,
)
from operator_process import Process
from operator_stage import Recording, Stage
from operator_wire import Wire
from operator_world import World, complete, downloaded
from plane_fixtures import Plane
from reliability import HURRIED_QUIET_SECONDS, hurry

# Calls that a fault leaves unanswered are given up after so long.
TIMEOUT_SECONDS = 2.0
PATIENCE_SECONDS = 90.0


def exported(export: dict[str, Any]) -> dict[str, Any]:
    """The last export is fetched by its owner; any other one by nobody."""
    return downloaded() if export["metadata"]["name"] == "final-export" else complete(1)


@pytest.fixture
async def world(admin: Any, workloads: Any) -> AsyncIterator[World]:  # noqa: F811 - the fixtures above
    async with World(admin) as running:
        yield running


@pytest.fixture
async def wire(
    pubsub: Any,  # noqa: F811
    plane: Plane,
    standin: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Wire]:
    """What operators that are started now find instead of the API server and Pub/Sub."""
    # The test's own clients go past it: they connect before its addresses are told.
    await pubsub.get_topic("projects/guestpost-dev/topics/none")
    with Wire(plane.kubeconfig, standin.address, tmp_path) as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.messaging)
        yield running


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators in this process wait a tenth as long as in production."""
    hurry(monkeypatch)


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    """Runs without faults: nothing of them differs from test to test."""
    return {}


@pytest.fixture
def staged(
    recordings: dict[str, Recording],
    world: World,
    workloads: Any,  # noqa: F811
    tenants: Any,  # noqa: F811
    admin: Any,  # noqa: F811
    pubsub: Any,  # noqa: F811
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Makes stages, on which people have patience: back-offs add up when several calls fail."""
    world.exported = exported
    monkeypatch.setattr(operator_fixtures, "PATIENCE", PATIENCE_SECONDS)
    return functools.partial(
        Stage, admin, pubsub, tenants, workloads, world, wire.script, recordings=recordings
    )


@pytest.fixture
async def stage(staged: Any, hurried: None) -> AsyncIterator[Stage]:
    """With an operator in this process."""
    async with staged(Running, timeout=TIMEOUT_SECONDS, quiet=HURRIED_QUIET_SECONDS) as made:
        yield made


@pytest.fixture
async def killed_stage(staged: Any, wire: Wire, tmp_path: Path) -> AsyncIterator[Stage]:
    """With the real program as a process of its own, which dies of SIGKILL."""
    numbers = itertools.count()

    def run(config: Any) -> Process:
        folder = tmp_path / f"process-{next(numbers)}"
        folder.mkdir()
        process = Process(folder, config)
        wire.script.kill = process.kill
        return process

    async with staged(run) as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What has nothing to try in this part is not there, rather than skipped."""
    nothing = [item for item in items if item.name.endswith("[NOTSET]")]
    config.hook.pytest_deselected(items=nothing)
    items[:] = [item for item in items if item not in nothing]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for key, value in getattr(report, "user_properties", ())
        if key == "reliability"
    ]
    if lines:
        terminalreporter.section("reliability: survived of tried")
        for line in sorted(lines):
            terminalreporter.write_line(line)
