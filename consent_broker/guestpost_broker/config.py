"""Settings, by environment and files; read once at the start."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GOOGLE = {
    "GOOGLE_AUTH_URL": "https://accounts.google.com/o/oauth2/v2/auth",
    "GOOGLE_TOKEN_URL": "https://oauth2.googleapis.com/token",
    "GOOGLE_REVOKE_URL": "https://oauth2.googleapis.com/revoke",
    "GOOGLE_ISSUER": "https://accounts.google.com",
    "GOOGLE_CERTS_URL": "https://www.googleapis.com/oauth2/v1/certs",
}


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
class SealKey:
    """A key that seals refresh tokens; 32 bytes."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"SealKey({self.id!r})"


@dataclass(frozen=True)
class Config:
    """Everything the broker has to be told.

    Attributes:
        clients: OAuth client by Google project.
        redirect_uri: the one that is registered with Google.
        state_key: signs states, at least 32 bytes.
        seal_keys: the first seals, all open.
        claim_key: names mailbox claims, at least 32 bytes.
    """

    clients: Mapping[str, GoogleClient]
    redirect_uri: str
    auth_url: str
    token_url: str
    revoke_url: str
    issuer: str
    certs_url: str
    state_key: bytes
    seal_keys: tuple[SealKey, ...]
    claim_key: bytes
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
        redirect_uri=_required(environment, "REDIRECT_URI"),
        auth_url=google["GOOGLE_AUTH_URL"],
        token_url=google["GOOGLE_TOKEN_URL"],
        revoke_url=google["GOOGLE_REVOKE_URL"],
        issuer=google["GOOGLE_ISSUER"],
        certs_url=google["GOOGLE_CERTS_URL"],
        state_key=_key(environment, "STATE_KEY_FILE"),
        seal_keys=_seal_keys(_path(environment, "SEAL_KEYS_FILE")),
        claim_key=_key(environment, "CLAIM_KEY_FILE"),
        tls_cert_file=environment.get("TLS_CERT_FILE", ""),
        tls_key_file=environment.get("TLS_KEY_FILE", ""),
        port=_port(environment, "PORT", 8443),
        metrics_port=_port(environment, "METRICS_PORT", 9090),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name, "")):
        raise ConfigurationError(f"{name} is not set: see docs/consent-broker.md")
    return value


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdigit() or int(value) > 65535:
        raise ConfigurationError(f"{name} must be a port from 0 to 65535")
    return int(value)


def _path(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name))
    if not path.is_file():
        raise ConfigurationError(f"{name}: no such file {path}")
    return path


def _key(environment: Mapping[str, str], name: str) -> bytes:
    key = _path(environment, name).read_bytes().strip()
    if len(key) < 32:
        raise ConfigurationError(f"{name}: the file must hold at least 32 random bytes")
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


def _seal_keys(path: Path) -> tuple[SealKey, ...]:
    content = _json(path)
    try:
        keys = tuple(
            SealKey(str(item["id"]), base64.b64decode(item["key"], validate=True))
            for item in content  # type: ignore[attr-defined]
        )
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(f'{path} must hold [{{"id", "key": 32 bytes in base 64}}]') from None
    if not keys or any(len(key.key) != 32 or "." in key.id or not key.id for key in keys):
        raise ConfigurationError(f"{path}: keys are 32 bytes in base 64, with ids without dots")
    return keys
