"""Serving one file to the tenant's web and to nobody else, whole or in ranges."""

from __future__ import annotations

import hmac
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from guestpost_crm.environment import current

PIECE = 1 << 20
TIMEOUT = 60
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@contextmanager
def serving(path: Path, key: str, whole: Callable[[], None]) -> Iterator[int]:
    """Serve a file while the block runs; gives the port.

    Args:
        path: of the file.
        key: what `Authorization: Bearer …` has to carry.
        whole: is called when the last byte of the file has been sent.
    """

    class Handler(_FileHandler):
        file, secret, finished = path, key, staticmethod(whole)

    environment = current()
    listener = ThreadingHTTPServer(("", environment.port), Handler)
    if environment.tls_cert_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(environment.tls_cert_file, environment.tls_key_file)
        listener.socket = context.wrap_socket(
            listener.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener.server_address[1]
    finally:
        listener.shutdown()
        listener.server_close()


class _FileHandler(BaseHTTPRequestHandler):
    """GET of one file (RFC 9110, section 14: a single range from a position on)."""

    file: Path
    secret: str
    finished: Callable[[], None]
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def do_GET(self) -> None:
        """Send the file, or the rest of it."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, 0)
            return
        if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {self.secret}"):
            self._answer(HTTPStatus.FORBIDDEN, 0)
            return
        size = self.file.stat().st_size
        start = 0
        if asked := _RANGE.fullmatch(self.headers.get("Range", "")):
            start = int(asked[1])
        if start >= size:
            self._answer(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, **{"Content-Range": f"bytes */{size}"}
            )
            return
        if start:
            place = f"bytes {start}-{size - 1}/{size}"
            self._answer(HTTPStatus.PARTIAL_CONTENT, size - start, **{"Content-Range": place})
        else:
            self._answer(HTTPStatus.OK, size, **{"Accept-Ranges": "bytes"})
        with self.file.open("rb") as source:
            source.seek(start)
            while piece := source.read(PIECE):
                self.wfile.write(piece)
        self.finished()

    def _answer(self, status: HTTPStatus, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", "application/zip")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing: who downloads is in the audit log."""
