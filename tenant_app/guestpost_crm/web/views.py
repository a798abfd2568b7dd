"""Public pages and error pages."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guestpost_crm.accounts.middleware import public
from guestpost_crm.environment import current
from guestpost_crm.privacy import policy
from guestpost_crm.web.telling import told
from guestpost_crm.web.typed import typed


@public
@require_GET
def about(request: HttpRequest) -> HttpResponse:
    """What this is; Google asks for a public page that links the policy."""
    return render(request, "web/about.html")


@public
@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    """The privacy policy, with its date and its earlier versions."""
    mail = bool(current().smtp_host)
    context = {"policy": policy.CURRENT, "policies": policy.POLICIES, "mail": mail}
    return render(request, "web/privacy.html", context)


def _refused(request: HttpRequest, heading: str, text: str, status: int) -> HttpResponse:
    """Say what has happened, with what was typed into a form that was not taken."""
    return told(request, heading, text, status, typed=typed(request))


@public
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _refused(
        request, _("That request can't be understood"), _("Nothing was changed. Go back and try again."), 400
    )


@public
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    text = _("Nothing was changed. Ask the owner of this CRM if you should.")
    return _refused(request, _("You may not do this"), text, 403)


@public
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _refused(
        request, _("There is nothing here"), _("It may have been deleted, here or in Gmail."), 404
    )


@public
def failed(request: HttpRequest) -> HttpResponse:
    """500; or 503 when it is the database that does not answer, which every other page needs."""
    text = _("Nothing that you had saved is lost. Try again in a moment.")
    try:
        return _refused(request, _("Something went wrong on our side"), text, 500)
    except Error:
        connection.close()
    away = {
        "heading": _("The database does not answer"),
        "text": f"{_('It is tried again by itself.')} {text}",
        "typed": typed(request),
    }
    answer = HttpResponse(render_to_string("web/away.html", away), status=503)
    answer.headers["Retry-After"] = "10"
    return answer


@public
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from a page of this CRM, or whose session has ended."""
    text = _(
        "Nothing was saved: the page was open for too long, or the form did not come from this CRM. Go back "
        "and try again."
    )
    return _refused(request, _("This form could not be accepted"), text, 403)
