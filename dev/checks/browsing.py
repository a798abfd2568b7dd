"""The CRM behind a real HTTP server in this process, and a real Chromium in front of it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# Debian's Chromium without a window: the one with a window spends three times as much on the window.
CHROMIUM = "/usr/bin/chromium-headless-shell"
BACKEND = "django.contrib.auth.backends.ModelBackend"
# Nothing of Chromium's own reaches the network.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


WEB = Path(__file__).resolve().parent.parent / "web"


class MissingNodeError(Exception):
    """Node.js, which tools for web pages run on, is not installed."""


def node_package(name: str) -> Path:
    """The folder of a package of dev/web, installed as its lock file says when it is not there."""
    folder = WEB / "node_modules" / name
    # One process installs, and the others wait; what npm writes last says that all is there.
    whole = WEB / "node_modules/.package-lock.json"
    with (WEB / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            npm = shutil.which("npm")
            if npm is None:
                raise MissingNodeError("npm is not installed: run dev/bootstrap")
            subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=WEB, check=True, env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"},
            )  # fmt: skip
    return folder


@contextmanager
def served(application: Callable[..., Any], port: int = 0) -> Iterator[int]:
    """Serve a WSGI application on 127.0.0.1 in the background; gives the port."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            return

    server = ThreadedWSGIServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, name="crm", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Visitors:
    """People who come to a browser one after the other, each as if nobody had been there before.

    A new context takes most of a second of a core. So one that is left is emptied, and the next visitor who
    wants one like it has it.

    Args:
        browser: runs.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[BrowserContext]] = {}

    @contextmanager
    def at(self, url: str) -> Iterator[Callable[..., Page]]:
        """Opens pages at an address, each for another visitor, who leaves at the end.

        `width` is the page's in pixels, `fresh` wants a context with an empty cache; what else is given is
        for Playwright's contexts. Errors of scripts, what a policy forbids and foreign requests fail.
        """
        taken: list[tuple[str, BrowserContext]] = []
        wrong: list[str] = []

        def open_page(*, width: int = 1280, fresh: bool = False, locale: str = "en", **options: Any) -> Page:
            like = repr((url, locale, sorted(options.items())))
            free = self._free.setdefault(like, [])
            reused = free.pop() if free and not fresh else None
            context = reused or self._browser.new_context(base_url=url, locale=locale, **options)
            taken.append((like, context))
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.set_viewport_size({"width": width, "height": 900})
            page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
            page.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
            page.on(
                "request",
                lambda asked: (
                    asked.url.startswith((url, "data:", "blob:")) or wrong.append(f"foreign: {asked.url}")
                ),
            )
            return page

        yield open_page
        for like, context in taken:
            _leave(context, url)
            self._free[like].append(context)
        if wrong:
            raise AssertionError(wrong)


def _leave(context: BrowserContext, url: str) -> None:
    for page in context.pages:
        if page.url.startswith(url):
            page.evaluate("localStorage.clear()")
        page.close()
    context.set_offline(False)
    context.clear_cookies()
    context.clear_permissions()


@contextmanager
def patience() -> Iterator[None]:
    """Within it Playwright waits longer for what it expects.

    A page that tries again by itself does so every five seconds, and machines are busy.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    try:
        yield
    finally:
        expect.set_options(timeout=5_000)


@contextmanager
def chromium(host: str, port: int, **others: int) -> Iterator[Browser]:
    """Debian's Chromium, for which `host` (with its port), and each of `others`, is 127.0.0.1 at a port."""
    from playwright.sync_api import sync_playwright

    # Playwright runs a loop in this thread, which Django takes for a reason not to ask its database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    known = ", ".join(f"MAP {name} 127.0.0.1:{at}" for name, at in {host: port, **others}.items())
    rules = f"--host-resolver-rules={known}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, rules])
        yield browser
        browser.close()


def session_of(person: Any) -> dict[str, Any]:
    """A cookie that signs a person in, for Playwright's contexts; `url` is still to be set."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from guestpost_crm.accounts.models import SignIn

    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    SignIn.objects.create(person=person, session_key=session.session_key, agent="Chromium of the tests")
    return {"name": settings.SESSION_COOKIE_NAME, "value": str(session.session_key)}


# Width in pixels and colour scheme. Above 72 rem no page is laid out otherwise than at 1,280 px, and a scheme
# changes colours alone: so a large dark screen stands for a large light one and for a dark laptop as well.
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (360, "light"),
    (1280, "light"),
    (1920, "dark"),
)


def faults(page: Page, axe: str) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA on a page, and whether it scrolls sideways.

    Args:
        page: is open.
        axe: the source of axe-core, which is no script of the page: its policy allows none but its own.
    """
    page.evaluate(axe)
    return [f"{page.url}: {each}" for each in _looked_at(page)]


def faults_everywhere(page: Page, axe: str) -> list[str]:
    """The same on a telephone, on a laptop, and on a large screen in dark colours.

    The page is left as wide as it was, and light.
    """
    before = page.viewport_size
    page.evaluate(axe)
    found = []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found += [f"{page.url} {width} px {scheme}: {each}" for each in _looked_at(page)]
    page.emulate_media(color_scheme="light")
    if before is not None:
        page.set_viewport_size(before)
    return found


def _looked_at(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        """async () => {
          const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
          const what = {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]};
          const result = await axe.run(document, what);
          const shown = (nodes) => nodes.slice(0, 3).map((node) => node.html).join(" ; ");
          return result.violations.map((each) => `${each.id}: ${shown(each.nodes)}`);
        }"""
    )
    if (beyond := too_wide(page)) > 0:
        found.append(f"{beyond} px too wide")
    return found


def too_wide(page: Page) -> int:
    """How many pixels of a page are beyond its window, to the right."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
