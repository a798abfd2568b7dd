"""dev/audit asks for every locked package, names what is known of it, and never takes silence for safety."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def osv(bad: str = "") -> Iterator[tuple[str, set[str]]]:
    """A service with the API of https://osv.dev that knows something bad of one package."""
    asked: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            names = [each["package"]["name"] for each in queries]
            asked.update(names)
            found = {"vulns": [{"id": "OSV-2026-1", "modified": "2026-01-01T00:00:00Z"}]}
            self._answer({"results": [found if name == bad else {} for name in names]})

        def do_GET(self) -> None:
            affected = {
                "package": {"ecosystem": "PyPI", "name": bad},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            }
            self._answer(
                {
                    "id": "OSV-2026-1",
                    "modified": "2026-01-01T00:00:00Z",
                    "summary": "Reads what it should not",
                    "affected": [affected],
                }
            )

        def _answer(self, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OSV_URL": url, "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    return subprocess.run(
        [ROOT / "dev" / "audit"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_every_package_is_asked_for_and_nothing_known_is_well() -> None:
    with osv() as (url, asked):
        done = audit(url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"django", "kopf", "cryptography", "pytest", "ruff", "starlette"} <= asked


def test_what_is_known_of_one_is_named() -> None:
    with osv("django") as (url, _asked):
        done = audit(url)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "django" in done.stdout
    assert "OSV-2026-1" in done.stdout


def test_a_service_that_does_not_answer_is_no_good_news() -> None:
    done = audit("http://127.0.0.1:1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing is known of the packages" in done.stderr
