"""The tenant's own namespace at the Kubernetes API: what the customer asks the service for, and the answers.

The web may create, read and delete TenantExports of this namespace, the export's own pod may write the
status of its one, and neither may do anything else (docs/decisions/exports.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from guestpost_crm.environment import current

API_VERSION = "guestpostcrm.com/v1alpha1"
TIMEOUT = (5, 15)


class KubernetesError(Exception):
    """The API server said no, or nothing; the message is for people.

    Attributes:
        status: of the answer, 0 when there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def available() -> bool:
    """Whether this server may ask the API server at all."""
    return bool(current().kubernetes_token_file and current().namespace)


def find(plural: str) -> list[dict[str, Any]]:
    """Every object of a kind, the newest first (KubernetesError)."""
    items: list[dict[str, Any]] = _ask("GET", plural).get("items", [])
    return sorted(items, key=lambda item: str(item["metadata"]["creationTimestamp"]), reverse=True)


def get(plural: str, name: str) -> dict[str, Any]:
    """One object (KubernetesError with status 404 when there is none)."""
    return _ask("GET", f"{plural}/{name}")


def create(plural: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Make an object (KubernetesError with status 409 when the name is taken)."""
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    return _ask("POST", plural, body)


def delete(plural: str, name: str) -> None:
    """Delete an object; one that is gone is no error (KubernetesError)."""
    try:
        _ask("DELETE", f"{plural}/{name}")
    except KubernetesError as error:
        if error.status != 404:
            raise


def patch_status(plural: str, name: str, status: dict[str, Any]) -> dict[str, Any]:
    """Merge fields into an object's status (KubernetesError)."""
    return _ask("PATCH", f"{plural}/{name}/status", {"status": status})


def _ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    environment = current()
    try:
        # Read each time: the kubelet replaces it before it ends.
        token = Path(environment.kubernetes_token_file).read_text(encoding="utf-8").strip()
        answer = requests.request(
            method,
            f"{environment.kubernetes_api_url}/apis/{API_VERSION}/namespaces/{environment.namespace}/{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
            },
            timeout=TIMEOUT,
            verify=environment.kubernetes_ca_file or True,
            allow_redirects=False,
        )
        content: dict[str, Any] = answer.json()
    except (requests.RequestException, OSError, ValueError) as error:
        raise KubernetesError("The service's control plane does not answer. Try again soon.") from error
    if not 200 <= answer.status_code < 300:
        raise KubernetesError(str(content.get("message", "refused"))[:500], answer.status_code)
    return content
