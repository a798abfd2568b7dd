"""Exports as the owner sees them: asked for, under way, to be downloaded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from django.utils import timezone
from django.utils.translation import gettext as _
from requests.adapters import HTTPAdapter

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.privacy import kubernetes
from guestpost_crm.privacy.export.program import PLURAL, access_key
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count

PIECE = 1 << 20
UNDER_WAY = ("Pending", "Running")
# The operator's name for it.
FINAL = "final-export"


class ExportError(Exception):
    """It can't be done; the message is for the person who asked."""


@dataclass(frozen=True)
class Export:
    """One export.

    Attributes:
        phase: Pending, Running, Complete, Failed or Expired.
        percent: of the messages that are written.
        problem: why it failed or waits, for people.
    """

    name: str
    asked_at: dt.datetime
    asked_by: str
    phase: str
    percent: int
    messages: int
    total: int
    records: int
    size: int
    sha256: str
    expires_at: dt.datetime | None
    problem: str

    @property
    def under_way(self) -> bool:
        """Whether something still happens by itself."""
        return self.phase in UNDER_WAY


def last() -> Export | None:
    """The last export of a CRM that is being erased (KubernetesError)."""
    return next((export for export in exports() if export.name == FINAL), None)


def may_export(person: Person) -> bool:
    """Everything of a tenant goes to its owner only."""
    return person.role == Role.OWNER


def exports() -> list[Export]:
    """All exports there are, the newest first (KubernetesError)."""
    return [_read(body) for body in kubernetes.find(PLURAL)]


def request(person: Person) -> str:
    """Ask for an export; returns its name.

    Raises:
        ExportError: one is under way already.
        KubernetesError: it could not be asked for.
    """
    if any(each.under_way for each in exports()):
        raise ExportError(_("An export is under way already. Wait until it is complete, or delete it."))
    name = f"export-{timezone.now():%Y%m%d-%H%M%S}"
    kubernetes.create(PLURAL, "TenantExport", name, {"requestedBy": "Customer"})
    record(person, "export.requested", f"export:{name}")
    count(Event.EXPORT_REQUESTED)
    return name


def delete(person: Person, name: str) -> None:
    """Remove an export with its archive, or end one that is under way (KubernetesError)."""
    kubernetes.delete(PLURAL, name)
    record(person, "export.deleted", f"export:{name}")


def download(person: Person, name: str, asked_range: str) -> requests.Response:
    """The archive as the export's pod sends it; to be read as a stream and closed.

    Args:
        person: who asks; recorded.
        name: of the export.
        asked_range: the browser's Range header, which continues a download; empty for all of it.

    Raises:
        ExportError: the pod does not answer or does not have it.
    """
    environment = current()
    session = requests.Session()
    if environment.export_tls_name:
        session.mount("https://", _NamedAdapter(environment.export_tls_name))
    headers = {"Authorization": f"Bearer {access_key(name)}", "Accept-Encoding": "identity"}
    if asked_range:
        headers["Range"] = asked_range
    try:
        answer = session.get(
            f"{environment.export_url.format(name=name)}/archive",
            headers=headers,
            stream=True,
            timeout=(5, 60),
            verify=environment.export_ca_file or True,
            allow_redirects=False,
        )
    except requests.RequestException:
        raise ExportError(_("The archive's server does not answer. Try again in a minute.")) from None
    if answer.status_code not in (200, 206):
        answer.close()
        raise ExportError(_("The archive is not there. Look at the state of the export."))
    record(person, "export.downloaded", f"export:{name}")
    return answer


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """The bytes of an answer, which is closed at the end; a line that breaks ends the browser's as well."""
    with answer:
        yield from answer.iter_content(PIECE)


class _NamedAdapter(HTTPAdapter):
    """Checks a certificate against the tenant's name, whatever the service in front of the pod is called."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make connections that expect the name."""
        super().init_poolmanager(
            *arguments, **options, assert_hostname=self._name, server_hostname=self._name
        )


def _read(body: dict[str, Any]) -> Export:
    status = body.get("status", {})
    progress = status.get("progress", {})
    messages, total = int(progress.get("messages", 0)), int(progress.get("total", 0))
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    told = conditions.get("Failed" if status.get("phase") == "Failed" else "Complete", {})
    expires = status.get("expiresAt")
    return Export(
        name=body["metadata"]["name"],
        asked_at=dt.datetime.fromisoformat(body["metadata"]["creationTimestamp"]),
        asked_by=body["spec"]["requestedBy"],
        phase=status.get("phase", "Pending"),
        percent=100 * messages // total if total else 0,
        messages=messages,
        total=total,
        records=int(progress.get("records", 0)),
        size=int(status.get("bytes", 0)),
        sha256=status.get("sha256", ""),
        expires_at=dt.datetime.fromisoformat(expires) if expires else None,
        problem=str(told.get("message", ""))
        if told.get("reason") not in (None, "Starting", "Running")
        else "",
    )
