"""What a page says of a link that should be on it. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from lxml import etree, html

from guestpost_crm.outreach.linkcheck.client import Fetched

_TRACKING = re.compile(r"^(utm_\w+|gclid|fbclid|msclkid|ref|mc_cid|mc_eid)$", re.IGNORECASE)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_GONE = (404, 410)
_BLOCKED = (401, 403, 405, 406, 407, 418, 429, 451)
_SPACE = re.compile(r"\s+")
_MOST_TEXT = 300
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_QUALIFIERS = ("nofollow", "sponsored", "ugc")


@dataclass(frozen=True)
class Expected:
    """What was agreed: `anchor` is empty when any text is fine, `rel` dofollow, nofollow or sponsored."""

    url: str
    target: str
    anchor: str
    rel: str


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        outcome: live, changed, missing or unreachable.
        problems: words for what is wrong, the worst first.
        status: of HTTP, 0 without an answer.
        final_url: where the page is.
        redirects: how many led there.
        anchor: the text of the link that was found.
        rel: its qualifiers.
        noindex: whether the page asks not to be indexed.
        canonical: the page that it names as its original, when that is another one.
        links: how many links to the target there are.
    """

    outcome: str
    problems: tuple[str, ...] = ()
    status: int = 0
    final_url: str = ""
    redirects: int = 0
    anchor: str = ""
    rel: str = ""
    noindex: bool = False
    canonical: str = ""
    links: int = 0

    def stored(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"problems": list(self.problems)}


@dataclass(frozen=True)
class Link:
    """A link of a page."""

    text: str
    rel: frozenset[str]


def unreachable(problem: str) -> Findings:
    """Nothing is known of the link."""
    return Findings("unreachable", (problem,))


def same(url: str) -> str:
    """What two addresses of one page have in common.

    Scheme, `www.`, the port, a slash at the end, the fragment and words that only count visitors are
    left out; letters are escaped where they have to be and nowhere else (RFC 3986, section 6.2.2).
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.").encode("idna").decode().lower()
    except (ValueError, UnicodeError):
        return url.strip()
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(pair[0])]
    path = _ESCAPED.sub(_unescaped, quote(parts.path, safe="/%:@!$&'()*+,;=~")).rstrip("/")
    return f"{host}{path}?{urlencode(query)}" if query else f"{host}{path}"


def _unescaped(match: re.Match[str]) -> str:
    letter = chr(int(match[0][1:], 16))
    return letter if letter.isascii() and (letter.isalnum() or letter in "-._~") else match[0].upper()


def examine(expected: Expected, page: Fetched) -> Findings:
    """What a page says of the link that is expected on it."""
    about: dict[str, Any] = {"status": page.status, "final_url": page.url, "redirects": len(page.redirects)}
    if page.status in _GONE:
        return Findings("missing", ("gone",), **about)
    if page.status in _BLOCKED:
        return Findings("unreachable", ("blocked",), **about)
    if not 200 <= page.status < 300:
        return Findings("unreachable", ("server-error",), **about)
    kind = page.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    if kind not in ("text/html", "application/xhtml+xml", "application/xml", "text/xml", ""):
        return Findings("missing", ("not-html",), **about)
    tree = _tree(page)
    robots = _robots(tree, page.headers)
    noindex = bool(robots & {"noindex", "none"})
    canonical = _canonical(tree, page.url)
    links = _links(tree, page.url, expected.target)
    best = _best(links, expected)
    common = {**about, "noindex": noindex, "canonical": canonical, "links": len(links)}
    if best is None:
        cut = ("too-large",) if page.cut else ("missing",)
        return Findings("unreachable" if page.cut else "missing", cut, **common)
    page_wide = {"nofollow"} if robots & {"nofollow", "none"} else set()
    rel = (set(best.rel) | page_wide) & set(_QUALIFIERS)
    problems = _problems(expected, best, rel)
    moved = bool(page.redirects) and same(page.url) != same(expected.url)
    problems += [
        word
        for word, holds in (("noindex", noindex), ("canonical", canonical), ("redirected", moved))
        if holds
    ]
    outcome = "changed" if problems else "live"
    shown = " ".join(word for word in _QUALIFIERS if word in rel)
    return Findings(outcome, tuple(problems), anchor=best.text[:_MOST_TEXT], rel=shown, **common)


def _problems(expected: Expected, link: Link, rel: set[str]) -> list[str]:
    problems = []
    if expected.anchor and _words(expected.anchor) != _words(link.text):
        problems.append("anchor")
    if expected.rel == "dofollow":
        problems += [word for word in _QUALIFIERS if word in rel]
    elif expected.rel == "sponsored" and "sponsored" not in rel:
        problems.append("not-sponsored")
    return problems


def _words(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()


def _best(links: list[Link], expected: Expected) -> Link | None:
    """Of several links to the target the one that is closest to what was agreed."""
    return min(links, key=lambda link: len(_problems(expected, link, set(link.rel))), default=None)


def _tree(page: Fetched) -> Any:
    """The page as lxml reads it, whatever is wrong with it; an empty one when nothing can be read."""
    declared = re.search(r"charset=[\"']?([\w.:-]+)", page.headers.get("content-type", ""), re.IGNORECASE)
    for encoding in (declared[1] if declared else None, None, "utf-8"):
        try:
            parser = html.HTMLParser(encoding=encoding, no_network=True, huge_tree=False)
            tree = html.document_fromstring(page.body, parser=parser)
        except (etree.LxmlError, ValueError, LookupError, AssertionError):
            continue
        if tree is not None:
            return tree
    return html.document_fromstring("<html></html>")


def _robots(tree: Any, headers: dict[str, str]) -> set[str]:
    """What the page tells robots, by meta elements and X-Robots-Tag.

    https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag: words for other robots than
    Google's, written as `otherbot: noindex`, do not count.
    """
    said: set[str] = set()
    for meta in tree.iter("meta"):
        if str(meta.get("name", "")).strip().lower() in ("robots", "googlebot"):
            said |= {word.strip().lower() for word in str(meta.get("content", "")).split(",")}
    for line in headers.get("x-robots-tag", "").splitlines():
        robot = ""
        for word in line.lower().split(","):
            name, colon, rest = word.partition(":")
            if colon and name.strip() not in _VALUED:
                robot, directive = name.strip(), rest
            else:
                directive = word
            if robot in ("", "googlebot"):
                said.add(directive.strip())
    return said


def _canonical(tree: Any, url: str) -> str:
    for link in tree.iter("link"):
        if "canonical" in str(link.get("rel", "")).lower().split() and (
            href := str(link.get("href", "")).strip()
        ):
            named = _absolute(url, href)
            return named[:2000] if same(named) != same(url) else ""
    return ""


def _links(tree: Any, url: str, target: str) -> list[Link]:
    base = next((str(each.get("href")) for each in tree.iter("base") if each.get("href")), "")
    root = _absolute(url, base) if base else url
    wanted = same(target)
    found = []
    for link in tree.iter("a", "area"):
        href = str(link.get("href") or "").strip()
        if href and same(_absolute(root, href)) == wanted:
            rel = frozenset(str(link.get("rel") or "").lower().replace(",", " ").split())
            found.append(Link(_text(link), rel))
    return found


def _absolute(root: str, href: str) -> str:
    try:
        return urljoin(root, href)
    except ValueError:
        return ""


def _text(link: Any) -> str:
    """The words of a link; of a picture its description."""
    words = _SPACE.sub(" ", "".join(str(piece) for piece in link.itertext())).strip()
    if words:
        return words
    return _SPACE.sub(" ", " ".join(str(each.get("alt") or "") for each in link.iter("img"))).strip()
