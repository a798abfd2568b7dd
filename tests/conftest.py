"""Options that every test shares: the customers' promises."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

PROMISES = Path(__file__).resolve().parent.parent / "docs" / "promises.md"
ROW = re.compile(r"^\| (P\d+\.\d+) \| ([^|]+) \|", re.MULTILINE)

promises_key = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", action="store_true", help="run what proves a promise, and print the table")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[promises_key] = dict(ROW.findall(PROMISES.read_text(encoding="utf-8")))


def proven_by(item: pytest.Item) -> list[str]:
    """The identifiers of the promises that a test proves."""
    return [name for mark in item.iter_markers("promise") for name in mark.args]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
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
