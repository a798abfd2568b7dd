"""What a page says of a link: there or not, in which words, for whom, and whether robots may follow."""

from __future__ import annotations

import pytest
from guestpost_crm.outreach.linkcheck.client import Fetched
from guestpost_crm.outreach.linkcheck.findings import Expected, Findings, examine, same
from hypothesis import given
from hypothesis import strategies as st

URL = "https://site.example/post"
TARGET = "https://ours.example/shoes"
LINK = f'<a href="{TARGET}">best shoes</a>'


def found(body: str | bytes, *, anchor: str = "", rel: str = "dofollow", **page: object) -> Findings:
    content = body.encode() if isinstance(body, str) else body
    fetched = Fetched(**{"url": URL, "status": 200, "headers": {}, "body": content, **page})  # type: ignore[arg-type]
    return examine(Expected(URL, TARGET, anchor, rel), fetched)


def test_a_link_as_agreed() -> None:
    seen = found(f"<p>See the {LINK}.</p>", anchor="Best  shoes")
    assert (seen.outcome, seen.problems, seen.anchor, seen.links) == ("live", (), "best shoes", 1)
    assert seen.stored()["problems"] == []


@pytest.mark.parametrize(
    "href",
    [
        "https://ours.example/shoes", "http://ours.example/shoes", "https://www.ours.example/shoes",
        "https://ours.example/shoes/", "https://ours.example/shoes#top", "HTTPS://OURS.example/shoes",
        "https://ours.example/shoes?utm_source=site&utm_campaign=x", "//ours.example/shoes",
        " https://ours.example/shoes\n", "https://ours.example:443/shoes",
        "https://ours.example/sho%65s",
    ],
)  # fmt: skip
def test_the_same_page_however_it_is_written(href: str) -> None:
    assert found(f'<a href="{href}">x</a>').outcome == "live"


@pytest.mark.parametrize(
    "body",
    [
        "", "<p>https://ours.example/shoes</p>", '<a href="https://ours.example/boots">x</a>',
        '<a href="https://ours.example.evil.example/shoes">x</a>', f"<!-- {LINK} -->", "<a>shoes</a>",
        f"<script>'{LINK}'</script>", '<a href="https://ours.example/shoes?colour=red">x</a>',
        '<a href="javascript:x">x</a>', '<a href="http://[">x</a>', f"<noscript><!-- {LINK} --></noscript>",
    ],
)  # fmt: skip
def test_a_page_without_the_link(body: str) -> None:
    seen = found(body)
    assert (seen.outcome, seen.problems) == ("missing", ("missing",))


@pytest.mark.parametrize(
    ("rel", "agreed", "problems"),
    [
        ("", "dofollow", ()),
        ("noopener noreferrer", "dofollow", ()),
        ("nofollow", "dofollow", ("nofollow",)),
        ("NoFollow, sponsored", "dofollow", ("nofollow", "sponsored")),
        ("ugc", "dofollow", ("ugc",)),
        ("nofollow", "nofollow", ()),
        ("", "nofollow", ()),
        ("sponsored", "sponsored", ()),
        ("", "sponsored", ("not-sponsored",)),
        ("nofollow", "sponsored", ("not-sponsored",)),
    ],
)
def test_the_kind_of_link_against_what_was_agreed(rel: str, agreed: str, problems: tuple[str, ...]) -> None:
    seen = found(f'<a href="{TARGET}" rel="{rel}">x</a>', rel=agreed)
    assert seen.problems == problems
    assert seen.outcome == ("changed" if problems else "live")


def test_of_several_links_the_one_that_is_closest_to_the_agreement_counts() -> None:
    body = f'<a rel="nofollow" href="{TARGET}">shoes</a><a href="{TARGET}">best shoes</a>'
    seen = found(body, anchor="best shoes")
    assert (seen.outcome, seen.links) == ("live", 2)


def test_another_anchor_is_told_with_what_it_is() -> None:
    seen = found(LINK.replace("best", "cheap"), anchor="best shoes")
    assert (seen.outcome, seen.problems, seen.anchor) == ("changed", ("anchor",), "cheap shoes")


def test_the_description_of_a_picture_is_its_anchor() -> None:
    assert found(f'<a href="{TARGET}"><img alt="best shoes"></a>', anchor="best shoes").outcome == "live"


@pytest.mark.parametrize(
    ("head", "header", "problems"),
    [
        ('<meta name="robots" content="noindex, follow">', "", ("noindex",)),
        ('<META NAME="GoogleBot" CONTENT="none">', "", ("nofollow", "noindex")),
        ('<meta name="robots" content="nofollow">', "", ("nofollow",)),
        ('<meta name="bingbot" content="noindex">', "", ()),
        ('<meta name="robots" content="index,follow,max-snippet:-1">', "", ()),
        ("", "noindex", ("noindex",)),
        ("", "max-snippet: 5, noindex", ("noindex",)),
        ("", "otherbot: noindex, nofollow", ()),
        ("", "googlebot: noindex", ("noindex",)),
        ("", "otherbot: noindex\nnofollow", ("nofollow",)),
        ("", "unavailable_after: 25 Jun 2030 15:00:00 PST", ()),
    ],
)
def test_what_robots_are_told(head: str, header: str, problems: tuple[str, ...]) -> None:
    headers = {"x-robots-tag": header} if header else {}
    seen = found(f"<head>{head}</head><body>{LINK}", headers=headers)
    assert seen.problems == problems


def test_a_page_that_names_another_as_its_original_or_has_moved() -> None:
    assert found(f'<link rel="canonical" href="/post/?utm_source=x">{LINK}').outcome == "live"
    seen = found(f'<link rel="canonical" href="https://copy.example/post">{LINK}')
    assert (seen.problems, seen.canonical) == (("canonical",), "https://copy.example/post")
    seen = found(LINK, url="https://site.example/moved", redirects=(URL,))
    assert (seen.problems, seen.final_url, seen.redirects) == (
        ("redirected",),
        "https://site.example/moved",
        1,
    )
    assert found(LINK, url="https://www.site.example/post/", redirects=("http://x",)).outcome == "live"


@pytest.mark.parametrize(
    ("status", "outcome", "problem"),
    [
        (404, "missing", "gone"),
        (410, "missing", "gone"),
        (403, "unreachable", "blocked"),
        (429, "unreachable", "blocked"),
        (500, "unreachable", "server-error"),
        (503, "unreachable", "server-error"),
        (304, "unreachable", "server-error"),
    ],
)
def test_answers_that_are_no_page(status: int, outcome: str, problem: str) -> None:
    seen = found(LINK, status=status)
    assert (seen.outcome, seen.problems, seen.status) == (outcome, (problem,), status)


def test_a_file_that_is_no_page_and_a_page_that_was_cut() -> None:
    assert found(LINK, headers={"content-type": "application/pdf"}).problems == ("not-html",)
    seen = found("<p>", cut=True)
    assert (seen.outcome, seen.problems) == ("unreachable", ("too-large",))
    assert found(LINK, cut=True).outcome == "live"


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", "text/html; charset=utf-8"), ("windows-1251", "text/html; charset=windows-1251"),
     ("utf-8", "text/html"), ("utf-8", "text/html; charset=nonsense")],
)  # fmt: skip
def test_pages_in_any_encoding(encoding: str, declared: str) -> None:
    body = f'<meta charset="{encoding}"><a href="{TARGET}">лучшие туфли</a>'.encode(encoding)
    seen = found(body, anchor="лучшие туфли", headers={"content-type": declared})
    assert seen.outcome == "live"


def test_relative_links_lie_where_the_page_says() -> None:
    assert found('<base href="https://ours.example/"><a href="shoes">x</a>').outcome == "live"
    assert found('<a href="shoes">x</a>').outcome == "missing"


@given(st.binary(max_size=600), st.sampled_from(["", "text/html", "text/html; charset=utf-16", "text/xml"]))
def test_no_page_breaks_it(body: bytes, kind: str) -> None:
    assert found(body, headers={"content-type": kind}).outcome in ("live", "missing", "changed")


@given(st.text(max_size=80))
def test_no_address_breaks_the_comparison(text: str) -> None:
    assert same(text) == same(text)


def test_letters_that_are_escaped_are_the_same_letters() -> None:
    assert same("https://ours.example/café") == same("https://ours.example/caf%c3%a9")
    assert same("https://ours.example/a%2fb") == same("https://ours.example/a%2Fb")
    assert same("https://ours.example/a%2Fb") != same("https://ours.example/a/b")
