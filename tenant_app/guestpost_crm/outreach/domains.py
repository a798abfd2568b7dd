"""Domains and addresses in one form, so that what is the same compares as the same. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

import idna
from publicsuffixlist import PublicSuffixList

from guestpost_crm.outreach.freemail import FREE_MAIL
from guestpost_crm.told import ToldError
from guestpost_crm.told import gettext_noop as _

MOST = 253
_ADDRESS = re.compile(r"^[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}$")


class DomainError(ToldError):
    """This is no domain; the message is for the person who wrote it."""


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    # Read from the package once, at first use: the list is some 100 kB.
    return PublicSuffixList()


def normalise(typed: str) -> str:
    """A domain as it is stored: IDNA, lower case, without scheme, path, port and a leading `www.`.

    Args:
        typed: `Example.com`, `https://www.example.com/page`, `müller.de`.

    Raises:
        DomainError: it is none, such as an address without a dot or a number.
    """
    shown = typed.strip()[:80]
    host = _host(typed)
    try:
        name = idna.encode(host, uts46=True, transitional=False).decode("ascii").lower() if host else ""
    except (idna.IDNAError, UnicodeError):
        raise DomainError(_("“%(text)s” is not a domain."), text=shown) from None
    if name.startswith("www.") and name.count(".") > 1:
        name = name.removeprefix("www.")
    if not name or len(name) > MOST or "." not in name or _is_number(name) or "_" in name:
        raise DomainError(_("“%(text)s” is not a domain, such as example.com."), text=shown)
    return name


def _host(typed: str) -> str:
    text = typed.strip()
    if any(ord(letter) < 33 or letter in '<>"`' for letter in text):
        return ""
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        # A name whose last label is a number is an address to some resolvers: 127.1, 0x7f.1.
        return name.rpartition(".")[2].isdigit()
    return True


@lru_cache(maxsize=8192)
def shown(domain: str) -> str:
    """A stored domain as people read it; punycode stays where decoding it fails."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def registrable(domain: str) -> str:
    """The part that somebody registered: `blog.example.co.uk` → `example.co.uk`; the domain when unknown."""
    return str(_suffixes().privatesuffix(domain) or domain)


def address(typed: str) -> str:
    """An e-mail address as it is stored: trimmed, lower case.

    Raises:
        DomainError: it is no address.
    """
    text = typed.strip().lower()
    if len(text) > 320 or not _ADDRESS.match(text):
        raise DomainError(_("“%(text)s” is not an e-mail address."), text=typed.strip()[:80])
    return text


def domain_of(mail_address: str) -> str:
    """The domain of an address in its stored form, empty when it is none."""
    try:
        return normalise(mail_address.rpartition("@")[2])
    except DomainError:
        return ""


def is_free_mail(domain: str) -> bool:
    """Whether addresses of a domain belong to anybody."""
    return domain in FREE_MAIL


def canonical(mail_address: str) -> str:
    """What an address delivers to, for finding duplicates: no `+tag`, Gmail's dots and second name left out.

    https://support.google.com/mail/answer/7436150
    """
    local, _, domain = mail_address.lower().partition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local.replace('.', '') or local}@gmail.com"
    return f"{local}@{domain}"


def candidates(domain: str) -> list[str]:
    """The domains that a site may be known by when mail comes from `domain`; none for free mail.

    They are the domain itself, then each parent down to the registrable one.
    """
    if not domain or is_free_mail(domain) or is_free_mail(registrable(domain)):
        return []
    root = registrable(domain)
    found = [domain]
    while found[-1] != root and found[-1].endswith(f".{root}"):
        found.append(found[-1].partition(".")[2])
    return found
