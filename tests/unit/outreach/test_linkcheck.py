"""The one client that asks strangers' servers: where it may connect to, and how much it takes."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from guestpost_crm.outreach.linkcheck import client as module
from guestpost_crm.outreach.linkcheck.addresses import is_public, is_within, networks
from guestpost_crm.outreach.linkcheck.client import Client, FetchError

LOCAL = networks("127.0.0.0/8")
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1",
        "2001:db8::1", "2001::1", "2002:7f00:1::", "3fff::1", "2620:4f:8000::1", "fe80::1%eth0",
        "2606:4700::1%eth0",
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_public_internets(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "193.0.0.1", "2606:4700::1111", "2a00::1"]
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_networks_that_tests_allow() -> None:
    allowed = networks("127.0.0.0/8, ::1/128")
    assert is_within(ipaddress.ip_address("127.9.9.9"), allowed)
    assert is_within(ipaddress.ip_address("::1"), allowed)
    assert not is_within(ipaddress.ip_address("10.0.0.1"), allowed)
    assert networks("") == ()
    with pytest.raises(ValueError, match="not-one"):
        networks("not-one")


@contextmanager
def server(answer: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    """A server on this machine whose every answer is `answer`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            answer(self)

        def log_message(self, *arguments: Any) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:
            return

    running = Quiet((host, 0), Handler)
    if tls is not None:
        running.socket = tls.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()
        running.server_close()


def page(body: bytes, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        for name, value in {"Content-Type": "text/html", **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def names(**known: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    """A resolver that knows these names of `.example`."""

    def resolve(host: str, port: int) -> Sequence[str]:
        found = known.get(host.removesuffix(".example"))
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return found

    return resolve


def problem(client: Client, url: str) -> str:
    with pytest.raises(FetchError) as told:
        client.fetch(url)
    return told.value.problem


def test_a_page_is_fetched_as_itself() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append({"path": request.path, **dict(request.headers)})
        page(b"<p>Hello</p>", Link="one", X_Robots_Tag="noindex")(request)

    with server(answer) as port:
        client = Client(LOCAL, names(site=["127.0.0.1"]))
        found = client.fetch(f"http://site.example:{port}/päth?q=ü#there")
    assert (found.status, found.body, found.cut, found.redirects) == (200, b"<p>Hello</p>", False, ())
    assert found.headers["x-robots-tag"] == "noindex"
    [headers] = asked
    assert headers["path"] == "/p%C3%A4th?q=%C3%BC"
    assert headers["Host"] == f"site.example:{port}"
    assert "GuestPostCRM" in headers["User-Agent"]
    for secret in ("Cookie", "Authorization", "Referer"):
        assert secret not in headers


@pytest.mark.parametrize(
    "url",
    [
        "ftp://site.example/", "file:///etc/passwd", "javascript:alert(1)", "gopher://site.example/", "//x",
        "http://", "http:///x", "http://user:secret@site.example/", "http://site.example:0/",
        "http://site.example:99999/", "http://site.example/a b", "http://site.example/\r\nX: y",
        "http://[::1", "", "http://" + "a" * 5000,
    ],
)  # fmt: skip
def test_addresses_that_may_not_be_asked_for(url: str) -> None:
    assert problem(Client(LOCAL, names(site=["127.0.0.1"])), url) == "refused"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"],
)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    # The system's own resolver reads 2130706433 and 0x7f.1 as 127.0.0.1; it asks nobody for them.
    assert problem(Client(), f"http://{host}/") in ("refused", "no-name")


def test_a_name_of_a_private_address_is_refused_without_a_connection() -> None:
    connected: list[str] = []
    with server(lambda request: connected.append(request.path)) as port:
        client = Client((), names(inner=["127.0.0.1", "10.0.0.1", "::1"]))
        assert problem(client, f"http://inner.example:{port}/") == "refused"
        assert problem(client, "http://inner.example/") == "refused"
    assert not connected


def test_other_ports_than_the_webs_are_refused_also_at_public_addresses() -> None:
    client = Client((), names(site=["1.1.1.1"]))
    assert problem(client, "http://site.example:25/") == "refused"


def test_a_name_that_changes_its_mind_is_judged_and_used_once() -> None:
    # DNS rebinding: public when judged, private when connected to. The name is asked for once a request.
    answers = iter([["127.0.0.2"], ["10.0.0.1"]])
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    with server(page(b"reached"), host="127.0.0.2") as port:
        client = Client(networks("127.0.0.2/32"), resolve)
        assert client.fetch(f"http://rebind.example:{port}/").body == b"reached"
    assert asked == ["rebind.example"]


def test_of_several_addresses_only_one_that_may_be_connected_to_is_used() -> None:
    with server(page(b"reached")) as port:
        client = Client(LOCAL, names(mixed=["10.0.0.1", "nonsense", "127.0.0.1"]))
        assert client.fetch(f"http://mixed.example:{port}/").body == b"reached"


def redirecting(*targets: str, status: int = 302) -> Answer:
    """The request for /0 is sent to the first target, /1 to the second, and so on; then comes a page."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        at = int(request.path.strip("/") or 0)
        if at >= len(targets):
            return page(b"arrived")(request)
        request.send_response(status)
        request.send_header("Location", targets[at])
        request.send_header("Content-Length", "0")
        return request.end_headers()

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_remembered(status: int) -> None:
    with server(redirecting("/1", "2", status=status)) as port:
        root = f"http://site.example:{port}"
        found = Client(LOCAL, names(site=["127.0.0.1"])).fetch(f"{root}/0")
    assert (found.body, found.url, found.redirects) == (b"arrived", f"{root}/2", (f"{root}/0", f"{root}/1"))


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("http://inner.example/", "refused"),
        ("http://127.0.0.2/", "refused"),
        ("http://169.254.169.254/latest/meta-data/", "refused"),
        ("file:///etc/passwd", "refused"),
        ("ftp://site.example/", "refused"),
        ("http://user@site.example/", "refused"),
        ("http://unknown.example/", "no-name"),
        ("http://[", "refused"),
    ],
)
def test_a_redirect_leads_nowhere_that_may_not_be_asked(target: str, told: str) -> None:
    with server(redirecting(target)) as port:
        client = Client(networks("127.0.0.1/32"), names(site=["127.0.0.1"], inner=["10.1.1.1"]))
        assert problem(client, f"http://site.example:{port}/0") == told


def test_redirects_without_end_are_given_up() -> None:
    with server(redirecting(*["/0"] * 3)) as port:
        client = Client(LOCAL, names(site=["127.0.0.1"]))
        assert problem(client, f"http://site.example:{port}/0") == "too-many-redirects"


def test_a_body_is_cut_where_the_bound_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    client = Client(LOCAL, names(site=["127.0.0.1"]))
    with server(page(b"x" * 1000)) as port:
        found = client.fetch(f"http://site.example:{port}/")
        assert (len(found.body), found.cut) == (1000, False)
    with server(page(b"x" * 50_000)) as port:
        found = client.fetch(f"http://site.example:{port}/")
        assert (len(found.body), found.cut) == (1000, True)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_body_that_unpacks_to_a_thousand_times_its_size_is_cut(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    content = pack(b"\0" * 50_000_000)
    assert len(content) < 100_000
    encoding = "gzip" if pack is gzip.compress else "deflate"
    with server(page(content, Content_Encoding=encoding)) as port:
        found = Client(LOCAL, names(site=["127.0.0.1"])).fetch(f"http://site.example:{port}/")
    assert (len(found.body), found.cut) == (100_000, True)


def test_an_encoding_that_nobody_asked_for_is_no_page() -> None:
    with server(page(b"?", Content_Encoding="br")) as port:
        client = Client(LOCAL, names(site=["127.0.0.1"]))
        assert problem(client, f"http://site.example:{port}/") == "not-html"


def test_a_server_that_promises_more_than_it_sends_is_read_as_far_as_it_goes() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort")

    with server(answer) as port:
        found = Client(LOCAL, names(site=["127.0.0.1"])).fetch(f"http://site.example:{port}/")
    assert (found.body, found.cut) == (b"short", True)


@pytest.mark.parametrize(
    "sent",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"HTTP/1.1 xyz\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip"],
)  # fmt: skip
def test_what_is_no_http_is_no_answer(sent: bytes) -> None:
    with server(lambda request: request.wfile.write(sent) and None) as port:
        client = Client(LOCAL, names(site=["127.0.0.1"]))
        assert problem(client, f"http://site.example:{port}/") == "no-answer"


def test_nobody_there_is_no_answer() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    client = Client(LOCAL, names(site=["127.0.0.1"]))
    assert problem(client, f"http://site.example:{port}/") == "no-answer"


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, so that no single read ever times out."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


def trickle_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        request.wfile.write(b"y")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [trickle, trickle_headers], ids=["body", "headers"])
def test_a_server_that_trickles_holds_nobody_beyond_the_deadline(answer: Answer) -> None:
    with server(answer) as port:
        client = Client(LOCAL, names(site=["127.0.0.1"]), seconds=0.6)
        begun = time.monotonic()
        assert problem(client, f"http://site.example:{port}/") == "no-answer"
        assert time.monotonic() - begun < 5


def test_a_resolver_that_hangs_holds_nobody_beyond_the_deadline() -> None:
    ended = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        ended.wait(30)
        return []

    begun = time.monotonic()
    assert problem(Client(LOCAL, resolve, seconds=0.3), "http://site.example/") == "no-answer"
    assert time.monotonic() - begun < 5
    ended.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for site.example that only those trust who know it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", folder / "key", "-out", folder / "cert", "-days", "2", "-subj", "/CN=site.example",
            "-addext", "subjectAltName=DNS:site.example",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder / "cert", folder / "key"


def test_a_certificate_has_to_be_valid_and_for_this_name(certificate: tuple[Path, Path]) -> None:
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])
    known = names(site=["127.0.0.1"], other=["127.0.0.1"])
    with server(page(b"secret"), mine) as port:
        assert Client(LOCAL, known, trusting).fetch(f"https://site.example:{port}/").body == b"secret"
        assert problem(Client(LOCAL, known, trusting), f"https://other.example:{port}/") == "certificate"
        assert problem(Client(LOCAL, known), f"https://site.example:{port}/") == "certificate"


def test_nothing_of_the_environment_sends_it_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with server(page(b"straight")) as port:
        found = Client(LOCAL, names(site=["127.0.0.1"])).fetch(f"http://site.example:{port}/")
    assert found.body == b"straight"
