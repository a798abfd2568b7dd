"""A person at a browser, over plain HTTP: follows redirects, keeps cookies, fills in forms.

The demo uses it to give the consent that a visitor of the demo would otherwise have to click
through; what it does is what a browser does, page by page, and nothing behind the pages' back.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin

import httpx
from lxml import html


class Person:
    """One person with one browser.

    Args:
        base: address of the CRM, such as `http://acme.localhost:8080`.
        email: their Google account, known to Google or its stand-in.
    """

    def __init__(self, base: str, email: str) -> None:
        self.base = base.rstrip("/")
        self.email = email
        # *.localhost is this machine by RFC 6761 (section 6.3), whatever its resolver thinks.
        self._http = httpx.Client(transport=_Loopback(), follow_redirects=True, timeout=30)

    def get(self, path: str) -> httpx.Response:
        """Open a page of the CRM and return it as it came in the end."""
        return self._http.get(urljoin(self.base + "/", path.lstrip("/")))

    def submit(
        self,
        page: httpx.Response,
        values: Mapping[str, str | list[str]],
        *,
        action: str = "",
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> httpx.Response:
        """Send the form of a page whose address contains `action`, keeping its other fields.

        Args:
            page: has the form.
            values: what is filled in.
            action: part of the form's address; any form when empty.
            files: name, content and type by field, for uploads.

        Raises:
            LookupError: the page has no such form.
        """
        document = html.fromstring(page.text, base_url=str(page.url))
        for form in document.forms:
            target = urljoin(str(page.url), form.get("action") or "")
            if action in target:
                fields: dict[str, str | list[str]] = {}
                for key, value in form.form_values():
                    fields.setdefault(key, []).append(value)  # type: ignore[union-attr]
                fields.update(values)
                headers = {"Origin": _origin(str(page.url)), "Referer": str(page.url)}
                if form.method == "GET":
                    return self._http.get(target, params=fields)
                return self._http.post(target, data=fields, files=files, headers=headers)
        raise LookupError(f"{page.url} has no form for {action or 'anything'} (status {page.status_code})")

    def choose(self, page: httpx.Response) -> httpx.Response:
        """Choose this person's account on Google's page (LookupError when it is not offered)."""
        document = html.fromstring(page.text, base_url=str(page.url))
        for form in document.forms:
            fields = dict(form.form_values())
            if fields.get("authuser", "").lower() == self.email.lower():
                return self._http.get(urljoin(str(page.url), form.get("action")), params=fields)
        raise LookupError(f"{self.email} is not among the accounts")


class _Loopback(httpx.HTTPTransport):
    """Connects names below .localhost to 127.0.0.1 and leaves the Host header as it is."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = request.url
        if address.host.endswith(".localhost"):
            # A request of its own: the original keeps its address, which cookies and pages go by.
            request = httpx.Request(
                request.method,
                address.copy_with(host="127.0.0.1"),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return super().handle_request(request)


def _origin(address: str) -> str:
    url = httpx.URL(address)
    return f"{url.scheme}://{url.netloc.decode()}"
