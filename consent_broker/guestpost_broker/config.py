"""Settings, by environment and files; files are read again when they change (reloading.py)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from guestpost_broker import keys
from guestpost_broker.keys import KeyRing
from guestpost_broker.pacing import SETTLE_SECONDS

GOOGLE = {
    "GOOGLE_AUTH_URL": "https://accounts.google.com/o/oauth2/v2/auth",
    "GOOGLE_TOKEN_URL": "https://oauth2.googleapis.com/token",
    "GOOGLE_REVOKE_URL": "https://oauth2.googleapis.com/revoke",
    "GOOGLE_ISSUER": "https://accounts.google.com",
    "GOOGLE_CERTS_URL": "https://www.googleapis.com/oauth2/v1/certs",
}
# Where Google sends people back to; tenants have the same path on their own hosts.
CALLBACK = "/oauth/callback"
# Variables that name files.
FILES = (
    "GOOGLE_CLIENTS_FILE",
    "STATE_KEYS_FILE",
    "SEAL_KEYS_FILE",
    "CLAIM_KEY_FILE",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
)
# Gmail's quotas of a project that was made after 2026-05-01, and of a user of it, in units a minute:
# https://developers.google.com/workspace/gmail/api/reference/quota
PROJECT_UNITS = 1_200_000
USER_UNITS = 6_000


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message says which, and never its value."""


@dataclass(frozen=True)
class GoogleClient:
    """The OAuth client of one Google project."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"GoogleClient({self.client_id!r})"


@dataclass(frozen=True)
class Config:
    """Everything the broker has to be told.

    Attributes:
        clients: OAuth client by Google project.
        redirect_uri: the one that is registered with Google.
        state_keys: sign states.
        seal_keys: seal refresh tokens.
        claim_key: names mailbox claims, at least 32 bytes.
        project_units: Gmail's quota of a project, in units a minute, for those not in units_by_project.
        user_units: Gmail's quota of a user, in units a minute.
        replicas: how many brokers share the projects' quota.
        settle_seconds: how long after the start no share of it is given.
    """

    clients: Mapping[str, GoogleClient]
    redirect_uri: str
    auth_url: str
    token_url: str
    revoke_url: str
    issuer: str
    certs_url: str
    state_keys: KeyRing
    seal_keys: KeyRing
    claim_key: bytes
    project_units: int = PROJECT_UNITS
    units_by_project: Mapping[str, int] = field(default_factory=dict)
    user_units: int = USER_UNITS
    replicas: int = 1
    settle_seconds: int = SETTLE_SECONDS
    tls_cert_file: str = ""
    tls_key_file: str = ""
    port: int = 8443
    metrics_port: int = 9090

    def __repr__(self) -> str:
        return f"Config(redirect_uri={self.redirect_uri!r})"


def load(environment: Mapping[str, str] = os.environ) -> Config:
    """Read settings.

    Raises:
        ConfigurationError: names the variable and what it should hold.
    """
    google = {name: environment.get(name) or default for name, default in GOOGLE.items()}
    return Config(
        clients=_clients(_path(environment, "GOOGLE_CLIENTS_FILE")),
        redirect_uri=_redirect_uri(environment),
        auth_url=google["GOOGLE_AUTH_URL"],
        token_url=google["GOOGLE_TOKEN_URL"],
        revoke_url=google["GOOGLE_REVOKE_URL"],
        issuer=google["GOOGLE_ISSUER"],
        certs_url=google["GOOGLE_CERTS_URL"],
        state_keys=_ring(environment, "STATE_KEYS_FILE"),
        seal_keys=_ring(environment, "SEAL_KEYS_FILE"),
        claim_key=_secret(environment, "CLAIM_KEY_FILE"),
        project_units=_number(environment, "GMAIL_PROJECT_UNITS_PER_MINUTE", PROJECT_UNITS, 10**9),
        units_by_project=_units_by_project(environment),
        user_units=_number(environment, "GMAIL_USER_UNITS_PER_MINUTE", USER_UNITS, 10**9),
        replicas=_number(environment, "REPLICAS", 1, 1000),
        settle_seconds=_number(environment, "BACKFILL_SETTLE_SECONDS", SETTLE_SECONDS, 3600, least=0),
        tls_cert_file=environment.get("TLS_CERT_FILE", ""),
        tls_key_file=environment.get("TLS_KEY_FILE", ""),
        port=_number(environment, "PORT", 8443, 65535, least=0),
        metrics_port=_number(environment, "METRICS_PORT", 9090, 65535, least=0),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name, "")):
        raise ConfigurationError(f"{name} is not set: see docs/consent-broker.md")
    return value


def _redirect_uri(environment: Mapping[str, str]) -> str:
    uri = _required(environment, "REDIRECT_URI")
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path != CALLBACK or parts.query:
        raise ConfigurationError(f"REDIRECT_URI must be https://<host>{CALLBACK}, as registered with Google")
    return uri


def _number(environment: Mapping[str, str], name: str, default: int, most: int, least: int = 1) -> int:
    value = environment.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ConfigurationError(f"{name} must be a number from {least} to {most}")
    return int(value)


def _units_by_project(environment: Mapping[str, str]) -> dict[str, int]:
    name = "GMAIL_UNITS_PER_MINUTE_BY_PROJECT"
    try:
        units = json.loads(environment.get(name) or "{}")
        if not all(isinstance(value, int) and value > 0 for value in units.values()):
            raise ValueError("not numbers")
        return {str(project): value for project, value in units.items()}
    except (ValueError, AttributeError):
        raise ConfigurationError(f'{name} must be JSON such as {{"acme-crm-prod": 1200000}}') from None


def _path(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name))
    if not path.is_file():
        raise ConfigurationError(f"{name}: no such file {path}")
    return path


def _secret(environment: Mapping[str, str], name: str) -> bytes:
    key = _path(environment, name).read_bytes().strip()
    if len(key) < keys.SIZE:
        raise ConfigurationError(f"{name}: the file must hold at least {keys.SIZE} random bytes")
    return key


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigurationError(f"{path} is not JSON") from None


def _clients(path: Path) -> dict[str, GoogleClient]:
    content = _json(path)
    if not isinstance(content, dict) or not content:
        raise ConfigurationError(f'{path} must hold {{"<project>": {{"client_id", "client_secret"}}}}')
    try:
        return {
            str(project): GoogleClient(str(client["client_id"]), str(client["client_secret"]))
            for project, client in content.items()
        }
    except (KeyError, TypeError):
        raise ConfigurationError(f"{path}: every project needs client_id and client_secret") from None


def _ring(environment: Mapping[str, str], name: str) -> KeyRing:
    path = _path(environment, name)
    try:
        return keys.parse(_json(path))
    except keys.KeysError as error:
        raise ConfigurationError(f"{path}: {error}") from None
