"""People of the service who look in: signed in by the customer's approval, shown all, changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import login, logout
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person, Role, SignIn
from guestpost_crm.accounts.sessions import remember
from guestpost_crm.accounts.signin import SignInError
from guestpost_crm.audit.services import record
from guestpost_crm.support.models import SupportAccess
from guestpost_crm.web.telling import told

ACCESS = "support_access"
# What a look writes of itself: that it happened, and how often a page of its kind was opened.
_OWN_TABLES = ('"audit_event"', '"django_session"', '"usage_count"', '"sign_in"')
_WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "ALTER", "CREATE", "DROP", "MERGE", "COPY", "GRANT")
# Asked by pages themselves, every few seconds; recorded once a minute.
_POLLED = frozenset({"new-mail"})
_SAW = "support_saw"


def access_for(claims: dict[str, Any]) -> SupportAccess | None:
    """The approval by which a verified ID token's holder looks in; None for everybody else.

    Raises:
        SignInError: somebody of the service whom no approval lets in now.
    """
    known = Person.objects.filter(sub=claims["sub"]).first()
    if known is not None and known.role != Role.SUPPORT:
        return None
    address = str(claims.get("email", "")).lower() if claims.get("email_verified") is True else ""
    found = SupportAccess.objects.active().filter(subject=address).order_by("-expires_at").first()
    if found is None and known is not None:
        raise SignInError(
            _(
                "There is no approved support access for this Google account now. Ask the customer with a "
                "SupportGrant."
            )
        )
    return found


def begin(request: HttpRequest, access: SupportAccess, claims: dict[str, Any]) -> HttpResponse:
    """Sign somebody of the service in, until the approval ends."""
    person, _new = Person.objects.update_or_create(
        sub=claims["sub"],
        defaults={
            "email": access.subject,
            "name": str(claims.get("name", ""))[:200],
            "role": Role.SUPPORT,
            "is_active": True,
        },
    )
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    remember(request, person)
    request.session[ACCESS] = access.pk
    request.session.set_expiry(access.expires_at)
    record(person, "support.signed-in", f"support:{access.pk}")
    return redirect("inbox")


class LookOnly(MiddlewareMixin):
    """Holds people of the service to looking, records each page before it is shown, and ends in time."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let others through; of a guest, answer the request."""
        person = request.user
        if not isinstance(person, Person) or person.role != Role.SUPPORT:
            return None
        name = request.resolver_match.url_name if request.resolver_match else None
        if name == "sign-out":
            return None
        access = SupportAccess.objects.active().filter(pk=request.session.get(ACCESS, 0)).first()
        if access is None:
            SignIn.objects.filter(session_key=request.session.session_key).delete()
            logout(request)
            text = _("The customer has ended it, or its time is over.")
            return told(request, _("Your support access has ended"), text, 403)
        request.support_access = access  # type: ignore[attr-defined]
        if request.method not in ("GET", "HEAD"):
            text = _("Support may look at this CRM and change nothing in it.")
            return told(request, _("You may not do this"), text, 403)
        _record(request, person, access, name or "")
        try:
            with connection.execute_wrapper(_refuse_writes):
                answer: HttpResponse = view(request, *args, **kwargs)
        except PermissionDenied:
            text = _("It is for people of the customer only.")
            return told(request, _("You may not see this"), text, 403)
        return answer


def _record(request: HttpRequest, person: Person, access: SupportAccess, name: str) -> None:
    path = request.get_full_path()
    if name in _POLLED:
        now = timezone.now().timestamp()
        last: dict[str, float] = request.session.get(_SAW, {})
        if now - last.get(name, 0) < 60:
            return
        request.session[_SAW] = {**last, name: now}
    record(person, "support.saw", path[:120], access=access.pk, path=path[:2000])


def _refuse_writes(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Pass what reads, and what is written about the looking itself."""
    words = sql.lstrip().upper()
    if words.startswith(_WRITES) and not any(table in sql for table in _OWN_TABLES):
        raise PermissionDenied
    return execute(sql, params, many, context)
