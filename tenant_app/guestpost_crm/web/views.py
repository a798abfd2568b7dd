"""Public pages and error pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from guestpost_crm.accounts.middleware import public
from guestpost_crm.privacy import policy


@public
@require_GET
def about(request: HttpRequest) -> HttpResponse:
    """What this is; Google asks for a public page that links the policy."""
    return render(request, "web/about.html")


@public
@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    """The privacy policy, with its date and its earlier versions."""
    context = {"policy": policy.CURRENT, "policies": policy.POLICIES}
    return render(request, "web/privacy.html", context)


def _told(request: HttpRequest, heading: str, text: str, status: int) -> HttpResponse:
    return render(request, "web/told.html", {"heading": heading, "text": text}, status=status)


@public
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _told(request, "That request can't be understood", "Go back and try again.", 400)


@public
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _told(request, "You may not do this", "Ask the owner of this CRM if you should.", 403)


@public
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _told(request, "There is nothing here", "It may have been deleted in Gmail.", 404)


@public
def failed(request: HttpRequest) -> HttpResponse:
    """500."""
    text = "Nothing that you had saved is lost. Try again in a moment."
    return _told(request, "Something went wrong on our side", text, 500)


@public
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from a page of this CRM, or whose session has ended."""
    text = "The page was open for too long, or the form did not come from this CRM. Go back and try again."
    return _told(request, "This form could not be accepted", text, 403)
