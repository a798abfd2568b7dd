"""An issuer of identities for tests: OpenID Connect with PKCE, over TLS, that signs in whom the test says.

In the test's own process, or as a program of a pod that has nothing but the dashboard's packages:

    python issuer_standin.py --url https://issuer.staff.svc --certificate FILE --key FILE --people JSON
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "guestpost-dashboard"


@dataclass(frozen=True)
class Somebody:
    """Who is at the browser.

    Attributes:
        seconds: how long their token is good.
    """

    email: str = "sam@example.com"
    groups: tuple[str, ...] = ("staff",)
    seconds: int = 600


class Issuer:
    """What it answers.

    Args:
        url: its name and address.
        people: who has an account; the only one is signed in at once, several are asked which they are.

    Attributes:
        application: serves it.
    """

    def __init__(self, url: str, people: Callable[[], Sequence[Somebody]]) -> None:
        self._url = url
        self._people = people
        self._key = rsa.generate_private_key(65537, 2048)
        self._asked: dict[str, tuple[dict[str, str], Somebody]] = {}
        self.application = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _discovery(self, request: Request) -> Response:
        return JSONResponse({
            "issuer": self._url, "authorization_endpoint": f"{self._url}/authorize",
            "jwks_uri": f"{self._url}/keys", "token_endpoint": f"{self._url}/token",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        })  # fmt: skip

    async def _keys(self, request: Request) -> Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return JSONResponse({"keys": [{**key, "kid": "one", "alg": "RS256", "use": "sig"}]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if (asked["client_id"], asked["code_challenge_method"]) != (CLIENT_ID, "S256"):
            return JSONResponse({"error": "invalid_request"}, 400)
        people = {each.email: each for each in self._people()}
        email = asked.pop("as", "") if len(people) > 1 else next(iter(people))
        if email not in people:
            links = [
                f'<li><a href="/authorize?{escape(urlencode({**asked, "as": each}))}">{escape(each)}</a></li>'
                for each in people
            ]
            return HTMLResponse(f"<title>Who are you?</title><ul>{''.join(links)}</ul>")
        code = secrets.token_urlsafe(16)
        self._asked[code] = (asked, people[email])
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 303)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        # A code is good once.
        asked, somebody = self._asked.pop(str(form["code"]), ({}, Somebody()))
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (challenge, form["redirect_uri"]) != (asked.get("code_challenge"), asked.get("redirect_uri")):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._url, "aud": CLIENT_ID, "sub": somebody.email, "nonce": asked["nonce"],
            "iat": now, "exp": now + somebody.seconds, "email": somebody.email,
            "email_verified": True, "groups": list(somebody.groups),
        }  # fmt: skip
        token = jwt.encode(claims, self._key, "RS256", headers={"kid": "one"})
        return JSONResponse({"id_token": token, "access_token": "unused", "token_type": "Bearer"})


class IssuerStandin:
    """Serves in the background on 127.0.0.1.

    Args:
        folder: for its keys.

    Attributes:
        url: its name and address.
        ca_file: trust for it.
        somebody: who signs in next.
    """

    client_id = CLIENT_ID

    def __init__(self, folder: Path) -> None:
        # A pod has neither.
        from localkube import pki
        from localkube.process import free_port

        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        authority = pki.Authority(folder)
        self.ca_file = authority.certificate
        certificate, key = authority.issue("issuer", "issuer", alternatives=["IP:127.0.0.1"])
        self.somebody = Somebody()
        application = Issuer(self.url, lambda: [self.somebody]).application
        self._server = _server(application, "127.0.0.1", self.port, certificate, key)
        self._thread = threading.Thread(target=self._run, name="issuer", daemon=True)

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the issuer does not begin to serve")
            time.sleep(0.02)

    def stop(self) -> None:
        """End."""
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def flags(self) -> tuple[str, ...]:
        """Arguments of an API server that trusts it."""
        return (
            f"--oidc-issuer-url={self.url}", f"--oidc-client-id={self.client_id}",
            f"--oidc-ca-file={self.ca_file}",
            "--oidc-username-claim=email", "--oidc-username-prefix=oidc:", "--oidc-groups-claim=groups",
            "--oidc-groups-prefix=oidc:",
        )  # fmt: skip

    def _run(self) -> None:
        asyncio.run(self._server.serve())


def _server(application: Starlette, host: str, port: int, certificate: Path, key: Path) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            log_level="warning",
            ssl_certfile=str(certificate),
            ssl_keyfile=str(key),
        )
    )


def main() -> None:
    """Serve in a pod."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--people", type=json.loads, required=True, help="groups by address")
    options = parser.parse_args()
    people = [Somebody(email, tuple(groups)) for email, groups in options.people.items()]
    application = Issuer(options.url, lambda: people).application
    asyncio.run(_server(application, "0.0.0.0", 8443, options.certificate, options.key).serve())  # noqa: S104


if __name__ == "__main__":
    main()
