"""Options that every test shares: the customers' promises."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

pytest_plugins = ["browser_fixtures", "crm_fixtures", "plane_fixtures"]
PROMISES = Path(__file__).resolve().parent.parent / "docs" / "promises.md"
ROW = re.compile(r"^\| (P\d+\.\d+) \| ([^|]+) \|", re.MULTILINE)

LONG = ("crm", "operator")
# Two folders take minutes of one worker each; the last one's files take seconds, and fill the gaps.
FIRST, LAST = ("tests/integration/dashboard/", "tests/integration/chart/"), ("tests/integration/crm/",)
# End to end, these share a tenant; the others have one each, or none.
ONE_TENANT = ("test_first_day.py", "test_shell.py", "test_states.py", "test_tenants.py")

promises_key = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", action="store_true", help="run what proves a promise, and print the table")


def pytest_configure(config: pytest.Config) -> None:
    # A client without a stand-in finds no credentials at once: it asks no metadata server.
    os.environ["NO_GCE_CHECK"] = "true"
    # API servers, helm and kubectl live briefly: memory is cheaper here than collecting garbage.
    os.environ.setdefault("GOGC", "400")
    config.stash[promises_key] = dict(ROW.findall(PROMISES.read_text(encoding="utf-8")))


def proven_by(item: pytest.Item) -> list[str]:
    """The identifiers of the promises that a test proves."""
    return [name for mark in item.iter_markers("promise") for name in mark.args]


def stays_together(nodeid: str) -> str:
    """Which tests one worker of pytest-xdist runs, so that what they share is started once.

    Integration tests share servers with those of their folder. Where a folder takes minutes, each file of it
    may have a worker, which then starts servers of its own. End to end all share one cluster, and the tenants
    are a worker's.

    Args:
        nodeid: of a test, such as `tests/unit/crm/test_mime.py::test_it`.
    """
    path = nodeid.partition("::")[0]
    _, level, folder, *_ = [*path.split("/"), ""]
    if level == "integration" and folder not in LONG:
        return folder
    if level == "e2e":
        return "tenants" if folder in ONE_TENANT else folder
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: tests that stay together go to one worker, in the order of the collection."""
    config.option.loadscopereorder = False
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return stays_together(nodeid)

    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.startswith(LAST) - item.nodeid.startswith(FIRST))
    for item in items:
        unknown = set(proven_by(item)) - config.stash[promises_key].keys()
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: docs/promises.md has no {', '.join(sorted(unknown))}")
        for name in proven_by(item):
            item.user_properties.append(("promise", name))
    if config.getoption("promises"):
        chosen = [item for item in items if proven_by(item)]
        config.hook.pytest_deselected(items=[item for item in items if not proven_by(item)])
        items[:] = chosen


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("promises"):
        return
    outcomes: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            for key, name in report.user_properties:
                if key == "promise":
                    outcomes[str(name)][report.nodeid] = outcome
    terminalreporter.section("promises")
    for name, text in config.stash[promises_key].items():
        proofs = outcomes.get(name, {})
        terminalreporter.write_line(f"{name:<6} {text.strip()}")
        for nodeid, outcome in sorted(proofs.items()):
            terminalreporter.write_line(f"         {outcome:<8} {nodeid}")
        if not proofs:
            terminalreporter.write_line("         OPEN     no test proves it yet")
