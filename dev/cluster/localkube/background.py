"""A control plane that runs on when the command that started it has ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

from localkube import pki
from localkube.controlplane import answers
from localkube.process import StartError, find, locked, log_tail, wait_until
from localkube.progress import say, step

_COMMAND = ("localkube", "control-plane", "run")
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")


def up(folder: Path) -> Path:
    """Start a control plane unless it runs, and return its kubeconfig.

    Args:
        folder: absolute; for its data, keys and logs, new or made by an earlier call.

    Raises:
        StartError: it did not become ready; the message holds the end of its log.
        ValueError: the folder holds something else.
    """
    _refuse_others(folder)
    with locked("control-plane"), step("control plane"):
        if not _pids(folder):
            _launch(folder)
        logs = folder / "logs"

        def ready() -> bool:
            if not _pids(folder):
                raise StartError(f"the control plane ended\n{log_tail('control-plane', logs)}")
            return _ready(folder)

        wait_until("control plane", ready, seconds=600, log_folder=logs)
    return folder / "kubeconfig"


def down(folder: Path) -> None:
    """Stop it and remove its folder (ValueError when the folder holds something else)."""
    if not folder.exists():
        say("no control plane is there")
        return
    _refuse_others(folder)
    with locked("control-plane"), step("control plane: stopping"):
        for pid in _pids(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until("control plane to end", lambda: not (_pids(folder) or _programs(folder)), seconds=60)
        _remove(folder)


def _pids(folder: Path) -> list[int]:
    return find(lambda words: tuple(words[-4:]) == (*_COMMAND, str(folder)))


def _programs(folder: Path) -> list[int]:
    """Those of a control plane that was killed; the kernel ends them with it, a moment later."""
    below = f"{folder}/"
    return find(lambda words: Path(words[0]).name in _PROGRAMS and any(below in word for word in words))


def _remove(folder: Path) -> None:
    # The logs last: by them an interrupted removal is known for what it is.
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == "logs"):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    folder.rmdir()


def _launch(folder: Path) -> None:
    # An earlier one's would look like an answer.
    (folder / "kubeconfig").unlink(missing_ok=True)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with (folder / "logs/control-plane.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", *_COMMAND, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            start_new_session=True,
        )
    wait_until("control plane", lambda: bool(_pids(folder)), seconds=10)


def _ready(folder: Path) -> bool:
    config = folder / "kubeconfig"
    if not config.exists():
        return False
    authority = pki.Authority(folder / "pki")
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    trust.load_cert_chain(*authority.issue("admin", "admin", groups=["system:masters"]))
    server = json.loads(config.read_text())["clusters"][0]["cluster"]["server"]
    return answers(f"{server}/readyz", trust) and answers(
        f"{server}/api/v1/namespaces/default/serviceaccounts/default", trust
    )


def _refuse_others(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / "logs").is_dir():
        raise ValueError(f"{folder} holds something that is not a control plane: name another folder")
