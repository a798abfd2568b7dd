"""The words of notices, in whichever language is in use: what happened, what to do, where.

Nothing in them is of mail or of the team's records, for notices pass through other people's mail servers.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from guestpost_crm.accounts.models import Role
from guestpost_crm.environment import current
from guestpost_crm.notices.models import Kind, Notice

# Subject, text and page of what needs nothing but names.
_PLAIN: dict[Kind, tuple[Any, Any, str]] = {
    Kind.MAILBOX_STOPPED: (
        gettext_lazy("%(crm)s: a mailbox has stopped"),
        gettext_lazy(
            "Google no longer lets the GuestPostCRM “%(crm)s” read one of its mailboxes: the access "
            "was removed in the Google account, or has run out. No new mail comes from it and nothing "
            "is sent; what is here stays. Whoever owns the mailbox can connect it again."
        ),
        "mailboxes",
    ),
    Kind.SUPPORT_ASKS: (
        gettext_lazy("%(crm)s: support asks to look in"),
        gettext_lazy(
            "Somebody of the service asks to look into the GuestPostCRM “%(crm)s”. Nobody gets in "
            "unless you approve it: look who asks, and why."
        ),
        "support",
    ),
    Kind.ERASURE_ASKED: (
        gettext_lazy("%(crm)s: its erasure was asked for"),
        gettext_lazy(
            "%(by)s asked for the erasure of the GuestPostCRM “%(crm)s” with everything in it. It "
            "begins after a grace period, in which its owner can take it back."
        ),
        "data",
    ),
    Kind.ERASURE_TAKEN_BACK: (
        gettext_lazy("%(crm)s: the erasure was taken back"),
        gettext_lazy("%(by)s took the erasure of the GuestPostCRM “%(crm)s” back. Everything stays."),
        "data",
    ),
    Kind.EXPORT_DOWNLOADED: (
        gettext_lazy("%(crm)s: everything was downloaded"),
        gettext_lazy(
            "%(by)s downloaded an export of everything in the GuestPostCRM “%(crm)s”. If that was not "
            "you, end your other sessions and look at the audit page."
        ),
        "audit",
    ),
    Kind.WEBHOOK_STOPPED: (
        gettext_lazy("%(crm)s: a webhook was stopped"),
        gettext_lazy(
            "An address that the GuestPostCRM “%(crm)s” tells of what happens has taken nothing for "
            "days, and is told no more until somebody turns it on again."
        ),
        "integrations",
    ),
    Kind.ROLE_CHANGED: (
        gettext_lazy("%(crm)s: your role has changed"),
        gettext_lazy(
            "%(by)s has changed what you may do in the GuestPostCRM “%(crm)s”: your role is “%(role)s” now."
        ),
        "account",
    ),
    Kind.ACCESS_ENDED: (
        gettext_lazy("%(crm)s: your access has ended"),
        gettext_lazy("%(by)s has ended your access to the GuestPostCRM “%(crm)s”. What you did there stays."),
        "",
    ),
    Kind.TOKEN_MADE: (
        gettext_lazy("%(crm)s: an API token was made"),
        gettext_lazy(
            "A token was made with which a program may act for you in the GuestPostCRM “%(crm)s”. If "
            "that was not you, revoke it and end your other sessions."
        ),
        "integrations",
    ),
    Kind.FACTOR_SET_UP: (
        gettext_lazy("%(crm)s: a second factor was set up"),
        gettext_lazy(
            "Signing in to the GuestPostCRM “%(crm)s” asks you for a code of your authenticator from "
            "now on. If that was not you, ask the owner or a manager to reset it."
        ),
        "account",
    ),
    Kind.FACTOR_REMOVED: (
        gettext_lazy("%(crm)s: your second factor was removed"),
        gettext_lazy(
            "Signing in to the GuestPostCRM “%(crm)s” no longer asks you for a code. If that was not "
            "you, end your other sessions and set it up again."
        ),
        "account",
    ),
    Kind.FACTOR_RESET: (
        gettext_lazy("%(crm)s: your second factor was reset"),
        gettext_lazy(
            "%(by)s has reset your second factor in the GuestPostCRM “%(crm)s”. Set it up again; if "
            "you did not ask for that, ask them why."
        ),
        "account",
    ),
    Kind.FACTOR_LOCKED: (
        gettext_lazy("%(crm)s: too many wrong codes"),
        gettext_lazy(
            "Somebody signed in to the GuestPostCRM “%(crm)s” with your Google account and entered "
            "wrong codes, so that none is taken for a while. If that was not you, look after your "
            "Google account at once."
        ),
        "account",
    ),
    Kind.CODE_USED: (
        gettext_lazy("%(crm)s: a recovery code was used"),
        gettext_lazy(
            "One of the codes that you kept for the loss of your phone was used to sign in to the "
            "GuestPostCRM “%(crm)s”. If that was not you, end your other sessions and set up your "
            "second factor again."
        ),
        "account",
    ),
}


def written(notice: Notice) -> tuple[str, str]:
    """Subject and text of a notice."""
    detail: dict[str, Any] = notice.detail
    told: dict[str, Any] = {
        "crm": current().tenant_name,
        "by": detail.get("by") or _("the system"),
        "email": notice.address,
    }
    subject, text, page = _words(Kind(notice.kind), detail, told)
    pieces = [text]
    if page:
        pieces.append(link(page))
    pieces.append("-- \n" + _foot(Kind(notice.kind)))
    # Names are people's own words: a line break in one could begin another header.
    return " ".join(subject.split()), "\n\n".join(pieces) + "\n"


def link(page: str, query: str = "") -> str:
    """The whole address of a page of this CRM."""
    return f"{current().public_url.rstrip('/')}{reverse(page)}{query}"


def _words(kind: Kind, detail: dict[str, Any], told: dict[str, Any]) -> tuple[str, str, str]:
    """Subject, text and page of a kind."""
    if kind == Kind.LINK_LOST:
        return _link_lost(int(detail["count"]), told)
    if kind == Kind.INVITATION:
        told["until"] = date_format(dt.date.fromisoformat(detail["until"]), "j F Y")
        return (
            _("%(by)s invites you to %(crm)s") % told,
            _(
                "%(by)s invites you to work in the GuestPostCRM “%(crm)s”. Sign in with the Google account "
                "%(email)s until %(until)s; Google tells the CRM your name and address, nothing of your "
                "mail. If you do not know who that is, do nothing."
            )
            % told,
            "sign-in",
        )
    if kind == Kind.ERASURE_NEAR:
        moment = dt.datetime.fromisoformat(detail["after"])
        told["after"] = date_format(timezone.localtime(moment, dt.UTC), "j F Y, H:i") + " UTC"
        return (
            _("%(crm)s will be erased on %(after)s") % told,
            _(
                "The GuestPostCRM “%(crm)s” and everything in it will be erased after %(after)s. Until then "
                "its owner can take that back and export everything."
            )
            % told,
            "data",
        )
    if kind == Kind.ROLE_CHANGED:
        told["role"] = dict(Role.choices).get(detail.get("role", ""), "")
    subject, text, page = _PLAIN[kind]
    return str(subject) % told, str(text) % told, page


def _link_lost(count: int, told: dict[str, Any]) -> tuple[str, str, str]:
    told["count"] = count
    subject = ngettext("A link is lost", "%(count)s links are lost", count)
    text = ngettext(
        "A link that was live is gone: the page or the link is not there any more.",
        "%(count)s links that were live are gone: the pages or the links are not there any more.",
        count,
    )
    more = _(
        "The page of placements shows which, and what was found. Who does not want these mails turns them "
        "off in their account."
    )
    return f"{told['crm']}: {subject % told}", f"{text % told} {more}", "placements"


def _foot(kind: Kind) -> str:
    """Why this mail comes, and whom to ask."""
    lines = [_("This mail comes from a program; nobody reads answers to it.")]
    if kind != Kind.LINK_LOST:
        lines.append(_("It concerns the safety of an account or of the data, and can't be turned off."))
    if current().support_contact:
        lines.append(_("Questions: %(contact)s") % {"contact": current().support_contact})
    return "\n".join(lines)
