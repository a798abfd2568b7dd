"""Kubeconfig files, written as JSON (which is YAML)."""

import base64
import json
import os
from pathlib import Path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def write(
    path: Path, *, server: str, authority: Path, certificate: Path, key: Path, name: str = "localkube"
) -> Path:
    """Write a kubeconfig with everything inside, readable by its owner only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _inline(authority)}}
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": _inline(certificate), "client-key-data": _inline(key)},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(content, indent=1))
    os.replace(unfinished, path)  # noqa: PTH105 - atomic, whatever stood there
    return path
