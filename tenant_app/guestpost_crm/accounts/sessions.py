"""Sessions by person: noted at sign-in, ended when nobody uses them."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.deprecation import MiddlewareMixin

from guestpost_crm.accounts.models import Person, SignIn
from guestpost_crm.audit.services import record
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count

IDLE = dt.timedelta(hours=2)
_NOTED = dt.timedelta(minutes=5)
SEEN = "seen_at"
# Which of Django's keys has signed the session.
SIGNED = "signed_by"


def remember(request: HttpRequest, person: Person) -> None:
    """Note the session that has just begun."""
    if request.session.session_key is None:
        request.session.save()
    SignIn.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={"person": person, "agent": request.headers.get("User-Agent", "")[:200]},
    )
    request.session[SEEN] = timezone.now().isoformat()
    request.session[SIGNED] = _key()


def _key() -> str:
    """A mark of the key that signs sessions now, which tells nothing of it."""
    return salted_hmac("guestpost_crm.accounts.sessions", "key", algorithm="sha256").hexdigest()[:16]


def begin(request: HttpRequest, person: Person, following: str) -> HttpResponse:
    """Sign somebody in who has shown everything that is asked for."""
    # login() gives the session a new key, so that one planted before is worth nothing.
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    remember(request, person)
    record(person, "person.signed-in", f"person:{person.pk}")
    count(Event.SIGN_IN)
    return redirect(following or "inbox")


class IdleSessions(MiddlewareMixin):
    """Ends a session that nobody has used for two hours; notes now and then that one is used.

    What a page asks by itself (`X-Background`) is no use. A session that an earlier key has signed is signed
    anew, for it is none once that key is gone.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """End or note the session; asked before any view."""
        if not request.user.is_authenticated or SEEN not in request.session:
            return None
        now = timezone.now()
        idle = now - dt.datetime.fromisoformat(request.session[SEEN])
        if idle > IDLE:
            SignIn.objects.filter(session_key=request.session.session_key).delete()
            logout(request)
            return None
        if idle > _NOTED and "X-Background" not in request.headers:
            request.session[SEEN] = now.isoformat()
            SignIn.objects.filter(session_key=request.session.session_key).update(seen_at=now)
        key = _key()
        if request.session.get(SIGNED) != key:
            request.session[SIGNED] = key
        return None
