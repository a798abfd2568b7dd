"""The owner asks for an export, its pod makes it, the owner downloads it: through a real API server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import GoogleStandin
from tenant_plane import NAMESPACE, until


@pytest.fixture
def pod(in_cluster: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts what the export's pod runs."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "guestpost_crm", "export"]
        running.append(subprocess.Popen(command, env={**os.environ, "EXPORT_NAME": name}))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def complete(page: Any) -> bool:
    return "Download the archive" in page.get("/data").content.decode()


@pytest.mark.promise("P9.1")
def test_the_owner_asks_and_downloads(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    page: Any,
    plane: Any,
    pod: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.privacy import exports

    google.control.deliver(address, mail("To take away"))
    level(mailbox)
    assert "Export everything" in page.get("/data").content.decode()
    assert page.post("/data/exports").status_code == 302
    [asked] = exports.exports()
    assert asked.under_way
    assert page.post("/data/exports", follow=True).content.decode().count("under way already") == 1
    process = pod(asked.name)
    until(lambda: complete(page), "the archive")
    answer = page.get(f"/data/exports/{asked.name}/archive")
    content = b"".join(answer.streaming_content)
    assert int(answer.headers["Content-Length"]) == len(content)
    told = json.loads(plane.act("get", "gpx", asked.name, "-n", NAMESPACE, "-o", "json"))["status"]
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["counts"]["messages"] == 1
    assert address not in json.dumps(told)
    rest = page.get(f"/data/exports/{asked.name}/archive", headers={"Range": "bytes=100-"})
    assert rest.status_code == 206
    assert b"".join(rest.streaming_content) == content[100:]
    until(
        lambda: "downloadedAt" in plane.act("get", "gpx", "-n", NAMESPACE, "-o", "yaml"), "the download told"
    )
    assert page.post(f"/data/exports/{asked.name}/delete").status_code == 302
    assert exports.exports() == []
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"export.requested", "export.downloaded", "export.deleted"} <= actions
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.promise("P9.1")
def test_a_pod_that_was_killed_starts_again_and_finishes(
    page: Any, owner: Any, in_cluster: Path, pod: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    from guestpost_crm.privacy import exports
    from guestpost_crm.privacy.export.exporting import ARCHIVE, UNFINISHED

    name = exports.request(owner)
    (in_cluster / UNFINISHED).write_bytes(b"half an archive")
    killed = pod(name)
    until(lambda: complete(page) or (in_cluster / ARCHIVE).exists(), "the first archive")
    killed.kill()
    killed.wait(10)
    pod(name)
    until(lambda: complete(page), "the archive")
    until(lambda: page.get(f"/data/exports/{name}/archive").status_code == 200, "the server")
    assert not (in_cluster / UNFINISHED).exists()


@pytest.mark.promise("P9.1")
def test_nobody_else_gets_it(
    page: Any, owner: Any, in_cluster: Path, pod: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    import httpx
    from guestpost_crm.privacy import exports

    name = exports.request(owner)
    pod(name)
    until(lambda: complete(page), "the archive")
    there = f"http://127.0.0.1:{os.environ['PORT']}/archive"
    until(lambda: page.get(f"/data/exports/{name}/archive").status_code == 200, "the server")
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        assert httpx.get(there, headers=headers).status_code == 403
    owner.role = "manager"
    owner.save()
    for address in ("/data", f"/data/exports/{name}/archive"):
        assert page.get(address).status_code == 403
    for address in ("/data/exports", f"/data/exports/{name}/delete"):
        assert page.post(address).status_code == 403


def test_when_it_expires_the_archive_is_gone_and_is_not_made_again(
    page: Any, owner: Any, in_cluster: Path, pod: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    from guestpost_crm.privacy import exports, kubernetes
    from guestpost_crm.privacy.export.exporting import ARCHIVE

    name = exports.request(owner)
    first = pod(name)
    until(lambda: complete(page), "the archive")
    first.kill()
    first.wait(10)
    assert (in_cluster / ARCHIVE).exists()
    kubernetes.patch_status("tenantexports", name, {"expiresAt": "2020-01-01T00:00:00Z"})
    second = pod(name)
    until(lambda: not (in_cluster / ARCHIVE).exists(), "the archive to go")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    third = pod(name)
    third.send_signal(signal.SIGTERM)
    third.wait(60)
    assert list(in_cluster.iterdir()) == []


@pytest.mark.promise("P9.1")
def test_an_archive_that_does_not_fit_is_told_and_tried_again(
    page: Any, owner: Any, in_cluster: Path, pod: Callable[[str], subprocess.Popen[bytes]], monkeypatch: Any
) -> None:
    from guestpost_crm.privacy import exports

    name = exports.request(owner)
    # A device that is always full.
    monkeypatch.setenv("EXPORT_FOLDER", str(in_cluster / "full"))
    (in_cluster / "full").mkdir()
    (in_cluster / "full/export.zip.unfinished").symlink_to("/dev/full")
    assert pod(name).wait(60) == 1
    assert "does not fit on its volume" in page.get("/data").content.decode()
    (in_cluster / "full/export.zip.unfinished").unlink()
    pod(name)
    until(lambda: complete(page), "the archive")


def test_an_api_server_that_is_away_is_told(
    page: Any, in_cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment

    monkeypatch.setenv("KUBERNETES_API_URL", "https://127.0.0.1:1")
    environment.current.cache_clear()
    assert "control plane does not answer" in page.get("/data").content.decode()
    assert "control plane does not answer" in page.post("/data/exports", follow=True).content.decode()


def test_an_api_server_that_refuses_is_told(
    page: Any, in_cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"message": "the tenant is being erased"}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("KUBERNETES_API_URL", f"http://127.0.0.1:{server.server_address[1]}")
    environment.current.cache_clear()
    assert "the tenant is being erased" in page.get("/data").content.decode()
    server.shutdown()
    server.server_close()
