"""Sign-in through an issuer: code with PKCE, and nothing believed that is not signed for us."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from guestpost_dashboard.backends.issuer import Issuer, SignInError
from guestpost_dashboard.settings import Impersonation

BACK = "https://dashboard.example.com/sign-in/callback"


class Standin(httpx.AsyncBaseTransport):
    """An issuer.

    Attributes:
        claims: put into the next ID token in place of what is right.
        key: it signs with.
        published: key ids and keys that it publishes.
        form: that was last sent for tokens.
        without: what it does not say of itself.
    """

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.published = {"one": self.key}
        self.key_id, self.algorithm = "one", "ES256"
        self.claims: dict[str, Any] = {}
        self.form: dict[str, list[str]] = {}
        self.nonce = ""
        self.names_itself = "https://issuer.example"
        self.without = ""
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        path = request.url.path
        if path == "/.well-known/openid-configuration":
            root = "https://issuer.example"
            said = {
                "issuer": self.names_itself, "authorization_endpoint": f"{root}/authorize",
                "token_endpoint": f"{root}/token", "jwks_uri": f"{root}/keys",
            }  # fmt: skip
            said.pop(self.without, None)
            return httpx.Response(200, json=said)
        if path == "/keys":
            return httpx.Response(200, json={"keys": [
                {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": name}
                for name, key in self.published.items()
            ]})  # fmt: skip
        self.form = parse_qs((await request.aread()).decode())
        now = int(time.time())
        claims = {
            "iss": "https://issuer.example", "aud": "dashboard", "exp": now + 600, "iat": now,
            "sub": "1", "nonce": self.nonce, "email": "sam@example.com", "email_verified": True,
            "groups": ["staff"], **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        key: Any = "secret-of-nobody-that-is-long-enough" if self.algorithm == "HS256" else self.key
        if self.algorithm == "none":
            key = None
        token = jwt.encode(claims, key, self.algorithm, headers={"kid": self.key_id})
        return httpx.Response(200, json={"id_token": token, "access_token": "x"})


@pytest.fixture
def standin() -> Standin:
    return Standin()


@pytest.fixture
def issuer(oidc: Any, standin: Standin) -> Issuer:
    return Issuer(oidc, standin)


async def signed_in(issuer: Issuer, standin: Standin) -> Any:
    _, remembered = await issuer.begin(BACK)
    standin.nonce = standin.nonce or remembered["nonce"]
    return await issuer.finish("the-code", BACK, remembered)


async def test_somebody_signs_in(issuer: Issuer, standin: Standin) -> None:
    address, remembered = await issuer.begin(BACK)
    asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    digest = hashlib.sha256(remembered["verifier"].encode()).digest()
    assert asked == {
        "response_type": "code", "client_id": "dashboard", "redirect_uri": BACK,
        "scope": "openid email groups",
        "state": remembered["state"], "nonce": remembered["nonce"], "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }  # fmt: skip
    standin.nonce = remembered["nonce"]
    person, token = await issuer.finish("the-code", BACK, remembered)
    assert (person.name, person.groups, person.token) == ("oidc:sam@example.com", ("oidc:staff",), token)
    assert person.expires > time.time()
    assert standin.form["code_verifier"] == [remembered["verifier"]]
    assert standin.form["code"] == ["the-code"]


WRONG: dict[str, Callable[[Standin], Any]] = {
    "another audience": lambda it: it.claims.update(aud="another"),
    "another issuer": lambda it: it.claims.update(iss="https://evil.example"),
    "expired": lambda it: it.claims.update(exp=int(time.time()) - 60),
    "no expiry": lambda it: it.claims.update(exp=None),
    "another sign-in": lambda it: setattr(it, "nonce", "another"),
    "no nonce": lambda it: it.claims.update(nonce=None),
    "not signed": lambda it: setattr(it, "algorithm", "none"),
    "signed with what is no secret": lambda it: setattr(it, "algorithm", "HS256"),
    "signed by somebody": lambda it: setattr(it, "key", ec.generate_private_key(ec.SECP256R1())),
    "signed by an unknown key": lambda it: setattr(it, "key_id", "two"),
    "no name": lambda it: it.claims.update(email=None),
    "an address that nobody verified": lambda it: it.claims.update(email_verified=False),
    "another name of itself": lambda it: setattr(it, "names_itself", "https://evil.example"),
    "nothing to ask for tokens": lambda it: setattr(it, "without", "token_endpoint"),
    "away": lambda it: setattr(it, "away", True),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
async def test_what_is_not_in_order_lets_nobody_in(
    issuer: Issuer, standin: Standin, change: Callable[[Standin], Any]
) -> None:
    change(standin)
    with pytest.raises(SignInError) as refused:
        await signed_in(issuer, standin)
    assert "the-code" not in str(refused.value)


async def test_a_key_that_is_new_is_looked_for_once_more(issuer: Issuer, standin: Standin) -> None:
    await signed_in(issuer, standin)
    standin.key_id, standin.key, standin.nonce = "two", ec.generate_private_key(ec.SECP256R1()), ""
    standin.published["two"] = standin.key
    person, _ = await signed_in(issuer, standin)
    assert person.name == "oidc:sam@example.com"


async def test_groups_that_are_one_word_are_one_group(issuer: Issuer, standin: Standin) -> None:
    standin.claims["groups"] = "staff"
    person, _ = await signed_in(issuer, standin)
    assert person.groups == ("oidc:staff",)


@pytest.fixture
async def at_issuer(settings: Any, cluster: Any, oidc: Any, open_browser: Any, standin: Standin) -> Any:
    cluster.viewers.add("oidc:sam@example.com")
    handle = cluster.handle_async_request

    async def trusting(request: httpx.Request) -> httpx.Response:
        """The API server trusts the issuer: any of its tokens is this person."""
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token.count(".") == 2:
            cluster.people[token] = "oidc:sam@example.com"
        return await handle(request)  # type: ignore[no-any-return]

    cluster.handle_async_request = trusting
    async with open_browser(dataclasses.replace(settings, oidc=oidc), cluster) as browser:
        browser.application.state.issuer = Issuer(oidc, standin)
        yield browser


async def test_the_whole_way_through_a_browser(at_issuer: Any, standin: Standin) -> None:
    answer = await at_issuer.http.get("/sign-in/begin?next=/tenants/acme")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    standin.nonce = query["nonce"][0]
    answer = await at_issuer.http.get(f"/sign-in/callback?code=c&state={query['state'][0]}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tenants/acme")
    assert (await at_issuer.http.get("/tenants/acme")).status_code == 200
    # A code is good once: whoever sends the address again gets nothing.
    again = await at_issuer.http.get(f"/sign-in/callback?code=c&state={query['state'][0]}")
    assert again.status_code == 400


async def test_a_token_that_no_cookie_can_hold_is_told_with_what_to_do(
    at_issuer: Any, standin: Standin
) -> None:
    standin.claims["groups"] = [f"a-group-of-many-{number}" for number in range(700)]
    answer = await come_back(at_issuer, standin)
    assert answer.status_code == 403
    assert "too long for a session" in answer.text
    assert (await at_issuer.http.get("/")).status_code == 303


async def come_back(browser: Any, standin: Standin) -> httpx.Response:
    """Sign in at the issuer."""
    answer = await browser.http.get("/sign-in/begin")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    standin.nonce = query["nonce"][0]
    found: httpx.Response = await browser.http.get(f"/sign-in/callback?code=c&state={query['state'][0]}")
    return found


@pytest.fixture
async def impersonating(settings: Any, cluster: Any, oidc: Any, open_browser: Any, standin: Standin) -> Any:
    """A dashboard that may act as one person and as a member of one group."""
    acting_as = Impersonation(frozenset({"oidc:sam@example.com"}), frozenset({"oidc:staff"}))
    async with open_browser(
        dataclasses.replace(settings, oidc=oidc, impersonation=acting_as), cluster
    ) as browser:
        browser.application.state.issuer = Issuer(oidc, standin)
        yield browser


async def test_groups_that_it_may_not_act_in_are_left_out(
    impersonating: Any, cluster: Any, standin: Standin
) -> None:
    """An issuer tells of all groups of a person; naming one that is not allowed would refuse every call."""
    cluster.viewers.add("oidc:sam@example.com")
    standin.claims["groups"] = ["everybody", "staff", "vpn, and (more)"]
    assert (await come_back(impersonating, standin)).status_code == 303
    cluster.asked.clear()
    assert (await impersonating.http.get("/")).status_code == 200
    groups = [each.headers.get_list("impersonate-group") for each in cluster.asked]
    assert groups
    assert [each for each in groups if each != ["oidc:staff"]] == []


async def test_whom_it_may_not_act_as_is_told_by_whom_that_is_decided(
    impersonating: Any, standin: Standin
) -> None:
    standin.claims["email"] = "eve@example.com"
    answer = await come_back(impersonating, standin)
    assert answer.status_code == 403
    assert "knows you as oidc:eve@example.com" in answer.text
    assert "dashboard.impersonation.users" in answer.text
    assert (await impersonating.http.get("/")).status_code == 303


@pytest.mark.parametrize(
    "parameters", ["", "?code=c", "?code=c&state=guessed", "?state=STATE&error=access_denied"]
)
async def test_who_comes_back_with_something_else_is_not_let_in(at_issuer: Any, parameters: str) -> None:
    answer = await at_issuer.http.get("/sign-in/begin")
    state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
    answer = await at_issuer.http.get(f"/sign-in/callback{parameters.replace('STATE', state)}")
    assert answer.status_code in {400, 403}
    assert (await at_issuer.http.get("/")).status_code == 303


async def test_with_an_issuer_no_token_can_be_pasted(at_issuer: Any) -> None:
    page = (await at_issuer.http.get("/sign-in")).text
    assert "<textarea" not in page
    from re import search

    token = search(r'"X-CSRF-Token": "([^"]+)"', page)
    assert token
    answer = await at_issuer.http.post(
        "/sign-in",
        data={"csrf": token[1], "token": "sam-token"},
        headers={"Origin": "https://dashboard.example.com"},
    )
    assert answer.status_code == 303
    assert (await at_issuer.http.get("/")).status_code == 303


async def test_an_issuer_that_is_away_is_said_so(at_issuer: Any, standin: Standin) -> None:
    standin.away = True
    answer = await at_issuer.http.get("/sign-in/begin")
    assert answer.status_code == 502
    assert "does not answer" in answer.text
