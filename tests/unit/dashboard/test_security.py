"""Headers on every answer; no change that another site, or another session, has sent."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import guestpost_dashboard
import httpx
import pytest
from guestpost_dashboard import plots

URL = "https://dashboard.example.com"
HERE = Path(guestpost_dashboard.__file__).parent


@pytest.mark.parametrize(
    "address",
    ["/", "/sign-in", "/nowhere", "/static/dashboard.css", "/static/nowhere", "/healthz", "/tenants/acme"],
)
async def test_every_answer_carries_the_headers(browser: Any, address: str) -> None:
    headers = (await browser.http.get(address)).headers
    policy = dict(each.strip().partition(" ")[::2] for each in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "font-src": "'self'", "connect-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }  # fmt: skip
    assert headers["strict-transport-security"] == "max-age=63072000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    if not address.startswith("/static"):
        assert headers["cache-control"] == "no-store"


async def test_an_answer_that_failed_carries_them_too(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await browser.sign_in()
    monkeypatch.setattr(plots, "figures", None)
    transport = httpx.ASGITransport(browser.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=URL, cookies=browser.http.cookies) as http:
        answer = await http.get("/figures")
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "Traceback" not in answer.text


async def test_files_may_be_kept_as_long_as_they_are_the_same(browser: Any) -> None:
    page = (await browser.http.get("/sign-in")).text
    address = re.search(r'href="(/static/dashboard\.css\?v=\w+)"', page)
    assert address
    assert "immutable" in (await browser.http.get(address[1])).headers["cache-control"]
    assert (await browser.http.get("/static/dashboard.css")).headers["cache-control"] == "no-cache"


REFUSED = {
    "no session's token": ({"Origin": URL}, {}, 403),
    "another token": ({"Origin": URL}, {"csrf": "guessed"}, 403),
    "another site": ({"Origin": "https://evil.example"}, {"csrf": "RIGHT"}, 403),
    "a sibling of the same site": ({"Origin": "https://acme.example.com"}, {"csrf": "RIGHT"}, 403),
    "no origin": ({"Origin": "null"}, {"csrf": "RIGHT"}, 403),
    "a browser that says another site": ({"Sec-Fetch-Site": "same-site"}, {"csrf": "RIGHT"}, 403),
    "nothing says from where": ({}, {"csrf": "RIGHT"}, 403),
    "another referer": ({"Referer": f"{URL}.evil.example/"}, {"csrf": "RIGHT"}, 403),
}


@pytest.mark.parametrize(("headers", "form", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_does_not_come_from_a_page_of_the_session_is_refused(
    browser: Any, headers: dict[str, str], form: dict[str, str], status: int
) -> None:
    await browser.sign_in()
    right = await browser.csrf()
    form = {name: right if value == "RIGHT" else value for name, value in form.items()}
    answer = await browser.http.post("/sign-out", data=form, headers=headers)
    assert answer.status_code == status
    assert (await browser.http.get("/")).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": URL}, {"Sec-Fetch-Site": "same-origin"}, {"Referer": f"{URL}/"}]
)
async def test_what_comes_from_a_page_of_the_session_is_done(browser: Any, headers: dict[str, str]) -> None:
    await browser.sign_in()
    right = await browser.csrf()
    assert (await browser.http.post("/sign-out", data={"csrf": right}, headers=headers)).status_code == 303


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_only_plain_forms_are_read(browser: Any, kind: str) -> None:
    headers = {"Origin": URL, "Content-Type": kind}
    assert (await browser.http.post("/sign-in", content=b"{}", headers=headers)).status_code == 415


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(browser: Any, declared: bool) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 65536

    headers = {"Origin": URL, "Content-Type": "application/x-www-form-urlencoded"}
    content = b"x" * 300_000 if declared else endless()
    answer = await browser.http.post("/sign-in", content=content, headers=headers)
    assert answer.status_code == 413


async def test_a_form_of_too_many_fields_is_refused(browser: Any) -> None:
    headers = {"Origin": URL, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await browser.http.post("/sign-in", content="a=1&" * 5000, headers=headers)
    assert answer.status_code == 403


class Inline(HTMLParser):
    """Finds what the policy would keep from working."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag == "style" or (tag == "script" and not (names.get("src") or "").startswith("/static/")):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action", "hx-get", "hx-post"):
            address = names.get(name) or ""
            # Links that people follow may lead away; nothing that is loaded does.
            if "//" in address and not (tag == "a" and name == "href"):
                self.found.append(f"{tag} {name}={address}")


@pytest.mark.parametrize("address", ["/", "/tenants/acme", "/figures", "/nowhere", "/tenants/gone"])
async def test_pages_have_nothing_inline_and_load_nothing_of_others(browser: Any, address: str) -> None:
    await browser.sign_in()
    parser = Inline()
    parser.feed((await browser.http.get(address)).text)
    assert parser.found == []


def test_no_template_switches_the_escaping_off() -> None:
    for path in HERE.glob("templates/**/*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape false", text), path


async def test_what_others_wrote_is_shown_and_not_run(browser: Any, tenant: Any) -> None:
    evil = tenant("evil", conditions={"Ready": ("False", "X")})
    evil["spec"]["owner"]["name"] = "<script>alert(1)</script>"
    evil["status"]["conditions"][0]["message"] = '"><img src=x onerror=alert(1)>'
    evil["status"]["app"]["url"] = "javascript:alert(1)"
    browser.cluster.tenants["evil"] = evil
    await browser.sign_in()
    text = (await browser.http.get("/tenants/evil")).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert 'href="javascript:' not in text
    search = (await browser.http.get('/?q="><script>alert(1)</script>')).text
    assert "<script>alert" not in search


@pytest.mark.parametrize(
    "name", ["%2e%2e%2fsecrets", "a%2f..%2fsecrets", "A", "a b", "-a", "a/../../b", "x" * 300]
)
async def test_what_is_no_name_never_gets_into_a_path_of_the_api_server(browser: Any, name: str) -> None:
    await browser.sign_in()
    browser.cluster.asked.clear()
    assert (await browser.http.get(f"/tenants/{name}")).status_code == 404
    assert browser.cluster.asked == []
