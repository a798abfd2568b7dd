"""The repository's own rules, each broken once in a small repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from localkube.paths import ROOT

CHECK = ROOT / "dev/check_repository.py"
# Not in one piece, so that the pages of these small repositories are not missed in this one.
DOCS = "docs"
FILES = {
    "README.md": f"# Title\n\n[a]({DOCS}/a.md#the-second-part) [b](#title) [out](https://example.com/{DOCS}/x.md)\n",
    f"{DOCS}/a.md": "# A\n\n## The `second` part\n\n```\n[not a link](nowhere.md)\n```\n",
    "docs/promises.md": "| P0.1 | Nothing is read without consent | Consent comes first |\n",
    "tests/test_consent.py": '@pytest.mark.promise("P0.1")\n',
    "docs/decisions/README.md": "[house](house.md)\n",
    "docs/decisions/house.md": f"See {DOCS}/a.md.\n",
    "benchmarks/README.md": "| `ready.wall` |\n",
    "benchmarks/ready.py": 'if __name__ == "__main__": ...\n',
    "benchmarks/harness.py": "",
    "Makefile": ".PHONY: demo\ndemo: setup ## Show it\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def check(root: Path) -> list[str]:
    done = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    return done.stderr.splitlines()


def test_what_keeps_the_rules_passes(repository: Path) -> None:
    assert check(repository) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.py", "a = 1\n" * 401, "a.py: 401 lines; split it by concern (at most 400)"),
        ("b.md", "[a](elsewhere.md)", "b.md: link to elsewhere.md leads nowhere"),
        ("b.md", f"[a]({DOCS}/a.md#third)", f"b.md: {DOCS}/a.md has no heading #third"),
        ("b.md", "[a](#b)", "b.md: b.md has no heading #b"),
        ("a.py", f"# See {DOCS}/why.md.", f"a.py: names {DOCS}/why.md, which is not there"),
        (
            "operator/__init__.py",
            "",
            "operator/__init__.py shadows the standard library's operator module: remove it",
        ),
        (
            f"{DOCS}/decisions/new.md",
            "",
            f"{DOCS}/decisions/new.md: name it in {DOCS}/decisions/README.md",
        ),
        (
            "benchmarks/fleet.py",
            'if __name__ == "__main__": ...',
            "benchmarks/fleet.py: name it in benchmarks/README.md",
        ),
        ("tests/test_consent.py", "", "docs/promises.md: no test proves P0.1"),
        ("Makefile", ".PHONY: demo\ndemo: setup\n", "Makefile: say after ## what demo does"),
    ],
)
def test_a_breach_is_told(repository: Path, name: str, text: str, told: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text(text)
    assert check(repository) == [told]


def test_what_others_made_may_be_long_and_name_what_it_likes(repository: Path) -> None:
    for folder in ("vendor", "migrations"):
        (repository / folder).mkdir()
        (repository / folder / "a.js").write_text(f"{DOCS}/nowhere.md\n" * 401)
    (repository / "a.py").write_text(f"# https://example.com/{DOCS}/concepts/pods/ and other/{DOCS}/b.md\n")
    assert check(repository) == []
