"""A mail server on 127.0.0.1 that keeps what it is given: TLS by a certificate of its own, and a password."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from localkube.process import free_port

USER, PASSWORD = "relay", "password-of-the-relay"
OK = "250 OK"


@dataclass
class MailServer:
    """What it was given, and what it answers.

    Attributes:
        received: every message that it took, oldest first.
        signed_in: names that somebody signed in with.
        rcpt, data: the answers to RCPT TO and to DATA.
    """

    port: int
    ca_file: Path
    received: list[EmailMessage] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    rcpt: str = OK
    data: str = OK

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """Take a recipient, or refuse it."""
        if self.rcpt == OK:
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a message, or refuse it."""
        if self.data == OK:
            message: Any = message_from_bytes(envelope.content, policy=policy.default)
            self.received.append(message)
        return self.data

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any
    ) -> AuthResult:
        """Whether somebody may send."""
        right = isinstance(given, LoginPassword) and given == LoginPassword(USER.encode(), PASSWORD.encode())
        if right:
            self.signed_in.append(USER)
        # It is the library that answers.
        return AuthResult(success=right, handled=False)


def certificate(folder: Path) -> Path:
    """A self-signed certificate with its key for localhost, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "mail-server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def mail_server(folder: Path, security: str = "starttls", *, password: bool = True) -> Iterator[MailServer]:
    """Run one.

    Args:
        folder: for its certificate.
        security: starttls, tls or none, as SMTP_SECURITY has them.
        password: whether it asks for one.
    """
    server = MailServer(free_port(), certificate(folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.ca_file)
    options: dict[str, Any] = {"authenticator": server.authenticate, "auth_required": password}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    else:
        # It asks for a password only after STARTTLS, which neither of these has.
        options["auth_require_tls"] = False
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        ssl_context=context if security == "tls" else None,
        **options,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
