"""Sites: the list, one site, adding and changing one."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.forms.sites import SiteFilter, SiteForm
from guestpost_crm.outreach.models import Contact, Offer, Order, Site
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import billing, contacts, custom, listing, sites
from guestpost_crm.outreach.views.common import UNPROCESSABLE, download, list_context, today, writing

_SORTS = {
    "domain": "domain", "niche": "niche", "dr": "dr", "da": "da", "traffic": "traffic", "price": "price",
    "turnaround": "turnaround_days", "added": "created_at",
}  # fmt: skip
_MOST_SHOWN = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Sites, filtered and sorted as the address says."""
    form = SiteFilter(request.GET)
    found = form.apply(Site.objects.all()).prefetch_related(
        Prefetch("contacts", Contact.objects.filter(archived=False).only("pk", "name"))
    )
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "domain", request.GET.get("page", ""))
    open_orders = _open_orders([site.pk for site in page.items])
    context = list_context(request, "sites", form, page)
    context |= {
        "rows": [{"site": site, "open_orders": open_orders.get(site.pk, 0)} for site in page.items],
        "niches": sites.words("niche"),
        "languages": sites.words("language"),
        "any_site": page.total > 0 or Site.objects.exists(),
    }
    return render(request, "outreach/sites.html", context)


def _open_orders(keys: list[int]) -> dict[int, int]:
    """How many orders of each site are under way."""
    found = Order.objects.filter(site__in=keys).exclude(stage__in=[Stage.PAID, Stage.LOST])
    return dict(found.values_list("site").annotate(Count("pk")).order_by())


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """A site with everything that belongs to it."""
    site = get_object_or_404(Site, pk=key)
    people = list(site.contacts.prefetch_related("addresses"))
    addresses = [each.address for person in people for each in person.addresses.all()]
    context = {
        "site": site,
        "contacts": people,
        "threads": contacts.threads(addresses, site.domain)[: contacts.THREADS_SHOWN],
        "offers": Offer.objects.filter(site=site).select_related("contact")[:_MOST_SHOWN],
        "orders": Order.objects.filter(site=site).select_related("assigned", "contact")[:_MOST_SHOWN],
        "placements": site.placements.all()[:_MOST_SHOWN],
        "invoices": billing.with_paid(site.invoices.all())[:_MOST_SHOWN],
        "custom": custom.shown(custom.definitions(Target.SITE), site.custom),
        "relatives": sites.relatives(site)[:10],
        "today": today(),
    }
    return render(request, "outreach/site.html", context)


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Add a site; `domain` and `thread` in the address come from a mail."""
    form = SiteForm(request.POST or None, initial={"domain": request.GET.get("domain", "")[:300]})
    if request.method == "POST" and form.is_valid():
        site = sites.save(signed_in(request), form.save(commit=False), form.changed_data)
        messages.success(request, _("%(site)s is added.") % {"site": site})
        return redirect("site", key=site.pk)
    return _form(request, form, _("Add a site"))


@require_http_methods(["GET", "POST"])
@writing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Change a site."""
    site = get_object_or_404(Site, pk=key)
    form = SiteForm(request.POST or None, instance=site)
    if request.method == "POST" and form.is_valid():
        sites.save(signed_in(request), form.save(commit=False), form.changed_data)
        messages.success(request, _("Your changes are saved."))
        return redirect("site", key=key)
    # The instance has what was typed by now; the heading names the site as it is stored.
    return _form(request, form, _("Change %(site)s") % {"site": Site.objects.get(pk=key)}, key)


def _form(request: HttpRequest, form: SiteForm, heading: str, key: int | None = None) -> HttpResponse:
    context = {
        "form": form,
        "heading": heading,
        "key": key,
        "niches": sites.words("niche"),
        "languages": sites.words("language"),
    }
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/site_form.html", context, status=status)


@require_POST
@writing
def mark(request: HttpRequest, key: int) -> HttpResponse:
    """Set or take back a mark: archived, do not contact."""
    site = get_object_or_404(Site, pk=key)
    what, on = request.POST.get("mark", ""), request.POST.get("on") == "yes"
    if what == "archived":
        sites.mark(signed_in(request), site, archived=on)
    elif what == "do_not_contact":
        sites.mark(signed_in(request), site, do_not_contact=on)
    return redirect("site", key=key)


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The sites of a list as CSV, with the names of columns that the import knows."""
    fields = custom.definitions(Target.SITE)
    found = SiteFilter(request.GET).apply(Site.objects.all()).order_by("domain")
    header = [
        "domain", "niche", "language", "dr", "da", "traffic", "price", "currency", "turnaround days",
        "link policy",
        "max links", "do not contact", "archived", "notes", *(each.label for each in fields),
    ]  # fmt: skip
    rows = (
        [
            str(site), site.niche, site.language, site.dr, site.da, site.traffic, site.price, site.currency,
            site.turnaround_days, site.link_policy, site.max_links, site.do_not_contact, site.archived,
            site.notes,
            *(custom.typed(each, site.custom.get(each.key)) for each in fields),
        ]
        for site in found.iterator(chunk_size=500)
    )  # fmt: skip
    return download("sites", header, rows)


@require_GET
def known(request: HttpRequest) -> HttpResponse:
    """The first sites that begin like what is being typed, as options of a list."""
    typed = request.GET.get("q", "")[:100].lower()
    found: QuerySet[Site] = Site.objects.filter(Q(domain__startswith=typed), archived=False)[:20]
    return render(request, "outreach/_known_sites.html", {"sites": found})
