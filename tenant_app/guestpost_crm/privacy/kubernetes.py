"""The tenant's own namespace at the Kubernetes API: what the customer asks the service for, and the answers.

What the web and an export's own pod may do there is in the chart's ClusterRoles guestpost-tenant-web and
guestpost-tenant-export, and is all that is asked for here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from django.utils.translation import gettext as _

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


def patch_status(plural: str, name: str, status: dict[str, Any], uid: str = "") -> dict[str, Any]:
    """Merge fields into an object's status.

    Raises:
        KubernetesError: with status 409 when another object than the one with this uid has the name.
    """
    body = {"status": status} | ({"metadata": {"uid": uid}} if uid else {})
    return _ask("PATCH", f"{plural}/{name}/status", body)


def apply(plural: str, kind: str, name: str, body: dict[str, Any], manager: str) -> dict[str, Any]:
    """Make an object, or make it as it is given here, by server-side apply (KubernetesError).

    Args:
        plural: of the kind, in addresses.
        kind: its name.
        name: of the object.
        body: the object without its head.
        manager: whose fields these are.
    """
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, **body}
    path = f"{plural}/{name}?fieldManager={manager}&fieldValidation=Strict&force=true"
    # JSON is YAML.
    return _ask("PATCH", path, whole, "application/apply-patch+yaml")


_MEDIA = {"PATCH": "application/merge-patch+json"}


def _ask(method: str, path: str, body: dict[str, Any] | None = None, media: str = "") -> dict[str, Any]:
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
                "Content-Type": media or _MEDIA.get(method, "application/json"),
            },
            timeout=TIMEOUT,
            verify=environment.kubernetes_ca_file or True,
            allow_redirects=False,
        )
        content: dict[str, Any] = answer.json()
    except (requests.RequestException, OSError, ValueError) as error:
        text = _("The service's control plane does not answer. Try again soon.")
        raise KubernetesError(text) from error
    if not 200 <= answer.status_code < 300:
        raise KubernetesError(str(content.get("message", "refused"))[:500], answer.status_code)
    return content
