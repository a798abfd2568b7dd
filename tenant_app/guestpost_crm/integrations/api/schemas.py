"""What the API takes and gives. Amounts are decimal strings, days and moments as in RFC 3339."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from ninja import Field, Schema

Item = TypeVar("Item")
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["USD"])]
LinkPolicy = Literal["dofollow", "nofollow", "sponsored"]
Stage = Literal[
    "prospect", "contacted", "negotiating", "agreed", "writing", "submitted", "published", "paid", "lost"
]
Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]


class Page(Schema, Generic[Item]):
    """A page of a list in the order of ids; `next` is what `after` has to be for the page that follows."""

    items: list[Item]
    next: int | None


class Problem(Schema):
    """What is wrong; `errors` by field, with `__all__` for the whole."""

    detail: str
    errors: dict[str, list[str]] = {}


class Dated(Schema):
    """What every record has."""

    id: int
    created_at: dt.datetime
    updated_at: dt.datetime


class SiteIn(Schema):
    """A site to be added, or what of it is to be changed."""

    domain: str | None = Field(None, max_length=300)
    niche: str | None = Field(None, max_length=80)
    language: str | None = Field(None, max_length=40)
    dr: int | None = Field(None, ge=0, le=100)
    da: int | None = Field(None, ge=0, le=100)
    traffic: int | None = Field(None, ge=0, le=10**12)
    price: Amount | None = None
    currency: Currency | None = None
    turnaround_days: int | None = Field(None, ge=0, le=999)
    link_policy: LinkPolicy | Literal[""] | None = None
    max_links: int | None = Field(None, ge=0, le=99)
    notes: str | None = Field(None, max_length=20_000)
    do_not_contact: bool | None = None
    custom: dict[str, str] | None = None


class SiteOut(Dated):
    """A site."""

    domain: str
    niche: str
    language: str
    dr: int | None
    da: int | None
    traffic: int | None
    price: Amount | None
    currency: str
    turnaround_days: int | None
    link_policy: str
    max_links: int | None
    notes: str
    do_not_contact: bool
    archived: bool
    custom: dict[str, Any]


class ContactIn(Schema):
    """A contact to be added, or what of it is to be changed."""

    name: str | None = Field(None, max_length=200)
    addresses: list[str] | None = Field(None, max_length=50)
    sites: list[str] | None = Field(None, max_length=200, description="Domains; new ones are added.")
    notes: str | None = Field(None, max_length=20_000)
    do_not_contact: bool | None = None
    custom: dict[str, str] | None = None


class ContactOut(Dated):
    """A contact."""

    name: str
    addresses: list[str]
    sites: list[str]
    notes: str
    do_not_contact: bool
    archived: bool
    custom: dict[str, Any]

    @staticmethod
    def resolve_addresses(record: Any) -> list[str]:
        """The addresses as text."""
        return [each.address for each in record.addresses.all()]

    @staticmethod
    def resolve_sites(record: Any) -> list[str]:
        """The sites by their domains."""
        return [each.domain for each in record.sites.all()]


class OrderIn(Schema):
    """An order to be added, or what of it is to be changed."""

    site: str | None = Field(None, max_length=300, description="Its domain.")
    contact: str | None = Field(None, max_length=320, description="An e-mail address of a contact.")
    stage: Stage | None = None
    anchor: str | None = Field(None, max_length=300)
    target_url: str | None = Field(None, max_length=2000)
    link_policy: LinkPolicy | None = None
    draft_url: str | None = Field(None, max_length=2000)
    published_url: str | None = Field(None, max_length=2000)
    price: Amount | None = None
    currency: Currency | None = None
    due_on: dt.date | None = None
    notes: str | None = Field(None, max_length=20_000)
    custom: dict[str, str] | None = None


class OrderOut(Dated):
    """An order."""

    site: str = Field(alias="site.domain")
    contact_id: int | None
    thread_id: int | None
    stage: str
    anchor: str
    target_url: str
    link_policy: str
    draft_url: str
    published_url: str
    price: Amount | None
    currency: str
    due_on: dt.date | None
    assigned_id: int | None
    notes: str
    link_lost: bool
    custom: dict[str, Any]


class OfferIn(Schema):
    """An offer to be recorded."""

    site: str = Field(max_length=300, description="Its domain.")
    contact: str | None = Field(None, max_length=320, description="An e-mail address of a contact.")
    direction: Literal["theirs", "ours"]
    price: Amount
    currency: Currency
    expires_on: dt.date | None = None
    terms: str = Field("", max_length=5000)


class OfferOut(Dated):
    """An offer."""

    site: str = Field(alias="site.domain")
    contact_id: int | None
    order_id: int | None
    answers_id: int | None
    direction: str
    price: Amount
    currency: str
    terms: str
    expires_on: dt.date | None
    state: str


class PlacementOut(Dated):
    """A placed link and what the last look found."""

    site: str = Field(alias="site.domain")
    order_id: int | None
    url: str
    target_url: str
    anchor: str
    rel: str
    state: str
    problems: list[str]
    checked_at: dt.datetime | None
    lost_at: dt.datetime | None


class InvoiceOut(Dated):
    """An invoice; `paid` is the sum of its payments."""

    site: str = Field(alias="site.domain")
    contact_id: int | None
    number: str
    amount: Amount
    paid: Amount
    currency: str
    issued_on: dt.date
    due_on: dt.date | None
    void: bool


class ThreadOut(Schema):
    """A conversation as lists show it; nothing of what is written in it."""

    id: int
    mailbox: str = Field(alias="mailbox.address")
    subject: str
    participants: str
    last_message_at: dt.datetime
    message_count: int
    unread: bool
    in_inbox: bool
    last_from_us: bool
