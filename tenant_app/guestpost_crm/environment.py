"""Everything the CRM needs from outside, read from environment variables once.

`docs/configuration.md` lists them all; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class SettingError(Exception):
    """A variable is missing or wrong; the message names it, and never a secret."""


@dataclass(frozen=True)
class Environment:
    """The CRM's settings; a field's name in capitals is its variable."""

    database_url: str
    public_url: str
    tenant_name: str
    tenant_uid: str
    owner_email: str
    django_secret_key_file: str
    tenant_key_file: str
    pubsub_topic: str
    pubsub_subscription: str
    google_client_id: str
    broker_url: str
    broker_token_file: str
    owner_name: str = ""
    broker_ca_file: str = ""
    kms_emulator_host: str = ""
    gmail_api_endpoint: str = "https://gmail.googleapis.com"
    google_issuer: str = "https://accounts.google.com"
    google_certs_url: str = "https://www.googleapis.com/oauth2/v1/certs"
    gmail_quota_units_per_minute: int = 6000
    tls_cert_file: str = ""
    tls_key_file: str = ""
    port: int = 8443
    metrics_port: int = 9090
    database_wait_seconds: int = 120
    support_contact: str = ""
    suspend_reason: str = ""
    erase_after: str = ""
    closing: str = ""
    log_level: str = "INFO"
    kubernetes_api_url: str = "https://kubernetes.default.svc"
    kubernetes_ca_file: str = ""
    kubernetes_token_file: str = ""
    namespace: str = ""
    approval_key_file: str = ""
    support_grant: str = ""
    support_folder: str = "/run/support"
    export_name: str = ""
    export_folder: str = "/export"
    export_url: str = "https://export-{name}:8443"
    export_ca_file: str = ""
    export_tls_name: str = ""
    quiet_poll_seconds: float = 300.0
    outbox_settle_seconds: float = 20.0
    undo_send_seconds: float = 10.0
    link_check_allow: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password_file: str = ""
    smtp_from: str = ""
    smtp_ca_file: str = ""

    @property
    def host(self) -> str:
        """Host and port of the CRM's address."""
        return urlsplit(self.public_url).netloc

    @property
    def secure(self) -> bool:
        """Whether browsers reach the CRM by https."""
        return urlsplit(self.public_url).scheme == "https"


def load(environment: Mapping[str, str] = os.environ) -> Environment:
    """Read the variables.

    Raises:
        SettingError: names what is missing or no number.
    """
    values: dict[str, Any] = {}
    for setting in fields(Environment):
        name = setting.name.upper()
        value = environment.get(name, "")
        if not value:
            if setting.default is not MISSING:
                continue
            raise SettingError(f"{name} is not set: see docs/configuration.md")
        try:
            values[setting.name] = {"int": int, "float": float}.get(str(setting.type), str)(value)
        except ValueError:
            raise SettingError(f"{name} must be a number") from None
    found = Environment(**values)
    if urlsplit(found.public_url).scheme not in ("http", "https") or not found.host:
        raise SettingError("PUBLIC_URL must be an address such as https://acme.example.com")
    _check_mail(found)
    return found


def _check_mail(found: Environment) -> None:
    """Whether the settings of the mail server fit together (SettingError)."""
    if not found.smtp_host:
        return
    if "@" not in found.smtp_from:
        raise SettingError("SMTP_FROM must be the address that notices come from")
    if found.smtp_security not in ("starttls", "tls", "none"):
        raise SettingError("SMTP_SECURITY must be starttls, tls or none")
    if found.smtp_user and found.smtp_security == "none":
        raise SettingError("SMTP_SECURITY none would send the password of SMTP_USER for all to read")


@lru_cache(maxsize=1)
def current() -> Environment:
    """The process's settings, read once (SettingError)."""
    return load()


def check() -> None:
    """Read what Django's settings are made of, without them and Django (SettingError)."""
    found = current()
    secret(found.django_secret_key_file, "DJANGO_SECRET_KEY_FILE")
    database(found.database_url)


def secret(path: str, name: str) -> bytes:
    """The content of a file that holds a secret (SettingError names the variable)."""
    try:
        content = Path(path).read_bytes().strip()
    except OSError as error:
        raise SettingError(f"{name}: can't read {path}: {error.strerror}") from None
    if not content:
        raise SettingError(f"{name}: {path} is empty")
    return content


def earlier(path: str) -> list[bytes]:
    """Secrets that were in use before the one in a file, from the file beside it that ends in `-fallbacks`.

    One a line, the latest first; a file that is not there is an empty one. They still open and check what
    they once sealed and signed, so that a rotation interrupts nobody.
    """
    try:
        return Path(f"{path}-fallbacks").read_bytes().split()
    except FileNotFoundError:
        return []


def database(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a PostgreSQL URL.

    Raises:
        SettingError: it is not such a URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise SettingError("DATABASE_URL must be postgresql://user:password@host:port/name")
    options: dict[str, Any] = {key: value[0] for key, value in parse_qs(parts.query).items()}
    host = options.pop("host", None) or parts.hostname or ""
    # PostgreSQL compiles what it takes for long queries, for longer than ours last:
    # https://www.postgresql.org/docs/17/jit-decision.html
    settings = f"-c jit=off {options.pop('options', '')}".strip()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "guestpost-crm",
            "options": settings,
            **options,
        },
    }
