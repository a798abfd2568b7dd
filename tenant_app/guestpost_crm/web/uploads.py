"""How much may come at once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from guestpost_crm.web import scratch
from guestpost_crm.web.middleware import Handler
from guestpost_crm.web.numbers import number
from guestpost_crm.web.telling import told


class Uploads:
    """Takes large uploads a few at a time, of people who have signed in, and none that is too large.

    It stands before whatever reads a form: until then nothing of it was written down.
    """

    def __init__(self, following: Handler) -> None:
        self._following = following

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on when there is room for what it brings."""
        length = number(request.META.get("CONTENT_LENGTH") or "0")
        if length is None or length > scratch.LARGEST:
            text = _("At most %d MiB fit into one form, its files included. Go back and attach less.")
            return told(request, _("That is too large"), text % (scratch.LARGEST >> 20), 413)
        if length <= scratch.SMALL or request.content_type != "multipart/form-data":
            return self._following(request)
        if not request.user.is_authenticated:
            return told(request, _("You may not do this"), _("Sign in first."), 403)
        try:
            with scratch.ROOM.taken():
                try:
                    return self._following(request)
                finally:
                    # Its files go before the next one's come.
                    request.close()
        except scratch.BusyError:
            text = _("Other large files are on their way. Go back and send it again in a minute.")
            answer = told(request, _("There is no room for it now"), text, 503)
            answer.headers["Retry-After"] = "60"
            return answer
