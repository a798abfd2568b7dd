"""The control plane alone: without any privilege, in the background, and gone when it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localkube.process import find, wait_until

PROGRAM = [sys.executable, "-m", "localkube", "control-plane"]
# Whoever runs this, also root, has no privilege to use: capabilities(7), prctl(2).
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]


def run(action: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*UNPRIVILEGED, *PROGRAM, action, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        UNPRIVILEGED.clear()
    yield tmp_path / "plane"
    run("down", tmp_path / "plane")


def processes(folder: Path) -> list[int]:
    return find(lambda words: any(str(folder) in word for word in words) and "pytest" not in words[-1])


def test_it_starts_without_privileges_stays_and_goes(folder: Path) -> None:
    started = run("up", folder)
    assert started.returncode == 0, started.stderr
    config, path = started.stdout.splitlines()
    assert config == f"export KUBECONFIG={folder / 'kubeconfig'}"
    assert path.startswith("export PATH=/")
    server = json.loads((folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")
    before = processes(folder)
    assert len(before) >= 3
    assert run("up", folder).returncode == 0
    assert processes(folder) == before
    assert run("down", folder).returncode == 0
    assert processes(folder) == []
    assert not folder.exists()
    assert run("down", folder).returncode == 0


def test_a_killed_start_is_repeated_and_its_data_stays(folder: Path) -> None:
    interrupted = subprocess.Popen([*PROGRAM, "up", str(folder)], stderr=subprocess.DEVNULL)
    wait_until("etcd", (folder / "etcd").exists, seconds=60)
    interrupted.kill()
    assert interrupted.wait(10) == -signal.SIGKILL
    assert run("up", folder).returncode == 0
    [background] = find(lambda words: words[-4:] == ["localkube", "control-plane", "run", str(folder)])
    with contextlib.suppress(ProcessLookupError):
        os.kill(background, signal.SIGKILL)
    # What it started ends with it, however it ends.
    wait_until("everything to end", lambda: not processes(folder), seconds=30)
    again = run("up", folder)
    assert again.returncode == 0, again.stderr


def test_a_folder_with_something_else_in_it_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    for action in ("up", "down"):
        refused = run(action, folder)
        assert refused.returncode == 1
        assert "holds something that is not a control plane: name another folder" in refused.stderr
    assert (folder / "letter.txt").read_text() == "mine"
    shutil.rmtree(folder)
