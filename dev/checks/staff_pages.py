"""Staff at a browser before the dashboard: signing in, and its jobs page by page, whatever cluster it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from browsing import Visitors
from playwright.sync_api import Page

# Signs somebody of a role in: signed_in("provisioner").
As = Callable[..., Page]
# Finds nothing wrong with a page, or fails.
Check = Callable[[Page], None]

# Jobs that a role may not do.
FORBIDDEN = [
    *[("viewer", job) for job in ("suspend", "export", "support", "erase", "hold", "withdraw")],
    *[("support", job) for job in ("suspend", "export", "erase", "pin")],
    *[("provisioner", job) for job in ("support", "withdraw")],
]


@contextmanager
def staff_at(visitors: Visitors, url: str, token: Callable[[str], str]) -> Iterator[As]:
    """People at browsers; every error of a script and every foreign request fails.

    Args:
        visitors: of a browser that finds the dashboard.
        url: the dashboard's.
        token: of an account, as `kubectl create token` makes it.
    """
    with visitors.at(url) as visit:

        def open_page(account: str = "", **options: Any) -> Page:
            page = visit(**options)
            if account:
                sign_in(page, token(account))
            return page

        yield open_page


def sign_in(page: Page, token: str) -> None:
    """Paste a token."""
    page.goto("/sign-in")
    page.get_by_label("Token of the API server").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "sign-in" not in address)


def fill(page: Page, name: str, owner: str = "anna@acme.example", project: str = "acme-crm-prod") -> None:
    """Open the form of a new tenant, and fill in what is needed."""
    page.goto("/new")
    page.get_by_label("Name", exact=False).first.fill(name)
    group = page.get_by_role("group", name="Owner")
    group.get_by_label("Name").fill("Anna Reyes")
    group.get_by_label("Email").fill(owner)
    page.get_by_label("Region").fill("europe-west1")
    page.get_by_label("Google project").fill(project)


def suspend(page: Page, reason: str) -> None:
    """From the page of a tenant."""
    page.get_by_role("link", name="Suspend").click()
    page.get_by_label("Suspend reason").fill(reason)
    page.get_by_role("button", name="Suspend").click()


def do(page: Page, job: str) -> None:
    """From the page of a tenant: a job that asks for nothing."""
    page.get_by_role("link", name=job).click()
    page.get_by_role("button", name=job).click()


def ask_support(page: Page, subject: str, reason: str) -> None:
    """On the page that asks for support access."""
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Request support access").click()


def request_erasure(page: Page, name: str, typed: str) -> None:
    """On the page that asks for an erasure."""
    page.get_by_label(f"Type {name}").fill(typed)
    page.get_by_role("button", name="Request erasure").click()


def refused(page: Page, address: str, name: str) -> tuple[int | None, str, int]:
    """What somebody gets who opens a page that is not for them, and who sends its form unseen.

    Args:
        page: somebody is signed in.
        address: of the page.
        name: of the tenant, which has to be typed for some jobs.

    Returns:
        status of the page, its text, status of what is sent.
    """
    answer = page.goto(address)
    said = page.get_by_role("main").inner_text()
    sent = page.evaluate(
        """async ([path, name]) => {
          const csrf = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
          const body = new URLSearchParams({
            csrf, item: "x", typed: name, "spec.suspendReason": "x", "spec.release.version": "1.0.0",
            "spec.subject": "sam@support.example", "spec.reason": "Ticket 4711: nothing arrives",
            "spec.retentionSeconds": "86400", "spec.level": "Browse",
          });
          return (await fetch(path, {method: "POST", body})).status;
        }""",
        [address.partition("?")[0], name],
    )
    return answer and answer.status, said, sent


def sent(page: Page, address: str, **fields: str) -> tuple[int, str]:
    """Status and text of what is answered to a form that the page did not show."""
    answer: list[Any] = page.evaluate(
        """async ([address, fields]) => {
          const csrf = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
          const body = new URLSearchParams({csrf, ...fields});
          const answer = await fetch(address, {method: "POST", body});
          return [answer.status, await answer.text()];
        }""",
        [address, fields],
    )
    return int(answer[0]), str(answer[1])


def on_tenant(name: str) -> re.Pattern[str]:
    """The address that one comes to when something was done with a tenant."""
    return re.compile(rf"/tenants/{name}\?")
