"""What the broker does, call by call; every decision about who may do what is here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from guestpost_broker import sealing
from guestpost_broker.claims import claim_name
from guestpost_broker.config import CALLBACK, Config, GoogleClient
from guestpost_broker.errors import (
    BrokerError,
    forbidden,
    invalid_grant,
    invalid_request,
    invalid_seal,
    invalid_state,
    mailbox_taken,
    seal_key_unknown,
    unauthorized,
)
from guestpost_broker.google import Google, Tokens
from guestpost_broker.kubernetes import Claim, Kubernetes, Tenant
from guestpost_broker.metrics import OPENED
from guestpost_broker.pacing import BUDGET, Pacer
from guestpost_broker.sealing import Grant, Holder, SealError, UnknownKeyError
from guestpost_broker.state import SECONDS, ConsentState, Purpose, StateError, read, sign

GMAIL_READ = "https://www.googleapis.com/auth/gmail.readonly"
GMAIL_SEND = "https://www.googleapis.com/auth/gmail.send"
SCOPES: dict[Purpose, str] = {
    "sign_in": "openid email profile",
    "mailbox": f"openid email {GMAIL_READ} {GMAIL_SEND}",
}
WEB, SYNC = "web", "sync"
_ACCOUNT = re.compile(rf"system:serviceaccount:gpt-([a-z0-9-]{{1,50}}):({WEB}|{SYNC})")


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

    Attributes:
        config: may be replaced while the broker works, when files have changed.
        pacer: shares the projects' quota among backfills.
    """

    def __init__(
        self, config: Config, google: Google, kubernetes: Kubernetes, clock: Callable[[], float] = time.time
    ) -> None:
        self.config = config
        self.pacer = Pacer(
            self._backfill_budget, lambda: self.config.user_units, settle=config.settle_seconds
        )
        self._google = google
        self._kubernetes = kubernetes
        self._clock = clock

    async def caller(self, token: str, accounts: Collection[str] = (WEB, SYNC)) -> Tenant:
        """The tenant that a pod's token proves.

        Args:
            token: of the pod's service account, with audience guestpost-broker.
            accounts: the service accounts that may ask this.

        Raises:
            BrokerError: 401 for a token that proves nothing, 403 for one that may not do this.
        """
        user = await self._kubernetes.review(token) if token else None
        if user is None:
            raise unauthorized()
        match = _ACCOUNT.fullmatch(user)
        tenant = await self._kubernetes.tenant(match[1]) if match else None
        if match is None or tenant is None or tenant.namespace != f"gpt-{tenant.name}":
            raise forbidden("Only the web and sync pods of a tenant may use the consent broker.")
        if match[2] not in accounts:
            raise forbidden(f"Only a tenant's {' and '.join(accounts)} may ask for this.")
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
        if purpose == "mailbox":
            _require_living(tenant)
        client = self._client(tenant.project)
        if not _is_web_address(tenant.url, urlsplit(self.config.redirect_uri).scheme):
            raise BrokerError(
                409, "tenant_not_ready", "This tenant has no address yet. Try again when it is Ready."
            )
        signed = ConsentState(tenant.uid, tenant.project, purpose, tenant.url)
        state = sign(signed, self.config.state_keys, self._clock())
        asked = {
            "client_id": client.client_id,
            "redirect_uri": self.config.redirect_uri,
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
        return Consent(f"{self.config.auth_url}?{urlencode(asked)}", state, SECONDS)

    def return_address(self, state: str, *, code: str = "", error: str = "") -> str:
        """Where a browser that comes back from Google is sent (BrokerError invalid_state)."""
        consent = self._read(state)
        answer = {"state": state, **({"code": code} if code else {"error": error or "access_denied"})}
        return f"{consent.return_url.rstrip('/')}{CALLBACK}?{urlencode(answer)}"

    async def exchange(self, tenant: Tenant, state: str, code: str, verifier: str) -> dict[str, object]:
        """Tokens for the code that Google sent back.

        Returns:
            For sign_in the ID token; for mailbox also an access token, its scope, and the refresh
            token sealed for this tenant.

        Raises:
            BrokerError: invalid_state, invalid_grant, scope_missing, mailbox_taken, google_unavailable.
        """
        consent = self._read(state)
        if (consent.tenant_uid, consent.project) != (tenant.uid, tenant.project):
            raise invalid_state()
        if consent.purpose == "mailbox":
            _require_living(tenant)
        client = self._client(tenant.project)
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
        # The consent of a mailbox that is another tenant's is not revoked at Google: that would end the
        # other tenant's access too, for Google knows one grant for an account and a client.
        await self._claim(tenant, sub)
        return {
            "id_token": tokens.id_token,
            "access_token": tokens.access_token,
            "expires_in": tokens.expires_in,
            "scope": tokens.scope,
            "sealed_refresh_token": self._seal(
                Grant(tenant.project, tokens.refresh_token), Holder(tenant.uid, sub)
            ),
        }

    async def _claim(self, tenant: Tenant, sub: str) -> Claim | None:
        """Make sure that the mailbox is this tenant's and nobody else's (BrokerError mailbox_taken).

        Returns:
            The claim, when it had to be made.
        """
        wanted = Claim(self._claim_name(sub), tenant.name, tenant.uid)
        # Twice: a claim that is left over from a tenant that is gone is removed and made anew.
        for _ in range(2):
            present = await self._kubernetes.claim(wanted.name)
            if present is None:
                if made := await self._kubernetes.create_claim(wanted):
                    return made
                continue
            if present.tenant_uid == tenant.uid:
                return None
            if await self._lives(present):
                break
            await self._kubernetes.delete_claim(present)
        raise mailbox_taken()

    async def _lives(self, claim: Claim) -> bool:
        """Whether the tenant that a claim names still exists."""
        holder = await self._kubernetes.tenant(claim.tenant_name)
        return holder is not None and holder.uid == claim.tenant_uid

    async def refresh(self, tenant: Tenant, sub: str, sealed: str) -> dict[str, object]:
        """A new access token.

        Returns:
            Also a sealed refresh token when the present one was sealed with a key that is being replaced,
            or when Google gave another one: keep it instead.

        Raises:
            BrokerError: invalid_seal, seal_key_unknown, invalid_grant, mailbox_taken, google_unavailable.
        """
        grant = self._open(tenant, sub, sealed)
        # Before Google is asked, so that one that is revoked meanwhile leaves no claim behind.
        made = await self._claim(tenant, sub)
        try:
            tokens = await self._google.refresh(self._client(grant.project), grant.refresh_token)
        except BrokerError as error:
            if made is not None and error.error == "invalid_grant":
                await self._kubernetes.delete_claim(made)
            raise
        answer: dict[str, object] = {
            "access_token": tokens.access_token,
            "expires_in": tokens.expires_in,
            "scope": tokens.scope,
        }
        newest = self.config.seal_keys.newest(self._clock())
        if tokens.refresh_token or sealing.key_of(sealed) != newest.id:
            kept = Grant(grant.project, tokens.refresh_token or grant.refresh_token)
            answer["sealed_refresh_token"] = self._seal(kept, Holder(tenant.uid, sub))
        return answer

    async def revoke(self, tenant: Tenant, sub: str, sealed: str) -> None:
        """End the consent at Google and give the mailbox free (BrokerError google_unavailable).

        A mailbox that has become another tenant's is left alone, for Google would end that tenant's access.
        """
        grant = self._open(tenant, sub, sealed)
        claim = await self._kubernetes.claim(self._claim_name(sub))
        if claim is not None and claim.tenant_uid != tenant.uid and await self._lives(claim):
            return
        await self._google.revoke(grant.refresh_token)
        if claim is not None and claim.tenant_uid == tenant.uid:
            await self._kubernetes.delete_claim(claim)

    def backfill(self, tenant: Tenant, sub: str, sealed: str, wanted: int) -> dict[str, object]:
        """A share of the project's quota for the first import of a mailbox.

        Args:
            tenant: who asks.
            sub: account of the mailbox.
            sealed: its refresh token, which proves that it is connected.
            wanted: units a minute; 0 gives the share back.

        Returns:
            Units a minute for so many seconds; 0 units: ask again then.
        """
        _require_living(tenant)
        grant = self._open(tenant, sub, sealed)
        share = self.pacer.share(grant.project, f"{tenant.uid}/{sub}", wanted)
        return {"units_per_minute": share.units_per_minute, "expires_in": share.seconds}

    def _backfill_budget(self, project: str) -> float:
        units = self.config.units_by_project.get(project, self.config.project_units)
        return units * BUDGET / self.config.replicas

    def _claim_name(self, sub: str) -> str:
        return claim_name(sub, self.config.claim_key)

    def _read(self, state: str) -> ConsentState:
        try:
            return read(state, self.config.state_keys)
        except StateError as error:
            raise invalid_state() from error

    def _seal(self, grant: Grant, holder: Holder) -> str:
        return sealing.seal(grant, holder, self.config.seal_keys, self._clock())

    def _open(self, tenant: Tenant, sub: str, sealed: str) -> Grant:
        try:
            grant = sealing.unseal(sealed, Holder(tenant.uid, sub), self.config.seal_keys)
        except UnknownKeyError as error:
            raise seal_key_unknown() from error
        except SealError as error:
            raise invalid_seal() from error
        OPENED.labels(sealing.key_of(sealed)).inc()
        return grant

    def _client(self, project: str) -> GoogleClient:
        client = self.config.clients.get(project)
        if client is None:
            raise invalid_request(f"There is no OAuth client for Google project {project}.")
        return client


def _require_living(tenant: Tenant) -> None:
    """A tenant that is being deleted gets no mailbox any more.

    Its owner still signs in, for the last export, and the access that it has is used to end itself.
    """
    if tenant.deleting:
        raise forbidden("This tenant is being deleted: no new access to Google is given.")


def _is_web_address(url: str, scheme: str) -> bool:
    """Whether it is the address of a site, by TLS wherever the broker's own is."""
    parts = urlsplit(url)
    usable = parts.scheme in ("https", scheme) and bool(parts.hostname) and parts.username is None
    return usable and not parts.path.strip("/") and not parts.query and not parts.fragment
