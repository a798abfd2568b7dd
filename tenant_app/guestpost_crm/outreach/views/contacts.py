"""Contacts: the list, one contact, adding and changing one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.forms.contacts import ContactFilter, ContactForm
from guestpost_crm.outreach.models import Contact, Offer, Order
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.services import contacts, custom, listing
from guestpost_crm.outreach.views.common import UNPROCESSABLE, download, list_context, today, writing

_SORTS = {"name": "name", "added": "created_at"}
_MOST_SHOWN = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Contacts, filtered and sorted as the address says."""
    form = ContactFilter(request.GET)
    found = form.apply(Contact.objects.prefetch_related("addresses", "sites"))
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "name", request.GET.get("page", ""))
    context = list_context(request, "contacts", form, page)
    context["any_contact"] = page.total > 0 or Contact.objects.exists()
    return render(request, "outreach/contacts.html", context)


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """A contact, their sites, and the mail with them."""
    contact = get_object_or_404(Contact, pk=key)
    addresses = [each.address for each in contact.addresses.all()]
    context = {
        "contact": contact,
        "addresses": addresses,
        "sites": contact.sites.all(),
        "threads": contacts.threads(addresses)[: contacts.THREADS_SHOWN],
        "offers": Offer.objects.filter(contact=contact).select_related("site")[:_MOST_SHOWN],
        "orders": Order.objects.filter(contact=contact).select_related("site", "assigned")[:_MOST_SHOWN],
        "custom": custom.shown(custom.definitions(Target.CONTACT), contact.custom),
        "today": today(),
    }
    return render(request, "outreach/contact.html", context)


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Add a contact; name, address and site in the address of the page come from a mail."""
    initial = {
        "name": request.GET.get("name", "")[:200],
        "addresses": request.GET.get("address", "")[:320],
        "site_domains": request.GET.get("site", "")[:300],
    }
    return _form(request, ContactForm(request.POST or None, initial=initial), _("Add a contact"))


@require_http_methods(["GET", "POST"])
@writing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Change a contact."""
    contact = get_object_or_404(Contact, pk=key)
    heading = _("Change %(contact)s") % {"contact": contact}
    return _form(request, ContactForm(request.POST or None, instance=contact), heading, key)


def _form(request: HttpRequest, form: ContactForm, heading: str, key: int | None = None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        addresses, sites = form.cleaned_data["addresses"], form.cleaned_data["site_domains"]
        try:
            contact = contacts.save(
                signed_in(request), form.save(commit=False), addresses, sites, form.changed_data
            )
        except contacts.AddressTakenError as error:
            form.add_error("addresses", str(error))
        else:
            messages.success(request, _("%(contact)s is saved.") % {"contact": contact})
            return redirect("contact", key=contact.pk)
    context: dict[str, Any] = {"form": form, "heading": heading, "key": key}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/contact_form.html", context, status=status)


@require_POST
@writing
def mark(request: HttpRequest, key: int) -> HttpResponse:
    """Set or take back a mark: archived, do not contact."""
    contact = get_object_or_404(Contact, pk=key)
    what, on = request.POST.get("mark", ""), request.POST.get("on") == "yes"
    if what == "archived":
        contacts.mark(signed_in(request), contact, archived=on)
    elif what == "do_not_contact":
        contacts.mark(signed_in(request), contact, do_not_contact=on)
    return redirect("contact", key=key)


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The contacts of a list as CSV."""
    fields = custom.definitions(Target.CONTACT)
    found = ContactFilter(request.GET).apply(Contact.objects.prefetch_related("addresses", "sites"))
    header = [
        "name", "addresses", "sites", "do not contact", "archived", "notes", *(each.label for each in fields)
    ]  # fmt: skip
    rows = (
        [
            contact.name,
            " ".join(each.address for each in contact.addresses.all()),
            " ".join(str(site) for site in contact.sites.all()),
            contact.do_not_contact, contact.archived, contact.notes,
            *(custom.typed(each, contact.custom.get(each.key)) for each in fields),
        ]
        for contact in found.order_by("name", "pk").iterator(chunk_size=500)
    )  # fmt: skip
    return download("contacts", header, rows)
