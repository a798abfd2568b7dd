"""The commit-msg hook takes Conventional Commits and says what is wrong with others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from localkube.paths import ROOT


def refusal(folder: Path, message: str) -> str:
    path = folder / "message"
    path.write_text(message)
    command = [ROOT / "dev/check-commit-message", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


@pytest.mark.parametrize(
    "message",
    [
        "feat(crm): teams by invitation\n",
        "fix!: a key is never written twice\n\nBecause it was.\n",
        "docs: why\n# Please enter the commit message\n",
        "test: without an end of line",
        "Merge branch 'main' into topic\n",
        "fixup! feat(crm): teams by invitation\n",
    ],
)
def test_taken(tmp_path: Path, message: str) -> None:
    assert refusal(tmp_path, message) == ""


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("", "write it as 'feat(part): what it does'"),
        ("Update things\n", "write it as 'feat(part): what it does'"),
        ("feat: x\n", "write it as 'feat(part): what it does'"),
        ("feat(CRM): teams\n", "write it as 'feat(part): what it does'"),
        (f"feat: {'long ' * 30}\n", "the first line has 156 characters"),
        ("feat: teams\nand more\n", "leave the second line empty"),
    ],
)
def test_refused(tmp_path: Path, message: str, told: str) -> None:
    assert told in refusal(tmp_path, message)
