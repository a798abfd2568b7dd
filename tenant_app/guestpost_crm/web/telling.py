"""The page that says what has happened, where there is no other page to show."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from guestpost_crm.web.typed import Typed


def told(
    request: HttpRequest,
    heading: str,
    text: str,
    status: int,
    *,
    typed: Sequence[Typed] = (),
    following: str = "",
) -> HttpResponse:
    """That page.

    Args:
        request: what it answers.
        heading: what has happened, in the reader's language.
        text: what to do about it.
        status: of HTTP.
        typed: what the form brought that was not taken.
        following: address of “Go on”; the first page by default.
    """
    context = {"heading": heading, "text": text, "typed": typed, "following": following}
    return render(request, "web/told.html", context, status=status)
