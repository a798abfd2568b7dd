"""Sites from a spreadsheet, known by their domains."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from guestpost_crm.accounts.models import Person as Member
from guestpost_crm.outreach import domains, money
from guestpost_crm.outreach.models import Site
from guestpost_crm.outreach.services.imports import values
from guestpost_crm.outreach.services.imports.rows import (
    Customs,
    Importer,
    Lines,
    Preview,
    Problem,
    own,
    short,
    why,
    yes_or_no,
)

FIELDS = {
    "domain": gettext_lazy("Domain"), "niche": gettext_lazy("Niche"), "language": gettext_lazy("Language"),
    "dr": "DR", "da": "DA", "traffic": gettext_lazy("Visits a month"), "price": gettext_lazy("Price"),
    "currency": gettext_lazy("Currency"), "turnaround_days": gettext_lazy("Turnaround in days"),
    "link_policy": gettext_lazy("Link policy"), "max_links": gettext_lazy("Most links"),
    "notes": gettext_lazy("Notes"), "do_not_contact": gettext_lazy("Do not contact"),
}  # fmt: skip
_NAMES = {
    "domain": "domain site website url web websiteurl siteurl domainname root homepage address rootdomain",
    "niche": "niche category topic topics vertical industry categories",
    "language": "language lang locale",
    "dr": "dr domainrating ahrefsdr drahrefs",
    "da": "da domainauthority mozda damoz",
    "traffic": "traffic visits monthlytraffic organictraffic visitsmonth visitsamonth ahrefstraffic sessions",
    "price": "price cost rate fee amount guestpostprice pricing priceusd priceeur pricegbp",
    "currency": "currency cur curr",
    "turnaround_days": "turnaround turnarounddays tat days deliverydays turnaroundtime turnaroundindays",
    "link_policy": "linkpolicy link linktype follow dofollow rel links linkattribute",
    "max_links": "maxlinks mostlinks numberoflinks linksallowed linkcount",
    "notes": "notes note comment comments remarks",
    "do_not_contact": "donotcontact dnc blacklist blacklisted",
}
_NUMBERS = {"dr": 100, "da": 100, "traffic": 10**12, "turnaround_days": 999, "max_links": 99}
_LENGTHS = {"niche": 80, "language": 40, "notes": 20_000}


def _check(found: Preview, lines: Lines, customs: Customs) -> None:
    named: dict[int, str] = {}
    for line, cells in lines:
        try:
            named[line] = domains.normalise(cells.get("domain", ""))
        except domains.DomainError as error:
            found.problems.append(Problem(line, str(FIELDS["domain"]), error.shown()))
    known = {site.domain: site for site in Site.objects.filter(domain__in=set(named.values()))}
    first: dict[str, int] = {}
    for line, cells in lines:
        if line not in named:
            continue
        domain = named[line]
        if domain in first:
            text = _("%(domain)s stands in line %(line)s already.") % {
                "domain": domain,
                "line": first[domain],
            }
            found.problems.append(Problem(line, str(FIELDS["domain"]), text))
            continue
        first[domain] = line
        site = known.get(domain) or Site(domain=domain)
        before = _values(site)
        problems = _fill(site, cells, customs)
        found.problems += [Problem(line, column, text) for column, text in problems]
        if domain not in known:
            found.made += 1
        elif _values(site) != before:
            found.changed += 1
        else:
            found.unchanged += 1
            continue
        found.records.append((line, site))


def _values(site: Site) -> dict[str, Any]:
    return {name: getattr(site, name) for name in FIELDS} | {"custom": dict(site.custom)}


def _fill(site: Site, cells: dict[str, str], customs: Customs) -> list[tuple[str, str]]:
    """Put a line's cells into a site; empty ones leave what is there. Gives what is wrong in which column."""
    problems = []
    for name, text in cells.items():
        if not text or name == "domain":
            continue
        label = customs[name].label if name in customs else str(FIELDS.get(name, name))
        try:
            if name in customs:
                site.custom[customs[name].key] = own(customs[name], text)
            elif name in FIELDS:
                setattr(site, name, _read(name, text))
                if name == "price" and "currency" not in cells and (code := values.currency_of(text)):
                    site.currency = code
        except (ValidationError, ValueError) as error:
            problems.append((label, why(error)))
    return problems


def _read(name: str, text: str) -> Any:
    """The value of a cell (ValueError tells what is wrong with it)."""
    if name in _NUMBERS:
        return _number(text, _NUMBERS[name])
    if name == "price":
        return values.amount(text)
    if name == "currency":
        return values.currency(text)
    if name == "link_policy":
        return values.link_policy(text)
    if name == "do_not_contact":
        return yes_or_no(text)
    return short(text, _LENGTHS[name])


def _number(text: str, most: int) -> int:
    """`12,500`, `12.5k`, `3M`."""
    match = re.fullmatch(r"([0-9][0-9.,' ]{0,20}?)\s?([kKmM]?)\+?", text)
    if match is None:
        raise ValueError(_("“%(text)s” is no number.") % {"text": text[:40]})
    value = int(money.amount(match[1]) * {"": 1, "k": 1000, "m": 10**6}[match[2].lower()])
    if value > most:
        raise ValueError(_("“%(text)s” is more than %(most)s.") % {"text": text[:40], "most": most})
    return value


def ensure(wanted: Collection[str]) -> dict[str, int]:
    """The keys of the sites of these domains; those that are not here yet are added."""
    Site.objects.bulk_create(
        [Site(domain=domain, registrable=domains.registrable(domain)) for domain in sorted(wanted)],
        batch_size=1000,
        ignore_conflicts=True,
    )
    return dict(Site.objects.filter(domain__in=wanted).values_list("domain", "pk"))


def _store(found: Preview, _by: Member) -> None:
    """New and changed sites in few statements: twenty thousand are a matter of seconds."""
    sites = [site for _line, site in found.records]
    now = timezone.now()
    for site in sites:
        site.pk, site.updated_at, site.registrable = None, now, domains.registrable(site.domain)
    changed = [name for name in FIELDS if name != "domain"]
    Site.objects.bulk_create(
        sites, batch_size=1000, update_conflicts=True, unique_fields=["domain"],
        update_fields=[*changed, "custom", "updated_at"],
    )  # fmt: skip


SITES = Importer(FIELDS, _NAMES, "domain", _check, _store)
