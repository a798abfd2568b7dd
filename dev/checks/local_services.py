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
import uuid
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
from guestpost_broker.limits import RATES, Rate
from guestpost_broker.service import Broker
from starlette.applications import Starlette

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


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _control(home: Path, *command: str) -> None:
    data = ["-D", str(home / "data"), "-w"]
    subprocess.run(
        [*_as_user(), str(_programs() / "pg_ctl"), *data, *command], check=True, capture_output=True
    )


@contextmanager
def postgres() -> Iterator[str]:
    """A server that listens on a socket only, with nothing forced to disk; gives a database's address.

    Raises:
        MissingPostgresError: its programs are not there.
    """
    programs = _programs()
    # A short path, for names of sockets are short.
    home = Path(tempfile.mkdtemp(prefix="gp-pg-"))
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
    address = f"postgresql://crm@/crm?host={home}"
    initdb = [str(programs / "initdb"), "-D", str(home / "data"), "-U", "crm", "-A", "trust"]
    subprocess.run(
        [*_as_user(), *initdb, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, capture_output=True
    )
    start_postgres(address)
    try:
        createdb = [str(programs / "createdb"), "-h", str(home), "-U", "crm", "crm"]
        subprocess.run([*_as_user(), *createdb], check=True)
        yield address
        _expect_no_crash((home / "log").read_text(encoding="utf-8", errors="replace"))
    finally:
        stop_postgres(address)
        shutil.rmtree(home)


def _expect_no_crash(log: str) -> None:
    """A server that died by itself explains every error of the tests that had it: its log says why."""
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if "PANIC:" in line or "was terminated by signal" in line:
            raise AssertionError("PostgreSQL crashed:\n" + "\n".join(lines[max(0, number - 5) : number + 10]))


def _home(address: str) -> Path:
    return Path(address.rpartition("host=")[2])


def start_postgres(address: str) -> None:
    """Start a server that `postgres` made, after `stop_postgres`."""
    home = _home(address)
    quick = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    # Containers often have 64 MiB of /dev/shm, which Chromium uses too; a server that finds it full crashes.
    options = f"-c listen_addresses= {quick} -c dynamic_shared_memory_type=mmap -k {home}"
    _control(home, "-l", str(home / "log"), "-o", options, "start")


def stop_postgres(address: str) -> None:
    """Let a server that `postgres` made crash."""
    _control(_home(address), "-m", "immediate", "stop")


def crm_environment(database: str, folder: Path, url: str, broker_token: str, **more: str) -> dict[str, str]:
    """The least that the CRM's programs need, with keys of its own.

    Args:
        database: its address.
        folder: for the files that hold secrets.
        url: of the CRM.
        broker_token: what the CRM shows the broker.
        **more: further variables, or other values.
    """
    for name, content in (
        ("secret", b"s" * 50),
        ("key", base64.b64encode(b"k" * 32)),
        ("token", broker_token.encode()),
    ):
        (folder / name).write_bytes(content)
    return {
        "DJANGO_SETTINGS_MODULE": "guestpost_crm.settings",
        "DATABASE_URL": database,
        "PUBLIC_URL": url,
        "TENANT_NAME": "acme",
        "TENANT_UID": "uid-of-acme",
        "OWNER_EMAIL": "anna@acme.example",
        "DJANGO_SECRET_KEY_FILE": str(folder / "secret"),
        "TENANT_KEY_FILE": str(folder / "key"),
        "PUBSUB_TOPIC": "projects/p/topics/t",
        "PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/s",
        "GOOGLE_CLIENT_ID": CLIENT_ID,
        "BROKER_URL": "http://127.0.0.1:1",
        "BROKER_TOKEN_FILE": str(folder / "token"),
        **more,
    }


@dataclass
class MemoryKubernetes:
    """The Kubernetes that the broker sees: tokens, tenants and claims in memory."""

    users: dict[str, str] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def add(self, name: str, url: str, account: str = "web", project: str = PROJECT) -> str:
        """A tenant that is Ready; returns the token of its pod."""
        self.tenants[name] = Tenant(name, f"uid-of-{name}", project, url, f"gpt-{name}", deleting=False)
        token = f"token-of-{name}-{account}"
        self.users[token] = f"system:serviceaccount:gpt-{name}:{account}"
        return token

    async def review(self, token: str) -> str | None:
        """See guestpost_broker.kubernetes.Kubernetes, as all that follow."""
        return self.users.get(token)

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by name."""
        return self.tenants.get(name)

    async def create_claim(self, claim: Claim) -> Claim | None:
        """Make a claim, unless there is one of this name."""
        if claim.name in self.claims:
            return None
        self.claims[claim.name] = replace(claim, uid=f"claim-{uuid.uuid4()}")
        return self.claims[claim.name]

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
    broker: Broker
    application: Starlette


def _config(google: str, folder: Path) -> Config:
    clients = {PROJECT: {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}
    (folder / "clients").write_text(json.dumps(clients))
    (folder / "keys").write_text(json.dumps([{"id": "1", "key": base64.b64encode(b"s" * 32).decode()}]))
    (folder / "key").write_bytes(b"k" * 32)
    return load(
        {
            "GOOGLE_CLIENTS_FILE": str(folder / "clients"),
            "SEAL_KEYS_FILE": str(folder / "keys"),
            "STATE_KEYS_FILE": str(folder / "keys"),
            "CLAIM_KEY_FILE": str(folder / "key"),
            "REDIRECT_URI": REDIRECT,
            # First imports share nothing here, unless a test says so.
            "BACKFILL_SETTLE_SECONDS": "0",
            "GMAIL_PROJECT_UNITS_PER_MINUTE": str(10**9),
            "GMAIL_USER_UNITS_PER_MINUTE": str(10**9),
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

    # Named, so that asyncio turns Nagle's algorithm off: 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    plenty = Rate(per_minute=100_000, burst=10_000)
    application = app.create(work, ready, dict.fromkeys(RATES, plenty), strangers=plenty)
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        thread.join(0.01)
    yield BrokerServer(f"http://127.0.0.1:{listener.getsockname()[1]}", kubernetes, work, application)
    server.should_exit = True
    thread.join(10)
