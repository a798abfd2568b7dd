"""This machine's settings for pip and uv, handed to image builds."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from localkube import paths

# What decides where packages come from; folders of this machine mean nothing inside a build.
_TAKEN = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries")
_UV = {"UV_DEFAULT_INDEX": "index-url", "UV_INDEX_URL": "index-url", "UV_EXTRA_INDEX_URL": "extra-index-url"}


def settings() -> dict[str, str]:
    """What pip is told by its files and environment, else what uv is told by its environment."""
    found = {pip: os.environ[uv] for uv, pip in _UV.items() if os.environ.get(uv)}
    for line in _listed().splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in _TAKEN:
            found[key] = str(ast.literal_eval(value))
    return found


def _listed() -> str:
    """Lines such as `global.index-url='https://…'`; nothing where no Python has pip."""
    # An environment made by uv has no pip, the one that dev/bootstrap made for uv has.
    for python in (sys.executable, *paths.cache().glob("uv-*/bin/python"), "python3"):
        command = [str(python), "-m", "pip", "config", "list"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
    return ""


def configuration(certificates: Path) -> Path:
    """Write a pip.conf for a build; an index's address may hold a password, so only its owner reads it."""
    lines = ["[global]", "disable-pip-version-check = true", "root-user-action = ignore"]
    if certificates.exists():
        lines.append(f"cert = {certificates}")
    for key, value in settings().items():
        # pip takes a list one item a line.
        lines.append(f"{key} = " + "\n  ".join(value.split()))
    path = paths.cache() / "pip.conf"
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("\n".join(lines) + "\n")
    return path
