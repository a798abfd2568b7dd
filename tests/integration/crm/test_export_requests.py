"""The owner asks for an export, its pod makes it, the owner downloads it: through a real API server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from google_standin.testing import GoogleStandin
from localkube.controlplane import ControlPlane
from localkube.process import free_port

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "gpt-acme"
RIGHTS = """
apiVersion: v1
kind: Namespace
metadata: {name: gpt-acme}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: gpt-acme}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web, namespace: gpt-acme}
rules:
  - {apiGroups: [guestpostcrm.com], resources: [tenantexports], verbs: [create, get, list, delete]}
  - {apiGroups: [guestpostcrm.com], resources: [tenantexports/status], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: gpt-acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web, namespace: gpt-acme}]
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An API server with a tenant's namespace, and a token of its web."""
    folder = tmp_path_factory.mktemp("plane")
    with ControlPlane(folder) as running:
        kubectl = [str(running.binaries["kubectl"]), f"--kubeconfig={running.kubeconfig}"]

        def act(*arguments: str, stdin: str = "") -> str:
            return subprocess.run(
                [*kubectl, *arguments], input=stdin, check=True, capture_output=True, text=True
            ).stdout

        act("apply", "-f", str(ROOT / "crds/tenantexports.yaml"))
        act("wait", "--for=condition=Established", "crd/tenantexports.guestpostcrm.com", "--timeout=60s")
        act("apply", "-f", "-", stdin=RIGHTS)
        (folder / "token").write_text(act("create", "token", "web", "-n", NAMESPACE))
        # A new kind and new rights take a moment to reach every part of the API server.
        ask = [*kubectl, "get", "tenantexports", "-n", NAMESPACE, "--as=system:serviceaccount:gpt-acme:web"]
        until(lambda: not subprocess.run(ask, check=False, capture_output=True).returncode, "the kind")
        certificate = yaml.safe_load(running.kubeconfig.read_text())["clusters"][0]["cluster"]
        (folder / "ca.crt").write_bytes(base64.b64decode(certificate["certificate-authority-data"]))
        running.act = act  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def in_cluster(crm: None, plane: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The CRM with its namespace at the API server; the folder is the export's volume."""
    from guestpost_crm import environment

    monkeypatch.setenv("KUBERNETES_API_URL", plane.server)
    monkeypatch.setenv("KUBERNETES_CA_FILE", str(plane.workdir / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_TOKEN_FILE", str(plane.workdir / "token"))
    monkeypatch.setenv("NAMESPACE", NAMESPACE)
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setenv("EXPORT_URL", f"http://127.0.0.1:{os.environ['PORT']}")
    monkeypatch.setenv("EXPORT_FOLDER", str(tmp_path))
    environment.current.cache_clear()
    yield tmp_path
    plane.act("delete", "tenantexports", "--all", "-n", NAMESPACE)
    monkeypatch.undo()
    environment.current.cache_clear()


@pytest.fixture
def page(owner: Any) -> Any:
    from django.test import Client

    client = Client(headers={"host": "acme.localhost"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client


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


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


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


def test_it_ends_when_it_expires(
    page: Any, owner: Any, plane: Any, pod: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    from guestpost_crm.privacy import exports, kubernetes

    name = exports.request(owner)
    first = pod(name)
    until(lambda: complete(page), "the archive")
    first.kill()
    first.wait(10)
    kubernetes.patch_status("tenantexports", name, {"expiresAt": "2020-01-01T00:00:00Z"})
    assert pod(name).wait(60) == 0


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
