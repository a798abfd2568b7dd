"""Asking a server somewhere on the internet, and nowhere else: pages of links, receivers of webhooks.

Names are resolved here; every address is judged before it is connected to, and it is that very address that
is connected to, so a name that changes its mind between the two (DNS rebinding) gains nothing. The same
happens again at each redirect. Size, time and the number of redirects are bounded; there are no cookies,
no credentials and no proxies.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from guestpost_crm.outreach.linkcheck.addresses import Address, Network, is_public, is_within

MOST_BYTES = 2 << 20
MOST_REDIRECTS = 5
SECONDS = 20.0
AGENT = "GuestPostCRM/1.0 (looks whether links that were agreed on are there, and tells webhooks)"
_PORTS = {"http": 80, "https": 443}
_MOVED = (301, 302, 303, 307, 308)
_MOST_ADDRESS = 4000
Resolver = Callable[[str, int], Sequence[str]]


class FetchError(Exception):
    """The page could not be fetched; `problem` is a word of views.placements.PROBLEMS."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Fetched:
    """An answer.

    Attributes:
        url: where it came from at last.
        redirects: the addresses that led there, the first one included; empty without redirects.
        status: of HTTP.
        headers: names in lower case; of several values of one name each is a line.
        body: decoded of its transfer and content encoding.
        cut: whether there was more than was read, or than the server sent in the end.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False
    redirects: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Post:
    """What a POST sends."""

    body: bytes
    headers: dict[str, str]


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a name as the system knows them (OSError)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@cache
def _system_trust() -> ssl.SSLContext:
    # A hundred and more certificates: loaded once, as links and webhooks each have a client.
    return ssl.create_default_context()


@dataclass
class Client:
    """Fetches pages.

    Attributes:
        allowed: networks that may be connected to besides the public internet, at any port; for tests.
        resolver: gives the addresses of a name.
        tls: how servers prove who they are; the system's certificates by default.
        seconds: for everything together: names, connections, redirects, the body.
    """

    allowed: tuple[Network, ...] = ()
    resolver: Resolver = system_resolver
    tls: ssl.SSLContext = field(default_factory=_system_trust)
    seconds: float = SECONDS

    def fetch(self, url: str) -> Fetched:
        """A page, wherever its redirects lead.

        Raises:
            FetchError: it may not be asked for, or there was no answer.
        """
        deadline = time.monotonic() + self.seconds
        visited: list[str] = []
        while True:
            answer = self._ask(url, deadline)
            target = answer.headers.get("location", "").partition("\n")[0]
            if answer.status not in _MOVED or not target:
                return Fetched(
                    answer.url, answer.status, answer.headers, answer.body, answer.cut, tuple(visited)
                )
            visited.append(url)
            if len(visited) > MOST_REDIRECTS:
                raise FetchError("too-many-redirects")
            url = _joined(url, target)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Fetched:
        """Send something to an address; a redirect is an answer like any other and not followed.

        Raises:
            FetchError: it may not be asked, or there was no answer.
        """
        return self._ask(url, time.monotonic() + self.seconds, _Post(body, dict(headers)))

    def _ask(self, url: str, deadline: float, post: _Post | None = None) -> Fetched:
        parts = _checked(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        address = self._address(host, port, deadline)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with (
                _connected(address, port, deadline) as plain,
                self._secured(plain, host) if parts.scheme == "https" else plain as link,
            ):
                answer = _exchange(link, parts.netloc, path, url, post)
        except FetchError:
            raise
        except ssl.SSLCertVerificationError:
            raise FetchError("certificate") from None
        except (OSError, http.client.HTTPException, zlib.error, ValueError):
            raise FetchError("no-answer") from None
        if time.monotonic() >= deadline:
            # The connection was torn down: what looks like the page's end is none.
            raise FetchError("no-answer")
        return answer

    def _secured(self, plain: socket.socket, host: str) -> socket.socket:
        return self.tls.wrap_socket(plain, server_hostname=host)

    def _address(self, host: str, port: int, deadline: float) -> Address:
        """An address of a host that may be connected to; judged here, used as it is."""
        for text in self._resolved(host, port, deadline):
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                continue
            if is_within(address, self.allowed) or (is_public(address) and port in _PORTS.values()):
                return address
        raise FetchError("refused")

    def _resolved(self, host: str, port: int, deadline: float) -> Sequence[str]:
        """What the resolver says in time; it can't be interrupted, so it is left behind when it is late."""
        with suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="resolver")
        try:
            found = pool.submit(self.resolver, host, port).result(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            raise FetchError("no-answer") from None
        except (OSError, UnicodeError):
            raise FetchError("no-name") from None
        finally:
            pool.shutdown(wait=False)
        if not found:
            raise FetchError("no-name")
        return found


def _checked(url: str) -> SplitResult:
    """An address that may be asked for: http or https at their own ports, without credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise FetchError("refused") from None
    unfit = any(ord(letter) <= 32 or ord(letter) == 127 for letter in url) or len(url) > _MOST_ADDRESS
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or port == 0 or unfit:
        raise FetchError("refused")
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    return parts._replace(netloc=netloc, path=_ascii(parts.path), query=_ascii(parts.query))


def _ascii(text: str) -> str:
    return "".join(each if each.isascii() else quote(each) for each in text)


def _joined(url: str, target: str) -> str:
    # Servers send addresses as UTF-8 that http.client reads as Latin-1.
    with suppress(UnicodeError):
        target = target.encode("latin-1").decode()
    try:
        return urljoin(url, target.strip()).partition("#")[0].replace(" ", "%20")
    except ValueError:
        raise FetchError("refused") from None


@contextmanager
def _connected(address: Address, port: int, deadline: float) -> Iterator[socket.socket]:
    """A connection that is torn down at the deadline, whoever waits on it by then.

    A timeout alone bounds one read; a server that sends a byte now and then would hold us for ever.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise FetchError("no-answer")
    link = socket.create_connection((str(address), port), timeout=left)
    guard = link.dup()

    def cut() -> None:
        with suppress(OSError):
            guard.shutdown(socket.SHUT_RDWR)

    alarm = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    alarm.daemon = True
    alarm.start()
    try:
        yield link
    finally:
        alarm.cancel()
        link.close()
        guard.close()


def _exchange(link: socket.socket, host: str, path: str, url: str, post: _Post | None) -> Fetched:
    method, sent = ("POST", post.body) if post else ("GET", b"")
    headers = {"Host": host, "User-Agent": AGENT, "Connection": "close"}
    if post:
        headers |= {**post.headers, "Content-Length": str(len(sent))}
    else:
        headers |= {
            "Accept": "text/html,application/xhtml+xml",
            "Accept-Encoding": "gzip",
            "Accept-Language": "en;q=0.5, *;q=0.1",
        }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    link.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + sent)
    answer = http.client.HTTPResponse(link, method=method, url=url)
    with answer:
        answer.begin()
        told: dict[str, str] = {}
        for name, value in answer.getheaders():
            known = told.get(name.lower())
            told[name.lower()] = f"{known}\n{value}" if known is not None else value
        # Nobody reads what a receiver answers to a POST beyond its status.
        body, cut = (b"", False) if post or answer.status in _MOVED else _body(answer, told)
    return Fetched(url, answer.status, told, body, cut)


def _body(answer: http.client.HTTPResponse, headers: dict[str, str]) -> tuple[bytes, bool]:
    """The body, at most MOST_BYTES of it, before and after it is unpacked."""
    raw = bytearray()
    short = False
    while len(raw) <= MOST_BYTES:
        try:
            piece = answer.read(min(65_536, MOST_BYTES + 1 - len(raw)))
        except http.client.IncompleteRead as error:
            raw += error.partial
            short = True
            break
        if not piece:
            # Some servers promise more than they send: what came is read, and known to be cut.
            short = bool(answer.length)
            break
        raw += piece
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        # 47: gzip or zlib by what stands at its beginning; never more than is asked for comes out.
        unpacked = zlib.decompressobj(47).decompress(bytes(raw), MOST_BYTES + 1)
        return unpacked[:MOST_BYTES], short or max(len(unpacked), len(raw)) > MOST_BYTES
    if encoding not in ("identity", ""):
        raise FetchError("not-html")
    return bytes(raw[:MOST_BYTES]), short or len(raw) > MOST_BYTES
