"""Handing notices to the mail server of the service: SMTP with TLS (RFC 3207, RFC 8314)."""

from __future__ import annotations

import smtplib
import ssl
from typing import Protocol

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils.functional import cached_property

from guestpost_crm import environment
from guestpost_crm.environment import Environment, current

_SECONDS = 20


class MailError(Exception):
    """A notice was not taken.

    Attributes:
        problem: why, in a word; neither addresses nor what the server said, which may have them.
        final: whether trying again is of no use.
    """

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.final = final


class Mailer(Protocol):
    """Somebody who delivers mail."""

    def send(self, message: EmailMessage) -> None:
        """Deliver one message, or raise MailError."""


class _Backend(EmailBackend):
    """Django's, with a certificate authority of one's own."""

    ca_file = ""

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Checks the server's certificate and name."""
        return ssl.create_default_context(cafile=self.ca_file or None)


class Smtp:
    """The server that the settings name; a connection for each message, for they are few."""

    def send(self, message: EmailMessage) -> None:
        """Deliver one message, or raise MailError."""
        settings = current()
        backend = _backend(settings)
        try:
            backend.send_messages([message])
        except (smtplib.SMTPException, OSError, ValueError, environment.SettingError) as error:
            raise problem(error) from None


def _backend(settings: Environment) -> _Backend:
    password = ""
    if settings.smtp_user:
        password = environment.secret(settings.smtp_password_file, "SMTP_PASSWORD_FILE").decode()
    backend = _Backend(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_user,
        password=password,
        use_tls=settings.smtp_security == "starttls",
        use_ssl=settings.smtp_security == "tls",
        timeout=_SECONDS,
    )
    backend.ca_file = settings.smtp_ca_file
    return backend


# The first that fits counts: errors of certificates are wrong values too.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (smtplib.SMTPAuthenticationError, "sign-in-refused"),
    (smtplib.SMTPNotSupportedError, "no-tls"),
    (ssl.SSLError, "certificate"),
    (environment.SettingError, "no-password"),
    (ValueError, "not-writable"),
)


def problem(error: Exception) -> MailError:
    """What an error means for the notice: 5yz stays so, 4yz may change (RFC 5321, section 4.2.1)."""
    code = _code(error)
    if code:
        return MailError(f"smtp-{code}", final=500 <= code < 600)
    word = next((word for kind, word in _WORDS if isinstance(error, kind)), "no-answer")
    # An address or a name that can't stand in a header never will.
    return MailError(word, final=word == "not-writable")


def _code(error: Exception) -> int:
    """What the server answered to a message or its recipient; a wrong password may be put right."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next((code for code, _said in error.recipients.values()), 0)
    if isinstance(error, smtplib.SMTPResponseException) and not isinstance(
        error, smtplib.SMTPAuthenticationError
    ):
        return error.smtp_code
    return 0
