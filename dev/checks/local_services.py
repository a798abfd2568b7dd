"""What tests and benchmarks start beside the CRM: a throw-away PostgreSQL, and the consent broker.

Everything listens on 127.0.0.1 or on a socket, and ends with the block that started it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import uvicorn
from guestpost_broker import app
from guestpost_broker.config import Config, load
from guestpost_broker.google import HttpGoogle
from guestpost_broker.kubernetes import Claim, Tenant
from guestpost_broker.limits import RateLimit
from guestpost_broker.service import Broker

PROJECT = "guestpost-dev"
CLIENT_ID = "guestpost-dev.apps.googleusercontent.com"
CLIENT_SECRET = "client-secret-of-the-broker"  # noqa: S105 - opens nothing but the stand-in
REDIRECT = "http://broker.localhost/oauth/callback"


class MissingPostgresError(Exception):
    """PostgreSQL's server programs are not installed."""


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise MissingPostgresError("PostgreSQL's server is not installed: run dev/bootstrap")
    return found[-1].parent


@contextmanager
def postgres() -> Iterator[str]:
    """A server that listens on a socket only, with nothing forced to disk; gives a database's address.

    Raises:
        MissingPostgresError: its programs are not there.
    """
    programs = _programs()
    # A short path, for names of sockets are short.
    home = Path(tempfile.mkdtemp(prefix="gp-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        shutil.chown(home, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    data = str(home / "data")
    initdb = [
        str(programs / "initdb"),
        "-D",
        data,
        "-U",
        "crm",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run([*as_user, *initdb, "--no-sync"], check=True, capture_output=True)
    options = f"-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -k {home}"
    control = [*as_user, str(programs / "pg_ctl"), "-D", data, "-w"]
    subprocess.run(
        [*control, "-l", str(home / "log"), "-o", options, "start"], check=True, capture_output=True
    )
    try:
        createdb = [str(programs / "createdb"), "-h", str(home), "-U", "crm", "crm"]
        subprocess.run([*as_user, *createdb], check=True)
        yield f"postgresql://crm@/crm?host={home}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)
        shutil.rmtree(home)


@dataclass
class MemoryKubernetes:
    """The Kubernetes that the broker sees: tokens, tenants and claims in memory."""

    users: dict[str, str] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def add(self, name: str, url: str, account: str = "web") -> str:
        """A tenant that is Ready; returns the token of its pod."""
        self.tenants[name] = Tenant(name, f"uid-of-{name}", PROJECT, url, f"gpt-{name}", deleting=False)
        token = f"token-of-{name}-{account}"
        self.users[token] = f"system:serviceaccount:gpt-{name}:{account}"
        return token

    async def review(self, token: str) -> str | None:
        """See guestpost_broker.kubernetes.Kubernetes, as all that follow."""
        return self.users.get(token)

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by name."""
        return self.tenants.get(name)

    async def create_claim(self, claim: Claim) -> bool:
        """Make a claim, unless there is one of this name."""
        if claim.name in self.claims:
            return False
        self.claims[claim.name] = replace(claim, uid=f"claim-{len(self.claims)}")
        return True

    async def claim(self, name: str) -> Claim | None:
        """A claim by name."""
        return self.claims.get(name)

    async def delete_claim(self, claim: Claim) -> None:
        """Remove this very claim."""
        if self.claims.get(claim.name) == claim:
            del self.claims[claim.name]


@dataclass
class BrokerServer:
    """A running broker."""

    url: str
    kubernetes: MemoryKubernetes
    config: Config


def _config(google: str, folder: Path) -> Config:
    clients = {PROJECT: {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}
    (folder / "clients").write_text(json.dumps(clients))
    (folder / "seal").write_text(json.dumps([{"id": "1", "key": base64.b64encode(b"s" * 32).decode()}]))
    (folder / "key").write_bytes(b"k" * 32)
    return load(
        {
            "GOOGLE_CLIENTS_FILE": str(folder / "clients"),
            "SEAL_KEYS_FILE": str(folder / "seal"),
            "STATE_KEY_FILE": str(folder / "key"),
            "CLAIM_KEY_FILE": str(folder / "key"),
            "REDIRECT_URI": REDIRECT,
            "GOOGLE_AUTH_URL": f"{google}/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{google}/token",
            "GOOGLE_REVOKE_URL": f"{google}/revoke",
            "GOOGLE_ISSUER": google,
            "GOOGLE_CERTS_URL": f"{google}/oauth2/v1/certs",
        }
    )


@contextmanager
def broker(google: str, folder: Path) -> Iterator[BrokerServer]:
    """The real broker on 127.0.0.1, with a Kubernetes in memory.

    Args:
        google: address of Google's stand-in.
        folder: for its keys.
    """
    config, kubernetes = _config(google, folder), MemoryKubernetes()
    work = Broker(config, HttpGoogle(config, httpx.AsyncClient()), kubernetes)

    async def ready() -> bool:
        return True

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    application = app.create(work, ready, RateLimit(per_minute=100_000, burst=10_000))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        thread.join(0.01)
    yield BrokerServer(f"http://127.0.0.1:{listener.getsockname()[1]}", kubernetes, config)
    server.should_exit = True
    thread.join(10)
