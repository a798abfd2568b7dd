"""Importing sites from a spreadsheet: guess the columns, check every line, then all of it or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach import csvfiles, domains, money
from guestpost_crm.outreach.models import CustomField, Site, SiteImport
from guestpost_crm.outreach.models.common import LinkPolicy
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.services import custom
from guestpost_crm.outreach.services.acting import acted

MOST_BYTES = 5 << 20
MOST_TOLD = 200
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
_YES, _NO = {"yes", "y", "true", "1", "x"}, {"no", "n", "false", "0", ""}
_POLICIES = {
    "dofollow": "dofollow", "do-follow": "dofollow", "do follow": "dofollow", "follow": "dofollow",
    "df": "dofollow", "yes": "dofollow", "nofollow": "nofollow", "no-follow": "nofollow",
    "no follow": "nofollow", "nf": "nofollow", "no": "nofollow", "sponsored": "sponsored",
    "paid": "sponsored",
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What is wrong in a line of the file, and in which column."""

    line: int
    column: str
    text: str


@dataclass
class Preview:
    """What an import would do.

    Attributes:
        header: the columns of the file.
        mapping: field by number of the column.
        sites: new or changed sites by line.
        made, changed, unchanged: how many sites would be.
        problems: lines that can't be imported.
        sample: the first rows, for choosing the mapping.
    """

    header: list[str]
    mapping: dict[int, str]
    sites: list[tuple[int, Site]] = field(default_factory=list)
    made: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether it can be done: there is a domain, and no line is wrong."""
        return "domain" in self.mapping.values() and not self.problems and bool(self.made or self.changed)


def guess(header: Sequence[str], customs: Sequence[CustomField] = ()) -> dict[int, str]:
    """Which field each column is, by its name; each field once."""
    names = {name: each for each, known in _NAMES.items() for name in known.split()}
    names |= {_plain(each.label): f"custom.{each.key}" for each in customs if _plain(each.label) not in names}
    mapping: dict[int, str] = {}
    for number, title in enumerate(header):
        found = names.get(_plain(title))
        if found and found not in mapping.values():
            mapping[number] = found
    return mapping


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def upload(person: Person, name: str, content: bytes) -> SiteImport:
    """Keep an uploaded file until it is imported.

    Raises:
        csvfiles.CsvError: it can't be read.
        PermissionDenied: the person may only read.
    """
    text = csvfiles.decode(content)
    if len(csvfiles.read(text)) < 2:
        raise csvfiles.CsvError(_("The file has no rows below its heading."))
    with transaction.atomic():
        SiteImport.objects.filter(person=person, done_at=None).delete()
        made = SiteImport.objects.create(person=person, name=name[:200], content=text)
        acted(person, "import.uploaded", f"import:{made.pk}")
    return made


def preview(content: str, chosen: Mapping[int, str] | None = None) -> Preview:
    """What importing a file would do.

    Args:
        content: the text of the file.
        chosen: field by number of column; guessed when None.

    Raises:
        csvfiles.CsvError: it can't be read.
    """
    rows = csvfiles.read(content)
    header = rows[0][1] if rows else []
    customs = {f"custom.{each.key}": each for each in custom.definitions(Target.SITE)}
    mapping = dict(chosen) if chosen is not None else guess(header, list(customs.values()))
    found = Preview(header, mapping, sample=[cells for _line, cells in rows[1:4]])
    if "domain" not in mapping.values():
        return found
    lines = [(line, _cells(cells, mapping)) for line, cells in rows[1:]]
    _check(found, lines, customs)
    return found


def _cells(cells: Sequence[str], mapping: Mapping[int, str]) -> dict[str, str]:
    return {name: cells[number].strip() for number, name in mapping.items() if number < len(cells)}


def _check(found: Preview, lines: list[tuple[int, dict[str, str]]], customs: dict[str, CustomField]) -> None:
    named: dict[int, str] = {}
    for line, cells in lines:
        try:
            named[line] = domains.normalise(cells.get("domain", ""))
        except domains.DomainError as error:
            found.problems.append(Problem(line, str(FIELDS["domain"]), str(error)))
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
        found.sites.append((line, site))


def _values(site: Site) -> dict[str, Any]:
    return {name: getattr(site, name) for name in FIELDS} | {"custom": dict(site.custom)}


def _fill(site: Site, cells: dict[str, str], customs: dict[str, CustomField]) -> list[tuple[str, str]]:
    """Put a line's cells into a site; empty ones leave what is there. Gives what is wrong in which column."""
    problems = []
    for name, text in cells.items():
        if not text or name == "domain":
            continue
        label = customs[name].label if name in customs else str(FIELDS.get(name, name))
        try:
            if name in customs:
                value = custom.form_field(customs[name]).clean(text)
                site.custom[customs[name].key] = custom.stored(customs[name], value)
            elif name in FIELDS:
                setattr(site, name, _read(name, text))
                if name == "price" and "currency" not in cells and (code := _sign(text)):
                    site.currency = code
        except ValidationError as error:
            problems.append((label, " ".join(error.messages)))
        except ValueError as error:
            problems.append((label, str(error)))
    return problems


def _read(name: str, text: str) -> Any:
    """The value of a cell (ValueError tells what is wrong with it)."""
    if name in _NUMBERS:
        return _number(text, _NUMBERS[name])
    if name == "price":
        return money.amount(re.sub(r"[^\d.,'\u2019  -]", "", text).strip())
    if name == "currency":
        code = text.upper()
        code = next((each for each, sign in money.SIGNS.items() if sign == text), code)
        if code not in money.CURRENCIES:
            raise ValueError(_("“%(text)s” is no currency, such as USD.") % {"text": text[:40]})
        return code
    if name == "link_policy":
        if text.lower() not in _POLICIES:
            raise ValueError(_("“%(text)s” is not dofollow, nofollow or sponsored.") % {"text": text[:40]})
        return LinkPolicy(_POLICIES[text.lower()]).value
    if name == "do_not_contact":
        if text.lower() not in _YES | _NO:
            raise ValueError(_("“%(text)s” is neither yes nor no.") % {"text": text[:40]})
        return text.lower() in _YES
    if len(text) > _LENGTHS[name]:
        raise ValueError(_("Longer than %(most)s letters.") % {"most": _LENGTHS[name]})
    return text


def _number(text: str, most: int) -> int:
    """`12,500`, `12.5k`, `3M`."""
    match = re.fullmatch(r"([0-9][0-9.,' ]{0,20}?)\s?([kKmM]?)\+?", text)
    if match is None:
        raise ValueError(_("“%(text)s” is no number.") % {"text": text[:40]})
    value = int(money.amount(match[1]) * {"": 1, "k": 1000, "m": 10**6}[match[2].lower()])
    if value > most:
        raise ValueError(_("“%(text)s” is more than %(most)s.") % {"text": text[:40], "most": most})
    return value


def _sign(text: str) -> str:
    return next((code for code, sign in money.SIGNS.items() if sign in text or code in text.upper()), "")


@transaction.atomic
def run(person: Person, upload_key: int, mapping: Mapping[int, str]) -> SiteImport:
    """Import a file; the same file again changes nothing.

    Raises:
        csvfiles.CsvError: a line is wrong by now; nothing was imported.
        PermissionDenied: the person may only read.
    """
    batch = SiteImport.objects.select_for_update().get(pk=upload_key, person=person)
    if batch.done_at is not None:
        return batch
    found = preview(batch.content, mapping)
    if found.problems or "domain" not in mapping.values():
        raise csvfiles.CsvError(_("Some lines are wrong. Nothing was imported."))
    for _line, site in found.sites:
        site.save()
    batch.made, batch.changed, batch.unchanged = found.made, found.changed, found.unchanged
    batch.done_at, batch.content = timezone.now(), ""
    batch.save()
    acted(person, "import.done", f"import:{batch.pk}", made=found.made, changed=found.changed)
    return batch
