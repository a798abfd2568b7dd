"""Settings, by environment and files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = "guestpost-system"
RUNBOOKS = "https://guestpostcrm.com/docs/runbooks/"


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message says which, and never its value."""


@dataclass(frozen=True)
class Oidc:
    """The issuer that the cluster's API server trusts too.

    Attributes:
        issuer: its address, as in its tokens.
        client_id: the dashboard's client there, which the API server accepts as audience.
        client_secret: empty for a public client; PKCE is used in any case.
        scopes: what is asked for.
        ca_file: trust for the issuer; empty for the system's.
        username_claim: what names the person, as the API server's --oidc-username-claim.
        username_prefix: what the API server puts before it.
        groups_claim: as --oidc-groups-claim.
        groups_prefix: as --oidc-groups-prefix.
    """

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    ca_file: str
    username_claim: str
    username_prefix: str
    groups_claim: str
    groups_prefix: str

    def __repr__(self) -> str:
        return f"Oidc({self.issuer!r})"


@dataclass(frozen=True)
class Impersonation:
    """Whom the dashboard may act as, as its ClusterRole says; the API server refuses calls that name others.

    Attributes:
        users: names of people.
        groups: that they may be members of. Further groups that the issuer tells of are left out.
    """

    users: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True)
class Settings:
    """Everything the dashboard has to be told.

    Attributes:
        url: the address that people open, without a path.
        kubernetes_url: of the API server.
        kubernetes_ca_file: trust for it.
        kubernetes_token_file: the dashboard's own token, which watches the tenants; read each time.
        oidc: how people sign in; None for a pasted token, in development.
        impersonation: whom the dashboard may act as, where calls carry its own token and the person's name
            and groups (the cluster does not know the issuer); None where they carry the person's own token.
        session_keys: of Fernet; the first one encrypts, all of them decrypt.
        session_seconds: how long a session lasts at most.
        idle_seconds: how long it lasts without a request of the person.
        operator_namespace: where people pause the rollout.
        runbooks: address of docs/runbooks, with a slash at its end.
        tls_cert_file: empty to serve plain HTTP behind a gateway.
        tls_key_file: its key.
        host: where to listen.
        port: where to listen.
    """

    url: str
    kubernetes_url: str
    kubernetes_ca_file: str
    kubernetes_token_file: str
    oidc: Oidc | None
    session_keys: tuple[str, ...]
    impersonation: Impersonation | None = None
    session_seconds: int = 8 * 3600
    idle_seconds: int = 30 * 60
    operator_namespace: str = NAMESPACE
    runbooks: str = RUNBOOKS
    tls_cert_file: str = ""
    tls_key_file: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's address is not known beforehand
    port: int = 8000

    def __repr__(self) -> str:
        return f"Settings({self.url!r})"

    @property
    def secure(self) -> bool:
        """Whether people come by TLS: then cookies are `__Host-` and browsers are told to stay with it."""
        return self.url.startswith("https://")


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read settings.

    Raises:
        ConfigurationError: names the variable and what it should hold.
    """
    oidc = _oidc(environment)
    return Settings(
        url=_url(environment, oidc),
        kubernetes_url=_kubernetes_url(environment),
        kubernetes_ca_file=_file(environment, "KUBERNETES_CA_FILE", str(ACCOUNT / "ca.crt")),
        kubernetes_token_file=_file(environment, "KUBERNETES_TOKEN_FILE", str(ACCOUNT / "token")),
        oidc=oidc,
        impersonation=_impersonation(environment, oidc),
        session_keys=_session_keys(environment),
        session_seconds=_number(environment, "SESSION_SECONDS", 8 * 3600, 8 * 3600),
        idle_seconds=_number(environment, "IDLE_SECONDS", 30 * 60, 8 * 3600),
        operator_namespace=environment.get("OPERATOR_NAMESPACE") or NAMESPACE,
        runbooks=environment.get("RUNBOOKS_URL") or RUNBOOKS,
        tls_cert_file=_file(environment, "TLS_CERT_FILE", ""),
        tls_key_file=_file(environment, "TLS_KEY_FILE", ""),
        host=environment.get("HOST") or "0.0.0.0",  # noqa: S104 - see above
        port=_number(environment, "PORT", 8000, 65535),
    )


def _url(environment: Mapping[str, str], oidc: Oidc | None) -> str:
    url = (environment.get("DASHBOARD_URL") or "").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path or parts.query:
        raise ConfigurationError(
            "DASHBOARD_URL must be the address that people open, https://<host> without a path"
        )
    local = (
        parts.hostname == "localhost"
        or parts.hostname.endswith(".localhost")
        or parts.hostname == "127.0.0.1"
    )
    if parts.scheme == "http" and not local:
        raise ConfigurationError("DASHBOARD_URL must begin with https:// unless the host is this machine")
    if oidc is None and not local and environment.get("SIGN_IN") != "token":
        raise ConfigurationError(
            "OIDC_ISSUER is not set: name the cluster's issuer, or set SIGN_IN=token to paste tokens"
        )
    return url


def _kubernetes_url(environment: Mapping[str, str]) -> str:
    if url := environment.get("KUBERNETES_URL"):
        if not url.startswith("https://"):
            raise ConfigurationError("KUBERNETES_URL must begin with https://")
        return url.rstrip("/")
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigurationError("KUBERNETES_URL is not set, and this is not a pod of a cluster")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _oidc(environment: Mapping[str, str]) -> Oidc | None:
    issuer = environment.get("OIDC_ISSUER", "")
    if not issuer:
        return None
    if not issuer.startswith("https://"):
        raise ConfigurationError("OIDC_ISSUER must begin with https://")
    if not (client_id := environment.get("OIDC_CLIENT_ID", "")):
        raise ConfigurationError("OIDC_CLIENT_ID is not set")
    secret_file = _file(environment, "OIDC_CLIENT_SECRET_FILE", "")
    scopes = environment.get("OIDC_SCOPES") or "openid email"
    if "openid" not in scopes.split():
        raise ConfigurationError("OIDC_SCOPES must contain openid")
    return Oidc(
        issuer=issuer,
        client_id=client_id,
        client_secret=Path(secret_file).read_text(encoding="utf-8").strip() if secret_file else "",
        scopes=scopes,
        ca_file=_file(environment, "OIDC_CA_FILE", ""),
        username_claim=environment.get("OIDC_USERNAME_CLAIM") or "email",
        username_prefix=environment.get("OIDC_USERNAME_PREFIX", ""),
        groups_claim=environment.get("OIDC_GROUPS_CLAIM") or "groups",
        groups_prefix=environment.get("OIDC_GROUPS_PREFIX", ""),
    )


def _impersonation(environment: Mapping[str, str], oidc: Oidc | None) -> Impersonation | None:
    identity = environment.get("IDENTITY", "token")
    if identity not in {"token", "impersonation"}:
        raise ConfigurationError("IDENTITY must be token or impersonation")
    if identity == "token":
        return None
    if oidc is None:
        raise ConfigurationError("IDENTITY impersonation needs OIDC_ISSUER: a pasted token proves itself")
    users, groups = (_names(environment, f"IMPERSONATE_{what}") for what in ("USERS", "GROUPS"))
    if not users:
        raise ConfigurationError("IDENTITY impersonation needs IMPERSONATE_USERS: the people to act as")
    return Impersonation(users, groups)


def _names(environment: Mapping[str, str], name: str) -> frozenset[str]:
    """A JSON list of names; those of directories have commas and spaces in them."""
    try:
        found = json.loads(environment.get(name) or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise ConfigurationError(f'{name} must be a JSON list of names, such as ["sam@example.com"]')
    return frozenset(found)


def _session_keys(environment: Mapping[str, str]) -> tuple[str, ...]:
    """One key a line, the newest first; without a file, one that ends with the process."""
    if not (path := _file(environment, "SESSION_KEYS_FILE", "")):
        return (Fernet.generate_key().decode(),)
    keys = tuple(Path(path).read_text(encoding="utf-8").split())
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = ()
    if not keys:
        raise ConfigurationError("SESSION_KEYS_FILE must hold keys of 32 random bytes, base64url, one a line")
    return keys


def _file(environment: Mapping[str, str], name: str, default: str) -> str:
    path = environment.get(name) or default
    if path and not Path(path).is_file():
        raise ConfigurationError(f"{name}: no such file {path}")
    return path


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= most:
        raise ConfigurationError(f"{name} must be a number from 1 to {most}")
    return int(value)
