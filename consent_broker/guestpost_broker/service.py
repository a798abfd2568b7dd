"""What the broker does, call by call; every decision about who may do what is here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from guestpost_broker import sealing
from guestpost_broker.claims import claim_name
from guestpost_broker.config import Config, GoogleClient
from guestpost_broker.errors import (
    BrokerError,
    forbidden,
    invalid_grant,
    invalid_request,
    invalid_state,
    unauthorized,
)
from guestpost_broker.google import Google, Tokens
from guestpost_broker.kubernetes import Claim, Kubernetes, Tenant
from guestpost_broker.sealing import Grant, SealError
from guestpost_broker.state import SECONDS, ConsentState, Purpose, StateError, read, sign

GMAIL_READ = "https://www.googleapis.com/auth/gmail.readonly"
GMAIL_SEND = "https://www.googleapis.com/auth/gmail.send"
SCOPES: dict[Purpose, str] = {
    "sign_in": "openid email profile",
    "mailbox": f"openid email {GMAIL_READ} {GMAIL_SEND}",
}
_ACCOUNT = re.compile(r"^system:serviceaccount:gpt-([a-z0-9-]{1,50}):(web|sync)$")


@dataclass(frozen=True)
class Consent:
    """Where to send a browser, and the state to expect back. `expires_in` in seconds."""

    authorization_url: str
    state: str
    expires_in: int


class Broker:
    """The broker's work.

    Args:
        config: keys and addresses.
        google: Google's token endpoint.
        kubernetes: tenants and claims.
        clock: seconds since the epoch.
    """

    def __init__(
        self, config: Config, google: Google, kubernetes: Kubernetes, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._google = google
        self._kubernetes = kubernetes
        self._clock = clock

    async def caller(self, token: str, *, deleting_allowed: bool = False) -> Tenant:
        """The tenant that a pod's token proves.

        Raises:
            BrokerError: 401 for a token that proves nothing, 403 for one that is no tenant's.
        """
        user = await self._kubernetes.review(token) if token else None
        if user is None:
            raise unauthorized()
        match = _ACCOUNT.match(user)
        tenant = await self._kubernetes.tenant(match[1]) if match else None
        if tenant is None or tenant.namespace != f"gpt-{tenant.name}":
            raise forbidden("Only the web and sync pods of a tenant may use the consent broker.")
        if tenant.deleting and not deleting_allowed:
            raise forbidden("This tenant is being deleted: no new access to Google is given.")
        return tenant

    def begin(
        self, tenant: Tenant, purpose: Purpose, code_challenge: str, nonce: str, login_hint: str = ""
    ) -> Consent:
        """Make the address of Google's consent page.

        Args:
            tenant: who asks.
            purpose: sign_in or mailbox; decides the scopes.
            code_challenge: S256 challenge; its verifier stays with the tenant (RFC 7636).
            nonce: comes back in the ID token; the tenant checks it.
            login_hint: address to suggest.
        """
        client = self._client(tenant)
        if not _is_web_address(tenant.url):
            raise BrokerError(
                409, "tenant_not_ready", "This tenant has no address yet. Try again when it is Ready."
            )
        signed = ConsentState(tenant.uid, tenant.project, purpose, tenant.url)
        state = sign(signed, self._config.state_key, self._clock())
        asked = {
            "client_id": client.client_id,
            "redirect_uri": self._config.redirect_uri,
            "response_type": "code",
            "scope": SCOPES[purpose],
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if purpose == "mailbox":
            # A refresh token is given only for offline access, and surely only after the consent page.
            asked |= {"access_type": "offline", "prompt": "consent"}
        if login_hint:
            asked["login_hint"] = login_hint
        return Consent(f"{self._config.auth_url}?{urlencode(asked)}", state, SECONDS)

    def return_address(self, state: str, *, code: str = "", error: str = "") -> str:
        """Where a browser that comes back from Google is sent (BrokerError invalid_state)."""
        consent = self._read(state)
        answer = {"state": state, **({"code": code} if code else {"error": error or "access_denied"})}
        return f"{consent.return_url}/oauth/callback?{urlencode(answer)}"

    async def exchange(self, tenant: Tenant, state: str, code: str, verifier: str) -> dict[str, object]:
        """Tokens for the code that Google sent back.

        Returns:
            For sign_in the ID token; for mailbox also an access token, its scope, and the refresh
            token sealed for this tenant.

        Raises:
            BrokerError: invalid_state, invalid_grant, scope_missing, mailbox_taken, google_unavailable.
        """
        consent = self._read(state)
        if consent.tenant_uid != tenant.uid:
            raise invalid_state()
        client = self._client(tenant)
        tokens = await self._google.exchange(client, code, verifier)
        if consent.purpose == "sign_in":
            return {"id_token": tokens.id_token}
        return await self._connect(tenant, client, tokens)

    async def _connect(self, tenant: Tenant, client: GoogleClient, tokens: Tokens) -> dict[str, object]:
        granted = set(tokens.scope.split())
        if missing := [scope for scope in (GMAIL_READ, GMAIL_SEND) if scope not in granted]:
            raise BrokerError(
                400,
                "scope_missing",
                "Google was asked for permission to read and to send mail, and not all of it was allowed. "
                "Connect again and leave every box ticked.",
                {"scope": tokens.scope, "missing": " ".join(missing)},
            )
        if not tokens.refresh_token:
            raise invalid_grant()
        sub = await self._google.subject(client, tokens.id_token)
        await self._claim(tenant, sub)
        grant = Grant(sub, tenant.project, tokens.refresh_token)
        return {
            "id_token": tokens.id_token,
            "access_token": tokens.access_token,
            "expires_in": tokens.expires_in,
            "scope": tokens.scope,
            "sealed_refresh_token": sealing.seal(grant, tenant.uid, self._config.seal_keys),
        }

    async def _claim(self, tenant: Tenant, sub: str) -> None:
        """Make sure that the mailbox is this tenant's and nobody else's."""
        wanted = Claim(claim_name(sub, self._config.claim_key), tenant.name, tenant.uid)
        # Twice: a claim that is left over from a tenant that is gone is removed and made anew.
        for _ in range(2):
            if await self._kubernetes.create_claim(wanted):
                return
            present = await self._kubernetes.claim(wanted.name)
            if present is None:
                continue
            if present.tenant_uid == tenant.uid:
                return
            holder = await self._kubernetes.tenant(present.tenant_name)
            if holder is not None and holder.uid == present.tenant_uid:
                break
            await self._kubernetes.delete_claim(present)
        # The consent is not revoked at Google: that would end the other tenant's access too, for
        # Google knows one grant for an account and a client.
        raise BrokerError(
            409,
            "mailbox_taken",
            "This mailbox is connected to another GuestPostCRM server. A mailbox can be connected to one "
            "server only: disconnect it there first.",
        )

    async def refresh(self, tenant: Tenant, sealed: str) -> dict[str, object]:
        """A new access token (BrokerError invalid_grant, google_unavailable)."""
        grant = self._open(sealed, tenant)
        tokens = await self._google.refresh(self._client(tenant, grant.project), grant.refresh_token)
        return {
            "access_token": tokens.access_token,
            "expires_in": tokens.expires_in,
            "scope": tokens.scope,
        }

    async def revoke(self, tenant: Tenant, sealed: str) -> None:
        """End the consent at Google and give the mailbox free (BrokerError google_unavailable)."""
        grant = self._open(sealed, tenant)
        await self._google.revoke(grant.refresh_token)
        claim = await self._kubernetes.claim(claim_name(grant.sub, self._config.claim_key))
        if claim is not None and claim.tenant_uid == tenant.uid:
            await self._kubernetes.delete_claim(claim)

    def _read(self, state: str) -> ConsentState:
        try:
            return read(state, self._config.state_key)
        except StateError as error:
            raise invalid_state() from error

    def _open(self, sealed: str, tenant: Tenant) -> Grant:
        try:
            return sealing.unseal(sealed, tenant.uid, self._config.seal_keys)
        except SealError as error:
            raise BrokerError(
                400, "invalid_seal", "This refresh token was not sealed for this tenant. Connect again."
            ) from error

    def _client(self, tenant: Tenant, project: str = "") -> GoogleClient:
        client = self._config.clients.get(project or tenant.project)
        if client is None:
            raise invalid_request(f"There is no OAuth client for Google project {project or tenant.project}.")
        return client


def _is_web_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.path.strip("/")
