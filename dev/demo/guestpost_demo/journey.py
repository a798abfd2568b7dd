"""What the owner does on the first day, page by page: sign in, connect the mailbox, read, answer."""

from __future__ import annotations

import httpx
from lxml import html

from guestpost_demo.person import Person


class JourneyError(RuntimeError):
    """A page was not what it should be; the message says which, and what it showed."""


def sign_in(person: Person) -> httpx.Response:
    """From the CRM's sign-in page through Google's account chooser to the inbox."""
    page = person.submit(person.get("/sign-in"), {})
    if "Choose an account" in page.text:
        page = person.choose(page)
    if page.url.path == "/policy":
        page = person.submit(page, {}, action="/policy")
    return _expect(page, "/", "the inbox")


def connect_mailbox(person: Person) -> httpx.Response:
    """The separate consent for mail, with every box ticked."""
    page = person.submit(person.get("/mailboxes"), {}, action="/mailboxes/connect")
    if "Choose an account" in page.text:
        page = person.choose(page)
    page = person.submit(page, {"decision": "allow"})
    return _expect(page, "/mailboxes", "the mailboxes")


def subjects(person: Person, view: str = "inbox") -> list[str]:
    """The subjects of the first page of the inbox, the newest first."""
    page = person.get(f"/?view={view}")
    document = html.fromstring(page.text)
    return [" ".join(each.text_content().split()) for each in document.find_class("subject")]


def open_thread(person: Person, subject: str) -> httpx.Response:
    """Open the newest thread whose subject contains a text.

    Raises:
        LookupError: the first page of the inbox has none.
    """
    document = html.fromstring(person.get("/").text)
    for row in document.xpath("//ul[contains(@class,'threads')]/li/a"):
        if subject in row.text_content():
            return person.get(row.get("href"))
    raise LookupError(f"no thread about {subject!r} in the inbox")


def reply(person: Person, thread: httpx.Response, text: str) -> httpx.Response:
    """Answer the last message of a thread."""
    return person.submit(thread, {"body": text}, action="/reply")


def _expect(page: httpx.Response, path: str, what: str) -> httpx.Response:
    if page.status_code != 200 or page.url.path != path:
        words = " ".join(html.fromstring(page.text).text_content().split())[:300]
        raise JourneyError(f"expected {what}, got {page.status_code} at {page.url.path}: {words}")
    return page
