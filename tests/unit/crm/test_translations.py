"""The other language is whole: nothing untranslated, unsure or left over, and pages really speak it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_text_has_its_translation() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "dev" / "messages.py", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, f"run make messages, then translate:\n{checked.stderr}"
