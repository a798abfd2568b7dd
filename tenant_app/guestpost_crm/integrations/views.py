"""The pages of tokens and webhooks."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.integrations import tokens, webhooks
from guestpost_crm.integrations.forms import TokenForm, WebhookForm
from guestpost_crm.integrations.middleware import DESCRIPTION
from guestpost_crm.integrations.models import ApiToken, Webhook

_MOST_SHOWN = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Tokens and webhooks."""
    return _page(request, TokenForm(signed_in(request)))


def _page(request: HttpRequest, form: TokenForm, made: str = "", status: int = 200) -> HttpResponse:
    person = signed_in(request)
    found = ApiToken.objects.select_related("person")
    context = {
        "form": form,
        "made": made,
        "tokens": found if person.may_manage else found.filter(person=person),
        "webhooks": Webhook.objects.all() if person.may_manage else [],
        "most": tokens.MOST_OF_A_PERSON,
        "description": DESCRIPTION,
    }
    return render(request, "integrations/index.html", context, status=status)


@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it, this once."""
    person = signed_in(request)
    form = TokenForm(person, request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        _token, text = tokens.make(
            person, form.cleaned_data["name"], form.cleaned_data["scopes"], form.lasts()
        )
    except PermissionDenied:
        form.add_error(None, _("You have as many tokens as fit: revoke one first."))
        return _page(request, form, status=422)
    # Not by a redirect: the text would have to be kept somewhere meanwhile.
    return _page(request, TokenForm(person), made=text)


@require_POST
def revoke_token(request: HttpRequest, key: int) -> HttpResponse:
    """Revoke a token."""
    tokens.revoke(signed_in(request), key)
    messages.success(request, _("The token is revoked: it opens nothing from now on."))
    return redirect("integrations")


def _manager(request: HttpRequest) -> Person:
    person = signed_in(request)
    if not person.may_manage:
        raise PermissionDenied
    return person


@require_http_methods(["GET", "POST"])
def new_webhook(request: HttpRequest) -> HttpResponse:
    """Add a webhook; its secret is shown this once."""
    person = _manager(request)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if Webhook.objects.count() >= webhooks.MOST:
            form.add_error(None, _("There are as many webhooks as fit: remove one first."))
        else:
            webhook = form.save(commit=False)
            secret = webhooks.save(person, webhook, form.cleaned_data["events"])
            return _webhook_page(request, webhook, secret)
    status = 422 if form.is_bound else 200
    return render(request, "integrations/webhook_form.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, key: int) -> HttpResponse:
    """A webhook with its deliveries; on a post change it."""
    person, found = _manager(request), get_object_or_404(Webhook, pk=key)
    form = WebhookForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        webhooks.save(person, form.save(commit=False), form.cleaned_data["events"])
        messages.success(request, _("Your changes are saved."))
        return redirect("webhook", key=key)
    return _webhook_page(request, found, form=form)


def _webhook_page(
    request: HttpRequest, found: Webhook, secret: str = "", form: WebhookForm | None = None
) -> HttpResponse:
    context = {
        "webhook": Webhook.objects.get(pk=found.pk),
        "secret": secret,
        "form": form or WebhookForm(instance=found),
        "deliveries": found.deliveries.all()[:_MOST_SHOWN],
    }
    status = 422 if form and form.is_bound else 200
    return render(request, "integrations/webhook.html", context, status=status)


@require_POST
def webhook_act(request: HttpRequest, key: int) -> HttpResponse:
    """Send a test, or remove the webhook."""
    person, found = _manager(request), get_object_or_404(Webhook, pk=key)
    if request.POST.get("what") == "remove":
        webhooks.remove(person, found)
        messages.success(request, _("The webhook is removed. What waited for it is not delivered any more."))
        return redirect("integrations")
    webhooks.test(person, found)
    messages.success(request, _("A test is on its way. Load this page again to see what became of it."))
    return redirect("webhook", key=key)
