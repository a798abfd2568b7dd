"""HTML mail: words out of anything, and markup that is safe, in a time that hostile mail can't stretch."""

from __future__ import annotations

import pytest
from guestpost_crm.inbox import html
from hypothesis import given
from hypothesis import strategies as st

SCRAPS = st.sampled_from(
    ["<", ">", "</", "<!--", "-->", "<script", "</script>", "<p>", "<a href=x>", "&lt;", "&#0;", "<style>",
     "5 < 6", '<img src="//x/y">', "<b", "</b>", "<head>", "<svg>", "<!x", "<?y", "\x00", "]]>"]
)  # fmt: skip
MARKUP = st.lists(st.one_of(SCRAPS, st.text(max_size=8)), max_size=40).map("".join)


@given(MARKUP)
def test_words_come_out_of_anything(markup: str) -> None:
    found = html.words(markup)
    assert "\n" not in found
    assert found == found.strip()


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ("<p>Our <b>price</b></p><p>120&nbsp;USD</p>", "Our price 120 USD"),
        ("a<!-- <b>hidden</b> -->b<script>x='<p>'</script>c<style>p{}</style>d", "a b c d"),
        ("<head><title>t</title></head>shown", "shown"),
        ("if 5 < 6 then", "if 5 < 6 then"),
        ("kept <b", "kept"),
        ("kept <script>never closed", "kept"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
    ],
)
def test_words_are_what_is_shown(markup: str, words: str) -> None:
    assert html.words(markup) == words


@pytest.mark.parametrize("scrap", ["<", "<script", "<!--", "<img src=", "<b>", "<div>", "&", "</", "<a b='"])
def test_a_megabyte_of_nonsense_is_read_at_once(scrap: str) -> None:
    """With expressions that go back, or a tree a million deep, these take minutes."""
    markup = scrap * ((1 << 20) // len(scrap))
    html.words(markup)
    html.sanitise(markup, {})


def test_what_is_beyond_reason_is_shown_as_words() -> None:
    markup = "<div>" * 100_000 + "the price <i>is</i> 120 & more"
    assert html.sanitise(markup, {}).markup == "<p>the price is 120 &amp; more</p>"
    assert html.sanitise("<b>a &amp; b</b> " * 30_000, {}).markup.startswith("<p>a &amp; b a &amp; b")
    newsletter = "<table><tr><td>" * 90 + "<p>line<br>" * 3000 + "</table>" * 90
    assert "<table>" in html.sanitise(newsletter, {}).markup
    padded = "<b>a</b>&nbsp;" * 30_000
    assert "<b>" in html.sanitise(padded, {}).markup


def test_pictures_inside_the_mail_are_shown_and_others_left_out() -> None:
    inside = '<img src="cid:logo@x"><img src="data:image/png;base64,aGk=">'
    safe = html.sanitise(inside, {"logo@x": "/messages/1/parts/2"})
    assert 'src="/messages/1/parts/2"' in safe.markup
    assert 'src="data:image/png;base64,aGk="' in safe.markup
    assert not safe.remote_images
    for elsewhere in (
        "http://t.example/a.gif",
        "//t.example/b.gif",
        "data:image/svg+xml,<svg/>",
        "/sign-out",
    ):
        safe = html.sanitise(f'<img src="{elsewhere}">', {})
        assert "src" not in safe.markup
        assert safe.remote_images


@pytest.mark.parametrize(
    "address",
    ["javascript:x", " JaVaScRiPt:x", "data:text/html,x", "/sign-out", "?view=all", "vbscript:x", "#a"],
)
def test_links_lead_to_the_web_or_to_a_mail_and_nowhere_else(address: str) -> None:
    assert "href" not in html.sanitise(f'<a href="{address}">x</a>', {}).markup
    kept = html.sanitise(
        '<a href="https://site.example/a?b=1">x</a> <a href="mailto:a@b.example">y</a>', {}
    ).markup
    assert kept.count("href") == 2
    assert kept.count('rel="noopener noreferrer nofollow"') == 2
    assert kept.count('target="_blank"') == 2
