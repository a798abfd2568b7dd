"""Orders from a spreadsheet, known by their numbers, or by site, target address and anchor text together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from guestpost_crm.accounts.models import Person as Member
from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import Order, OrderChange, Site
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import orders, placements, stages
from guestpost_crm.outreach.services.imports import contacts, sites, values
from guestpost_crm.outreach.services.imports.people import Contacts, Members
from guestpost_crm.outreach.services.imports.rows import (
    Customs,
    Importer,
    Lines,
    Preview,
    Problem,
    own,
    short,
    why,
)

FIELDS = {
    "number": gettext_lazy("Order number"), "site": gettext_lazy("Site"), "contact": gettext_lazy("Contact"),
    "stage": gettext_lazy("Stage"), "anchor": gettext_lazy("Anchor text"),
    "target_url": gettext_lazy("Target address"), "link_policy": gettext_lazy("Link agreed"),
    "draft_url": gettext_lazy("Draft"), "published_url": gettext_lazy("Published at"),
    "price": gettext_lazy("Price"), "currency": gettext_lazy("Currency"), "due_on": gettext_lazy("Due"),
    "assigned": gettext_lazy("Assigned to"), "notes": gettext_lazy("Notes"),
}  # fmt: skip
_NAMES = {
    "number": "number order ordernumber orderid",
    "site": "site domain website url web websiteurl siteurl domainname publisher",
    "contact": "contact contactemail email emailaddress mail publisheremail",
    "stage": "stage status state orderstatus",
    "anchor": "anchor anchortext keyword linktext",
    "target_url": "target targeturl targetaddress targetpage landingpage clienturl linkto destination"
    " destinationurl moneypage",
    "link_policy": "linkagreed linkpolicy linktype dofollow follow rel linkattribute",
    "draft_url": "draft drafturl document doc content contenturl articleurl",
    "published_url": "publishedat publishedurl liveurl livelink posturl placement",
    "price": "price cost rate fee amount guestpostprice priceusd priceeur pricegbp",
    "currency": "currency cur curr",
    "due_on": "due duedate dueon deadline deliverydate",
    "assigned": "assignedto assigned assignee manager responsible",
    "notes": "notes note comment comments remarks",
}
_PAGES = ("target_url", "draft_url", "published_url")
_LENGTHS = {"anchor": 300, "notes": 20_000}
# Words that spreadsheets have besides the names of the stages.
_STAGES: dict[str, str] = {
    "new": Stage.PROSPECT, "idea": Stage.PROSPECT, "emailed": Stage.CONTACTED, "pitched": Stage.CONTACTED,
    "negotiation": Stage.NEGOTIATING, "accepted": Stage.AGREED, "approved": Stage.AGREED,
    "ordered": Stage.AGREED, "live": Stage.PUBLISHED, "posted": Stage.PUBLISHED, "done": Stage.PAID,
    "declined": Stage.LOST, "rejected": Stage.LOST, "cancelled": Stage.LOST, "canceled": Stage.LOST,
}  # fmt: skip
_STORED = (
    "contact", "stage", "anchor", "target_url", "link_policy", "draft_url", "published_url", "price",
    "currency", "due_on", "assigned", "notes", "custom", "moved_at", "agreed_on", "published_on",
    "updated_at",
)  # fmt: skip
_Same = tuple[str, str, str]


@dataclass
class Row:
    """An order as it would be.

    Attributes:
        order: new, or as it is stored with what the line says put into it.
        domain: of its site.
        before: what the history compares; empty of a new one.
        seen_at: when it was last changed, as far as was known.
        contact: who stands in the line, if anybody; new ones are stored with it.
    """

    order: Order
    domain: str
    before: dict[str, str] = field(default_factory=dict)
    seen_at: Any = None
    contact: contacts.Person | None = None

    @property
    def new(self) -> bool:
        """Whether it is not here yet."""
        return self.order.pk is None

    @property
    def changed(self) -> bool:
        """Whether the line says anything new."""
        stranger = self.contact is not None and self.contact.new
        return stranger or bool(orders.changes(self.before, orders.state_of(self.order)))

    @property
    def contact_name(self) -> str:
        """Who it is agreed with, for people."""
        found = self.contact.contact if self.contact is not None else self.order.contact
        return "" if found is None else str(found)


class _Check:
    """What the lines of one file are checked against, read in few statements however many they are."""

    def __init__(self, lines: Lines, named: dict[int, str], customs: Customs) -> None:
        self._customs = customs
        self._sites = {each.domain: each for each in Site.objects.filter(domain__in=set(named.values()))}
        self._contacts = Contacts(cells.get("contact", "") for _line, cells in lines)
        self._members = Members()
        self._stages = _stage_words()
        self._day_first = values.day_first(cells.get("due_on", "") for _line, cells in lines)
        found = Order.objects.filter(site__in=self._sites.values()).select_related("site", "contact")
        self._by_number = {each.pk: each for each in found.order_by("pk")}
        self._same: dict[_Same, list[Order]] = defaultdict(list)
        for each in self._by_number.values():
            self._same[each.site.domain, each.target_url, each.anchor].append(each)
        numbers = {_number(cells.get("number", "")) for _line, cells in lines}
        # Also those of other sites: their numbers are mistakes to be told.
        self._domains = dict(Order.objects.filter(pk__in=numbers).values_list("pk", "site__domain"))

    def row(self, domain: str, cells: dict[str, str]) -> tuple[Row, list[tuple[str, str]]]:
        """What a line would make of its order, and what is wrong in which column."""
        said, problems = self._read(cells)
        order = None
        try:
            order = self._known(domain, cells.get("number", ""), said)
        except ValueError as error:
            problems.append((_label("number"), str(error)))
        if order is None:
            order = self._begun(domain)
            row = Row(order, domain)
        else:
            row = Row(order, domain, orders.state_of(order), order.updated_at)
        self._fill(row, said)
        if cells.get("contact") and not (row.contact_name and row.contact_name == cells["contact"]):
            try:
                row.contact = self._contacts.of(cells["contact"], domain)
                order.contact = None if row.contact.new else row.contact.contact
            except ValueError as error:
                problems.append((_label("contact"), why(error)))
        if not problems and (problem := stages.blocked(order, order.stage)):
            problems.append((_label("stage"), problem))
        return row, problems

    def _read(self, cells: dict[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """What the cells say by field, and what is wrong in which column."""
        said: dict[str, Any] = {}
        problems = []
        for name, text in cells.items():
            if not text or name in ("number", "site", "contact"):
                continue
            try:
                custom = self._customs.get(name)
                said[name] = own(custom, text) if custom is not None else self._value(name, text)
                if name == "price" and "currency" not in cells and (code := values.currency_of(text)):
                    said["currency"] = code
            except (ValidationError, ValueError) as error:
                problems.append(
                    (self._customs[name].label if name in self._customs else _label(name), why(error))
                )
        return said, problems

    def _value(self, name: str, text: str) -> Any:
        """The value of a cell (ValueError or ValidationError tell what is wrong with it)."""
        if name in _PAGES:
            return values.page(text)
        if name in _LENGTHS:
            return short(text, _LENGTHS[name])
        if name == "due_on":
            return values.day(text, self._day_first)
        if name == "assigned":
            return self._members.of(text)
        read = {
            "stage": self._stage, "price": values.amount, "currency": values.currency,
            "link_policy": values.link_policy,
        }  # fmt: skip
        return read[name](text)

    def _stage(self, text: str) -> str:
        """A stage, by one of its names (ValueError)."""
        word = " ".join(text.lower().replace("_", " ").split())
        if word not in self._stages:
            known = ", ".join(str(stage.label) for stage in Stage)
            raise ValueError(_("“%(text)s” is no stage: %(stages)s.") % {"text": text[:40], "stages": known})
        return self._stages[word]

    def _known(self, domain: str, number: str, said: dict[str, Any]) -> Order | None:
        """The order that a line is about; None for a new one (ValueError: none or several fit)."""
        if number:
            order = self._by_number.get(_number(number))
            if order is not None and order.site.domain == domain:
                return order
            told = {"number": number.lstrip("#")[:20]}
            if of := self._domains.get(_number(number)):
                told["site"] = domains.shown(of)
                raise ValueError(_("Order #%(number)s is one of %(site)s.") % told)
            problem = _("There is no order #%(number)s: leave its number out and it becomes a new one.")
            raise ValueError(problem % told)
        found = self._same.get((domain, said.get("target_url", ""), said.get("anchor", "")), [])
        if len(found) > 1:
            numbers = ", ".join(str(each) for each in found[:5])
            problem = _(
                "%(numbers)s have this site, target address and anchor text: say which by its number."
            )
            raise ValueError(problem % {"numbers": numbers})
        return found[0] if found else None

    def _begun(self, domain: str) -> Order:
        """A new order, as the form begins one."""
        site = self._sites.get(domain) or Site(domain=domain)
        return Order(site=site, currency=site.currency, link_policy=site.link_policy or "dofollow")

    @staticmethod
    def _fill(row: Row, said: dict[str, Any]) -> None:
        for name, value in said.items():
            if name.startswith("custom."):
                row.order.custom[name.removeprefix("custom.")] = value
            else:
                setattr(row.order, name, value)


def _check(found: Preview, lines: Lines, customs: Customs) -> None:
    named: dict[int, str] = {}
    for line, cells in lines:
        try:
            named[line] = domains.normalise(cells.get("site", ""))
        except domains.DomainError as error:
            found.problems.append(Problem(line, _label("site"), error.shown()))
    check = _Check(lines, named, customs)
    first: dict[Any, int] = {}
    for line, cells in lines:
        if line not in named:
            continue
        row, problems = check.row(named[line], cells)
        found.problems += [Problem(line, column, text) for column, text in problems]
        if problems:
            continue
        order = row.order
        same = order.pk or (row.domain, order.target_url, order.anchor)
        if same in first:
            text = _("Line %(line)s is of the same site, with the same target address and anchor text.")
            found.problems.append(Problem(line, _label("site"), text % {"line": first[same]}))
            continue
        first[same] = line
        _count(found, line, row)


def _count(found: Preview, line: int, row: Row) -> None:
    if row.new:
        found.made += 1
    elif row.changed:
        found.changed += 1
    else:
        found.unchanged += 1
        return
    found.records.append((line, row))


def _label(name: str) -> str:
    return str(FIELDS[name])


def _number(text: str) -> int:
    """The number of an order, 0 for what is none."""
    return int(text.lstrip("#")) if re.fullmatch(r"#?[0-9]{1,17}", text) else 0


def _stage_words() -> dict[str, str]:
    """Stages by their names in English and in the page's language, and by other words for them."""
    names = {str(stage.label).lower(): stage.value for stage in Stage}
    return {**_STAGES, **{stage.value: stage.value for stage in Stage}, **names}


def _store(found: Preview, by: Member) -> None:
    """New and changed orders with their contacts, sites, history and links, in few statements."""
    rows: list[Row] = [row for _line, row in found.records]
    _untouched(rows)
    strangers = {id(row.contact): row.contact for row in rows if row.contact is not None and row.contact.new}
    contacts.store(list(strangers.values()))
    keys = sites.ensure({row.domain for row in rows if row.order.site_id is None})
    moved = []
    now = timezone.now()
    for row in rows:
        order = row.order
        order.site_id = order.site_id or keys[row.domain]
        order.contact = row.contact.contact if row.contact is not None else order.contact
        order.updated_at = now
        if row.new:
            order.moved_at = now
        elif row.before["stage"] != order.stage:
            orders.reached(order)
        if order.stage in (Stage.PUBLISHED, Stage.PAID):
            moved.append(order)
    known = [row.order for row in rows if not row.new]
    Order.objects.bulk_create([row.order for row in rows if row.new], batch_size=1000)
    # As if they were new: bulk_update takes minutes for thousands.
    Order.objects.bulk_create(
        known, batch_size=1000, update_conflicts=True, unique_fields=["id"], update_fields=_STORED
    )
    OrderChange.objects.bulk_create(_history(rows, by), batch_size=1000)
    placements.follow_all(moved)


def _untouched(rows: list[Row]) -> None:
    """Nobody changed them since they were looked at (IntegrityError)."""
    seen = {row.order.pk: row.seen_at for row in rows if not row.new}
    locked = Order.objects.select_for_update(of=("self",)).filter(pk__in=seen).order_by("pk")
    if dict(locked.values_list("pk", "updated_at")) != seen:
        raise IntegrityError


def _history(rows: list[Row], by: Member) -> Iterable[OrderChange]:
    for row in rows:
        state = orders.state_of(row.order)
        told = orders.changes(row.before, state) if row.before else [("stage", "", row.order.stage)]
        for name, old, new in told:
            yield OrderChange(order=row.order, person=by, field=name[:60], old=old, new=new)


ORDERS = Importer(FIELDS, _NAMES, "site", _check, _store)
