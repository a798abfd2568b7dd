"""The export's own pod: writes the archive to its volume, tells how far it is, serves it until it expires.

Started again after whatever happened to it, it begins anew unless the complete archive lies there.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import hmac
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from django.db import DatabaseError
from django.utils import timezone

from guestpost_crm.crypto.services import DecryptionError
from guestpost_crm.environment import current, secret
from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.privacy import kubernetes
from guestpost_crm.privacy.export import server
from guestpost_crm.privacy.export.exporting import ARCHIVE, Progress, Summary, export

PLURAL = "tenantexports"
TELL_SECONDS = 2.0
_RETRY_SECONDS = 2.0
log = structlog.get_logger()


def access_key(name: str) -> str:
    """What the web shows to an export's pod to be let through: both know the tenant's Django secret."""
    key = secret(current().django_secret_key_file, "DJANGO_SECRET_KEY_FILE")
    return hmac.new(key, f"export/{name}".encode(), hashlib.sha256).hexdigest()


def run() -> int:
    """Write, tell, serve until it expires, then wait for SIGTERM.

    Returns:
        0 after SIGTERM, 1 when it has to be started again.
    """
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    environment = current()
    name, folder = environment.export_name, Path(environment.export_folder)
    body = _until_told(lambda: kubernetes.get(PLURAL, name), ended)
    if body is None:
        return 1
    status = body.get("status", {})
    complete = status.get("phase") == "Complete"
    expires = dt.datetime.fromisoformat(status["expiresAt"]) if complete else None
    if expires is None or (expires > timezone.now() and not (folder / ARCHIVE).exists()):
        try:
            expires = _write(folder, name, int(body["spec"]["retentionSeconds"]), ended)
        except (OSError, DecryptionError, DatabaseError) as error:
            log.warning("export failed", export=name, problem=type(error).__name__)
            failed = _failed(error)
            _until_told(lambda: kubernetes.patch_status(PLURAL, name, failed), ended)
            return 1
    if ended.is_set():
        return 1
    log.info("export served", export=name)
    with server.serving(folder / ARCHIVE, access_key(name), lambda: _downloaded(name)):
        while not ended.is_set() and (left := (expires - timezone.now()).total_seconds()) > 0:
            ended.wait(min(left, 3600))
    if not ended.is_set():
        # Nobody gets it any more, also before the operator takes the volume away.
        (folder / ARCHIVE).unlink(missing_ok=True)
        ended.wait()
    return 0


def _write(folder: Path, name: str, retention: int, ended: threading.Event) -> dt.datetime:
    """Write the archive and tell that it is complete; returns when it expires."""
    begun = time.monotonic()
    with _Teller(name) as tell:
        summary = export(folder, tell)
    completed = timezone.now()
    expires = completed + dt.timedelta(seconds=retention)
    log.info("export complete", export=name, bytes=summary.size, seconds=round(time.monotonic() - begun, 1))
    complete = _complete(summary, completed, expires)
    _until_told(lambda: kubernetes.patch_status(PLURAL, name, complete), ended)
    return expires


def _complete(summary: Summary, completed: dt.datetime, expires: dt.datetime) -> dict[str, Any]:
    def written(kind: str) -> int:
        return sum(count for file, count in summary.counts.items() if file.endswith(kind))

    return {
        "phase": "Complete",
        "progress": {"messages": written(".mbox"), "total": written(".mbox"), "records": written(".jsonl")},
        "counts": {
            "mailboxes": Mailbox.objects.count(),
            "messages": written(".mbox"),
            "records": written(".jsonl"),
        },
        "bytes": summary.size,
        "sha256": summary.sha256,
        "completedAt": _moment(completed),
        "expiresAt": _moment(expires),
    }


def _failed(error: Exception) -> dict[str, Any]:
    """What the status says of a failure: nothing of what the archive was to hold."""
    reason, message = "Failed", f"{type(error).__name__}; see the log of the export's pod"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        reason, message = (
            "VolumeFull",
            "the archive does not fit on its volume, which is as large as the database's",
        )
    elif isinstance(error, DecryptionError):
        reason, message = (
            "NotDecrypted",
            "something in the database cannot be decrypted with the tenant's key",
        )
    elif isinstance(error, DatabaseError):
        reason, message = "DatabaseUnavailable", "the database does not answer"
    now = _moment(timezone.now())
    common = {"lastTransitionTime": now, "observedGeneration": 1}
    return {
        "phase": "Failed",
        "conditions": [
            {"type": "Complete", "status": "False", "reason": reason, "message": "", **common},
            {
                "type": "Failed",
                "status": "True",
                "reason": reason,
                "message": f"{message}; it is tried again",
                **common,
            },
        ],
    }


def _moment(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Teller:
    """Tells the export's status of progress now and then, from a thread: the API server holds up nothing."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._latest: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Callable[[Progress], None]:
        self._thread.start()
        return self._take

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _take(self, progress: Progress) -> None:
        so_far = {"messages": progress.messages, "total": progress.total, "records": progress.rows}
        self._latest = {"phase": "Running", "progress": so_far, "bytes": progress.size}

    def _run(self) -> None:
        while not self._ended.wait(TELL_SECONDS):
            latest, self._latest = self._latest, None
            if latest is None:
                continue
            try:
                kubernetes.patch_status(PLURAL, self._name, latest)
            except kubernetes.KubernetesError as error:
                log.warning("progress not told", export=self._name, status=error.status)


def _downloaded(name: str) -> None:
    """Tell that the whole archive was fetched."""
    try:
        kubernetes.patch_status(PLURAL, name, {"downloadedAt": _moment(timezone.now())})
    except kubernetes.KubernetesError as error:
        log.warning("download not told", export=name, status=error.status)


def _until_told(ask: Any, ended: threading.Event) -> dict[str, Any] | None:
    """Ask until there is an answer; None when the process is to end or the export is gone."""
    while not ended.is_set():
        try:
            answer: dict[str, Any] = ask()
        except kubernetes.KubernetesError as error:
            if error.status == 404:
                return None
            log.warning("kubernetes", status=error.status)
            ended.wait(_RETRY_SECONDS)
        else:
            return answer
    return None
