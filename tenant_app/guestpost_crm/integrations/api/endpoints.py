"""The addresses of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Path, Query, Status
from ninja.errors import ValidationError
from pydantic import AfterValidator

from guestpost_crm.accounts.middleware import public
from guestpost_crm.accounts.models import Person
from guestpost_crm.inbox.models import Thread
from guestpost_crm.integrations.api import schemas
from guestpost_crm.integrations.api.auth import RATE, PerToken, Token
from guestpost_crm.integrations.api.records import LARGEST, InvalidError, page, stored
from guestpost_crm.integrations.models import Scope
from guestpost_crm.outreach.forms.contacts import ContactForm
from guestpost_crm.outreach.forms.orders import OfferForm, OrderForm
from guestpost_crm.outreach.forms.sites import SiteForm
from guestpost_crm.outreach.models import Contact, Invoice, Offer, Order, Placement, Site
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.services import billing, contacts, offers, orders, sites

api = NinjaAPI(
    title="GuestPostCRM",
    version="1",
    description="Sites, contacts, offers, orders, placements and invoices of one tenant. Tokens are made on "
    "the page “API and webhooks”; each belongs to a person and may do what its scopes say.",
    docs_url=None,
    urls_namespace="api",
    throttle=[PerToken(RATE)],
)
READ, WRITE, MAIL = Token(Scope.OUTREACH_READ), Token(Scope.OUTREACH_WRITE), Token(Scope.MAIL_READ)
Key = Annotated[int, Path(ge=1, le=LARGEST)]
After = Annotated[int, Query(ge=0, le=LARGEST, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100)]


def _moment(value: dt.datetime | None) -> dt.datetime | None:
    """A moment in UTC, which PostgreSQL takes whatever zone it was written in; UTC when none was."""
    if value is None:
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("This moment is out of range.") from None


Since = Annotated[
    dt.datetime | None, Query(description="Only what was changed from then on."), AfterValidator(_moment)
]
# What any request may be answered.
PROBLEMS = {401: schemas.Problem, 403: schemas.Problem, 422: schemas.Problem, 429: schemas.Problem}
MISSING = {**PROBLEMS, 404: schemas.Problem}


@api.exception_handler(InvalidError)
def invalid(request: HttpRequest, error: InvalidError) -> HttpResponse:
    """What the forms refuse."""
    told = {"detail": "Nothing was changed: see errors.", "errors": error.errors}
    return api.create_response(request, told, status=422)


@api.exception_handler(ValidationError)
def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """What does not fit the description."""
    errors: dict[str, list[str]] = {}
    for each in error.errors:
        place = ".".join(str(step) for step in each["loc"][1:] if step != "given") or "__all__"
        errors.setdefault(place, []).append(str(each["msg"]))
    told = {"detail": "The request does not fit the description.", "errors": errors}
    return api.create_response(request, told, status=422)


@api.exception_handler(Http404)
def missing(request: HttpRequest, error: Http404) -> HttpResponse:
    """What is not here."""
    return api.create_response(request, {"detail": "There is no such record.", "errors": {}}, status=404)


def _person(request: HttpRequest) -> Person:
    return request.auth.person  # type: ignore[attr-defined,no-any-return]


def _found(records: QuerySet[Any], key: int) -> Any:
    record = records.filter(pk=key).first()
    if record is None:
        raise Http404
    return record


def _since(records: QuerySet[Any], since: dt.datetime | None) -> QuerySet[Any]:
    return records.filter(updated_at__gte=since) if since else records


@api.get("/sites", response={200: schemas.Page[schemas.SiteOut], **PROBLEMS}, auth=READ, tags=["sites"])
def list_sites(request: HttpRequest, after: After = 0, limit: Limit = 50, updated_since: Since = None) -> Any:
    """Sites, archived ones too."""
    return page(_since(Site.objects.all(), updated_since), after, limit)


@api.get("/sites/{key}", response={200: schemas.SiteOut, **MISSING}, auth=READ, tags=["sites"])
def get_site(request: HttpRequest, key: Key) -> Any:
    """A site."""
    return _found(Site.objects.all(), key)


@api.post("/sites", response={201: schemas.SiteOut, **PROBLEMS}, auth=WRITE, tags=["sites"])
def add_site(request: HttpRequest, given: schemas.SiteIn) -> Any:
    """Add a site."""
    return Status(201, _save_site(request, Site(), given))


@api.patch("/sites/{key}", response={200: schemas.SiteOut, **MISSING}, auth=WRITE, tags=["sites"])
def change_site(request: HttpRequest, key: Key, given: schemas.SiteIn) -> Any:
    """Change a site; what is left out stays as it is."""
    return _save_site(request, _found(Site.objects.all(), key), given)


def _save_site(request: HttpRequest, site: Site, given: schemas.SiteIn) -> Site:
    form = stored(SiteForm, site, given.dict(exclude_unset=True), Target.SITE)
    return sites.save(_person(request), form.save(commit=False), form.changed_data)


_CONTACTS = Contact.objects.prefetch_related("addresses", "sites")


@api.get(
    "/contacts", response={200: schemas.Page[schemas.ContactOut], **PROBLEMS}, auth=READ, tags=["contacts"]
)
def list_contacts(
    request: HttpRequest, after: After = 0, limit: Limit = 50, updated_since: Since = None
) -> Any:
    """Contacts, archived ones too."""
    return page(_since(_CONTACTS.all(), updated_since), after, limit)


@api.get("/contacts/{key}", response={200: schemas.ContactOut, **MISSING}, auth=READ, tags=["contacts"])
def get_contact(request: HttpRequest, key: Key) -> Any:
    """A contact."""
    return _found(_CONTACTS.all(), key)


@api.post("/contacts", response={201: schemas.ContactOut, **PROBLEMS}, auth=WRITE, tags=["contacts"])
def add_contact(request: HttpRequest, given: schemas.ContactIn) -> Any:
    """Add a contact."""
    return Status(201, _save_contact(request, Contact(), given))


@api.patch("/contacts/{key}", response={200: schemas.ContactOut, **MISSING}, auth=WRITE, tags=["contacts"])
def change_contact(request: HttpRequest, key: Key, given: schemas.ContactIn) -> Any:
    """Change a contact; what is left out stays as it is."""
    return _save_contact(request, _found(Contact.objects.all(), key), given)


def _save_contact(request: HttpRequest, contact: Contact, given: schemas.ContactIn) -> Contact:
    values = given.dict(exclude_unset=True)
    if "sites" in values:
        values["site_domains"] = values.pop("sites")
    form = stored(ContactForm, contact, values, Target.CONTACT)
    addresses, domains = form.cleaned_data["addresses"], form.cleaned_data["site_domains"]
    try:
        saved = contacts.save(
            _person(request), form.save(commit=False), addresses, domains, form.changed_data
        )
    except contacts.AddressTakenError as error:
        raise InvalidError({"addresses": [str(error)]}) from None
    return _found(_CONTACTS.all(), saved.pk)  # type: ignore[no-any-return]


_ORDERS = Order.objects.select_related("site")


@api.get("/orders", response={200: schemas.Page[schemas.OrderOut], **PROBLEMS}, auth=READ, tags=["orders"])
def list_orders(
    request: HttpRequest,
    after: After = 0,
    limit: Limit = 50,
    updated_since: Since = None,
    stage: schemas.Stage | None = None,
) -> Any:
    """Orders, of one stage or all."""
    found = _since(_ORDERS.all(), updated_since)
    return page(found.filter(stage=stage) if stage else found, after, limit)


@api.get("/orders/{key}", response={200: schemas.OrderOut, **MISSING}, auth=READ, tags=["orders"])
def get_order(request: HttpRequest, key: Key) -> Any:
    """An order."""
    return _found(_ORDERS.all(), key)


@api.post("/orders", response={201: schemas.OrderOut, **PROBLEMS}, auth=WRITE, tags=["orders"])
def add_order(request: HttpRequest, given: schemas.OrderIn) -> Any:
    """Add an order."""
    return Status(201, _save_order(request, Order(), given))


@api.patch("/orders/{key}", response={200: schemas.OrderOut, **MISSING}, auth=WRITE, tags=["orders"])
def change_order(request: HttpRequest, key: Key, given: schemas.OrderIn) -> Any:
    """Change an order or move it to another stage; what is left out stays as it is."""
    return _save_order(request, _found(_ORDERS.all(), key), given)


def _save_order(request: HttpRequest, order: Order, given: schemas.OrderIn) -> Order:
    form = stored(OrderForm, order, given.dict(exclude_unset=True), Target.ORDER)
    return orders.save(_person(request), form.save(commit=False))


_OFFERS = Offer.objects.select_related("site")


@api.get("/offers", response={200: schemas.Page[schemas.OfferOut], **PROBLEMS}, auth=READ, tags=["offers"])
def list_offers(
    request: HttpRequest, after: After = 0, limit: Limit = 50, updated_since: Since = None
) -> Any:
    """Offers."""
    return page(_since(_OFFERS.all(), updated_since), after, limit)


@api.get("/offers/{key}", response={200: schemas.OfferOut, **MISSING}, auth=READ, tags=["offers"])
def get_offer(request: HttpRequest, key: Key) -> Any:
    """An offer."""
    return _found(_OFFERS.all(), key)


@api.post("/offers", response={201: schemas.OfferOut, **PROBLEMS}, auth=WRITE, tags=["offers"])
def add_offer(request: HttpRequest, given: schemas.OfferIn) -> Any:
    """Record an offer. Accepting one is a person's, on its page."""
    form = stored(OfferForm, Offer(), given.dict())
    return Status(201, offers.make(_person(request), form.save(commit=False)))


@api.get(
    "/placements",
    response={200: schemas.Page[schemas.PlacementOut], **PROBLEMS},
    auth=READ,
    tags=["placements"],
)
def list_placements(
    request: HttpRequest, after: After = 0, limit: Limit = 50, updated_since: Since = None
) -> Any:
    """Placed links."""
    return page(_since(Placement.objects.select_related("site"), updated_since), after, limit)


@api.get("/placements/{key}", response={200: schemas.PlacementOut, **MISSING}, auth=READ, tags=["placements"])
def get_placement(request: HttpRequest, key: Key) -> Any:
    """A placed link."""
    return _found(Placement.objects.select_related("site"), key)


@api.get(
    "/invoices", response={200: schemas.Page[schemas.InvoiceOut], **PROBLEMS}, auth=READ, tags=["invoices"]
)
def list_invoices(
    request: HttpRequest, after: After = 0, limit: Limit = 50, updated_since: Since = None
) -> Any:
    """Invoices with what was paid of them."""
    found = billing.with_paid(Invoice.objects.select_related("site"))
    return page(_since(found, updated_since), after, limit)


@api.get("/invoices/{key}", response={200: schemas.InvoiceOut, **MISSING}, auth=READ, tags=["invoices"])
def get_invoice(request: HttpRequest, key: Key) -> Any:
    """An invoice."""
    return _found(billing.with_paid(Invoice.objects.select_related("site")), key)


@api.get("/threads", response={200: schemas.Page[schemas.ThreadOut], **PROBLEMS}, auth=MAIL, tags=["mail"])
def list_threads(request: HttpRequest, after: After = 0, limit: Limit = 50) -> Any:
    """Conversations as lists show them; what is written in them stays in the CRM."""
    found = Thread.objects.filter(message_count__gt=0).select_related("mailbox")
    return page(found, after, limit)


urls = api.urls
for pattern in urls[0]:
    # The token is the sign-in here.
    if pattern.callback is not None:
        public(pattern.callback)
