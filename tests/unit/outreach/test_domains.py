"""Domains and addresses: what is the same compares as the same."""

from __future__ import annotations

import pytest
from guestpost_crm.outreach import domains
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9]{0,10})", fullmatch=True)
DOMAIN = st.builds(
    lambda labels, end: ".".join([*labels, end]),
    st.lists(LABEL, min_size=1, max_size=3),
    st.sampled_from(["com", "co.uk", "de", "io"]),
)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Example.com", "example.com"),
        ("  https://www.Example.com/a?b#c ", "example.com"),
        ("//example.com.", "example.com"),
        ("http://user@example.com:8080/", "example.com"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
        ("日本.jp", "xn--wgv71a.jp"),
        ("www.com", "www.com"),
        ("blog.www.example.com", "blog.www.example.com"),
    ],
)
def test_a_domain_has_one_form(typed: str, stored: str) -> None:
    assert domains.normalise(typed) == stored


@pytest.mark.parametrize(
    "typed",
    ["", " ", "localhost", "127.0.0.1", "[::1]", "http://[::1]/", "127.1", "a_b.com", "-a.com", "a..b",
     "ex ample.com",
     "x" * 300 + ".com", "<b>.com", "a.b\x00.com", "http://", "example.1", "a@b@c"],
)  # fmt: skip
def test_what_is_no_domain_is_refused_with_what_was_typed(typed: str) -> None:
    with pytest.raises(domains.DomainError, match="is not a domain"):
        domains.normalise(typed)


# The first domain of a process is slow: tables of letters are read for it.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    DOMAIN,
    st.sampled_from(["", "http://", "https://", "//"]),
    st.sampled_from(["", "/", "/x?y", "#z", ":443"]),
)
def test_whatever_surrounds_a_domain_is_dropped(domain: str, scheme: str, rest: str) -> None:
    plain = domains.normalise(domain)
    assert domains.normalise(f"{scheme}{domain.upper()}{rest}") == plain
    assert domains.normalise(plain) == plain
    assert plain.endswith(domains.registrable(plain))


@given(st.text(max_size=80))
def test_any_text_is_a_domain_in_its_one_form_or_refused(typed: str) -> None:
    try:
        stored = domains.normalise(typed)
    except domains.DomainError:
        return
    assert stored == stored.lower().strip()
    assert stored.isascii()
    assert domains.normalise(stored) == stored or stored.startswith("www.")
    assert domains.shown(stored)


def test_the_registrable_part_follows_the_public_suffix_list() -> None:
    assert domains.registrable("blog.example.co.uk") == "example.co.uk"
    assert domains.registrable("me.github.io") == "me.github.io"
    assert domains.registrable("co.uk") == "co.uk"


def test_mail_from_a_domain_may_belong_to_it_or_its_parents_and_free_mail_to_none() -> None:
    assert domains.candidates("a.b.example.co.uk") == [
        "a.b.example.co.uk",
        "b.example.co.uk",
        "example.co.uk",
    ]
    for free in ("gmail.com", "yahoo.co.uk", "mail.yahoo.com", "web.de", ""):
        assert domains.candidates(free) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.b+c@gmail.com", "ab@googlemail.com"),
        ("Bob+news@site.example", "bob@site.example"),
        ("A.B@GMAIL.com", "ab@gmail.com"),
    ],
)
def test_addresses_that_deliver_to_the_same_mailbox_are_alike(one: str, other: str) -> None:
    assert domains.canonical(one) == domains.canonical(other)


def test_dots_matter_outside_gmail() -> None:
    assert domains.canonical("a.b@site.example") != domains.canonical("ab@site.example")
    assert domains.canonical("+tag@site.example") == "+tag@site.example"


@pytest.mark.parametrize("typed", ["", "bob", "bob@", "@b.c", "a b@c.d", "a@b@c", "a@" + "b" * 400])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(domains.DomainError, match="not an e-mail address"):
        domains.address(typed)
