"""The authorization endpoint's pages and the token, revocation and discovery endpoints."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from google_standin.errors import ApiError, OAuthError
from google_standin.oauth import Request
from google_standin.state import State, state_of
from google_standin.store import Account

ALWAYS = {"openid", "email", "profile"}
_WHAT = {
    "https://www.googleapis.com/auth/gmail.readonly": "View your email messages and settings",
    "https://www.googleapis.com/auth/gmail.send": "Send email on your behalf",
    "https://www.googleapis.com/auth/gmail.modify": "Read, compose, and send emails",
    "https://mail.google.com/": "Read, compose, send, and permanently delete all your email",
}
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 8vh auto; padding: 0 1.25rem }
main { border: 1px solid #8886; border-radius: 12px; padding: 1.5rem }
h1 { font-size: 1.25rem; margin: 0 0 .25rem } p { margin: .25rem 0 1rem; opacity: .8 }
button { font: inherit; padding: .6rem 1rem; border-radius: 8px; border: 1px solid #8888; cursor: pointer }
button.account { display: block; width: 100%; text-align: left; margin: .5rem 0 }
button.primary { background: #0b57d0; color: #fff }
label { display: block; margin: .5rem 0 } small { display: block; margin-top: 1rem; opacity: .7 }
"""


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}"
        "<small>A stand-in for Google, for development only. It knows no passwords.</small></main></html>",
        status_code=status,
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def _asked(values: dict[str, str]) -> Request:
    return Request(
        client_id=values.get("client_id", ""),
        redirect_uri=values.get("redirect_uri", ""),
        scope=tuple(values.get("scope", "").split()),
        state=values.get("state", ""),
        nonce=values.get("nonce", ""),
        code_challenge=values.get("code_challenge", ""),
        access_type=values.get("access_type", "online"),
        prompt=values.get("prompt", ""),
        login_hint=values.get("login_hint", ""),
    )


async def authorize(http: HttpRequest) -> Response:
    """Choose an account, then say what is allowed: `/o/oauth2/v2/auth`."""
    state = state_of(http)
    values = {key: str(value) for key, value in http.query_params.items()}
    asked = _asked(values)
    try:
        state.oauth.check(asked)
    except OAuthError as error:
        return _page(f"Error {error.code}: {error.error}", f"<p>{escape(error.description)}</p>", error.code)
    if values.get("response_type") != "code" or not asked.scope:
        return _back(asked, error="invalid_request")
    if http.method == "POST":
        return await _decide(http, state, asked)
    chosen = values.get("authuser") or asked.login_hint
    accounts = {account.email: account for account in state.store.accounts()}
    if chosen.lower() in accounts and "select_account" not in asked.prompt:
        return _consent_page(state, asked, accounts[chosen.lower()], values)
    return _chooser(list(accounts.values()), values)


def _chooser(accounts: list[Account], values: dict[str, str]) -> Response:
    kept = {**values, "prompt": values.get("prompt", "").replace("select_account", "")}
    buttons = "".join(
        f'<form method=get action="/o/oauth2/v2/auth">{_hidden({**kept, "authuser": account.email})}'
        f"<button class=account>{escape(account.name)}<br>{escape(account.email)}</button></form>"
        for account in accounts
    )
    return _page("Choose an account", buttons or "<p>There are no accounts yet.</p>")


def _consent_page(state: State, asked: Request, account: Account, values: dict[str, str]) -> Response:
    gmail = [scope for scope in asked.scope if scope not in ALWAYS]
    if not gmail or ("consent" not in asked.prompt and state.oauth.has_consent(asked, account.email)):
        return _back(asked, code=state.oauth.consent(asked, account.email, asked.scope))
    boxes = "".join(
        f'<label><input type=checkbox name=allow value="{escape(scope)}" checked>'
        f" {escape(_WHAT.get(scope, scope))}</label>"
        for scope in gmail
    )
    form = (
        f'<form method=post action="/o/oauth2/v2/auth?{escape(urlencode(values))}">'
        f'<input type=hidden name=email value="{escape(account.email)}">{boxes}'
        "<p><button class=primary name=decision value=allow>Continue</button> "
        "<button name=decision value=deny>Cancel</button></p></form>"
    )
    return _page("This app wants access to your Google Account", f"<p>{escape(account.email)}</p>{form}")


def _hidden(values: dict[str, str]) -> str:
    return "".join(
        f'<input type=hidden name="{escape(key)}" value="{escape(value)}">' for key, value in values.items()
    )


async def _decide(http: HttpRequest, state: State, asked: Request) -> Response:
    form = await http.form()
    if form.get("decision") != "allow":
        return _back(asked, error="access_denied")
    account = state.store.account(str(form.get("email", "")))
    allowed = {str(scope) for scope in form.getlist("allow")}
    scopes = [scope for scope in asked.scope if scope in ALWAYS or scope in allowed]
    return _back(asked, code=state.oauth.consent(asked, account.email, scopes))


def _back(asked: Request, **answer: str) -> Response:
    query = urlencode({"state": asked.state, **answer})
    separator = "&" if "?" in asked.redirect_uri else "?"
    return RedirectResponse(f"{asked.redirect_uri}{separator}{query}", status_code=302)


async def token(http: HttpRequest) -> Response:
    """Codes and refresh tokens become access tokens: `/token` (RFC 6749, sections 4.1.3 and 6)."""
    state = state_of(http)
    form = {key: str(value) for key, value in (await http.form()).items()}
    try:
        if (fault := await state.suffer("token", "")) is not None:
            return fault
        client = state.oauth.authenticate(form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("grant_type") == "authorization_code":
            code, verifier = form.get("code", ""), form.get("code_verifier", "")
            redirect = form.get("redirect_uri", "")
            return JSONResponse(
                state.oauth.exchange(client, code, redirect, verifier, state.store.account),
                headers={"Cache-Control": "no-store"},
            )
        if form.get("grant_type") == "refresh_token":
            return JSONResponse(state.oauth.refresh(client, form.get("refresh_token", "")))
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
    except (OAuthError, ApiError) as error:
        return error.response()


async def revoke(http: HttpRequest) -> Response:
    """`/revoke` (RFC 7009)."""
    state = state_of(http)
    form = await http.form()
    try:
        if (fault := await state.suffer("revoke", "")) is not None:
            return fault
        state.oauth.revoke(str(form.get("token") or http.query_params.get("token", "")))
    except (OAuthError, ApiError) as error:
        return error.response()
    return JSONResponse({})


async def discovery(http: HttpRequest) -> Response:
    """The OpenID Connect discovery document."""
    issuer = state_of(http).oauth.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/o/oauth2/v2/auth",
            "token_endpoint": f"{issuer}/token",
            "revocation_endpoint": f"{issuer}/revoke",
            "jwks_uri": f"{issuer}/oauth2/v3/certs",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def certificates(http: HttpRequest) -> Response:
    """Signing keys as certificates by key id."""
    return JSONResponse(state_of(http).oauth.certificates(), headers={"Cache-Control": "max-age=3600"})


async def key_set(http: HttpRequest) -> Response:
    """Signing keys as a JSON Web Key Set."""
    return JSONResponse(state_of(http).oauth.key_set(), headers={"Cache-Control": "max-age=3600"})


ROUTES = [
    Route("/o/oauth2/v2/auth", authorize, methods=["GET", "POST"]),
    Route("/token", token, methods=["POST"]),
    Route("/revoke", revoke, methods=["POST"]),
    Route("/.well-known/openid-configuration", discovery),
    Route("/oauth2/v1/certs", certificates),
    Route("/oauth2/v3/certs", key_set),
]
