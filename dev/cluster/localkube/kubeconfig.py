"""Kubeconfig files, written as JSON (which is YAML)."""

import base64
import json
from pathlib import Path
from typing import Any


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def write(
    path: Path, *, server: str, authority: Path, certificate: Path, key: Path, name: str = "localkube"
) -> Path:
    """Write a kubeconfig with everything inside, readable by its owner only."""
    content: dict[str, Any] = {
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
    return save(path, content)


def environment(path: Path) -> dict[str, str]:
    """Variables for kubectl and Helm: this kubeconfig, and a cache that goes with its folder."""
    return {"KUBECONFIG": str(path), "KUBECACHEDIR": str(path.parent / "kube-cache")}


def save(path: Path, content: dict[str, Any]) -> Path:
    """Write a kubeconfig as it is, at once and readable by its owner only."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(content, indent=1))
    return unfinished.replace(path)
