"""What several parts' tests stand on: Google's stand-in, and a consent broker in front of it."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from google_standin.testing import GoogleStandin
from guestpost_broker import app
from guestpost_broker.config import Config, load
from guestpost_broker.google import HttpGoogle
from guestpost_broker.kubernetes import Claim, Tenant
from guestpost_broker.limits import RateLimit
from guestpost_broker.service import Broker

REDIRECT = "http://broker.localhost/oauth/callback"
PROJECT = "guestpost-dev"
CLIENT_ID = "guestpost-dev.apps.googleusercontent.com"


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleStandin]:
    """Google on 127.0.0.1, with Pub/Sub and two OAuth clients: `app`, and the broker's."""
    with GoogleStandin() as running:
        running.control.client("app", "secret", REDIRECT)
        running.control.client(CLIENT_ID, "client-secret-of-the-broker", REDIRECT)
        yield running


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
        return self.users.get(token)

    async def tenant(self, name: str) -> Tenant | None:
        return self.tenants.get(name)

    async def create_claim(self, claim: Claim) -> bool:
        if claim.name in self.claims:
            return False
        self.claims[claim.name] = replace(claim, uid=f"claim-{len(self.claims)}")
        return True

    async def claim(self, name: str) -> Claim | None:
        return self.claims.get(name)

    async def delete_claim(self, claim: Claim) -> None:
        if self.claims.get(claim.name) == claim:
            del self.claims[claim.name]


@dataclass
class BrokerServer:
    """A running broker."""

    url: str
    kubernetes: MemoryKubernetes
    config: Config


def _config(google: GoogleStandin, folder: Path) -> Config:
    secret = {"client_id": CLIENT_ID, "client_secret": "client-secret-of-the-broker"}
    (folder / "clients").write_text(json.dumps({PROJECT: secret}))
    (folder / "seal").write_text(json.dumps([{"id": "1", "key": base64.b64encode(b"s" * 32).decode()}]))
    (folder / "key").write_bytes(b"k" * 32)
    return load(
        {
            "GOOGLE_CLIENTS_FILE": str(folder / "clients"),
            "SEAL_KEYS_FILE": str(folder / "seal"),
            "STATE_KEY_FILE": str(folder / "key"),
            "CLAIM_KEY_FILE": str(folder / "key"),
            "REDIRECT_URI": REDIRECT,
            "GOOGLE_AUTH_URL": f"{google.url}/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{google.url}/token",
            "GOOGLE_REVOKE_URL": f"{google.url}/revoke",
            "GOOGLE_ISSUER": google.url,
            "GOOGLE_CERTS_URL": f"{google.url}/oauth2/v1/certs",
        }
    )


@pytest.fixture(scope="session")
def broker(google: GoogleStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerServer]:
    """The real broker on 127.0.0.1, with a Kubernetes in memory."""
    config = _config(google, tmp_path_factory.mktemp("broker"))
    kubernetes = MemoryKubernetes()
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
