"""The inbox, searches, a thread, a message's body and attachments."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.gmail.models import Label, Mailbox, MailboxState, OutboxMessage, OutboxState
from guestpost_crm.inbox import bodies, html, listing, reading, rows, storage
from guestpost_crm.inbox.models import Message, Part, Thread
from guestpost_crm.outreach.services import mail
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count
from guestpost_crm.web.numbers import number
from guestpost_crm.writing import views as writing
from guestpost_crm.writing.forms import MessageForm

# What a browser may show by itself; everything else is downloaded.
_SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_LEFT_OUT = _(
    "Pictures from elsewhere were left out: loading them would tell the sender that you have read this."
)
_DAYS = (1, 2, 3, 5, 7, 14, 30)
_SEEN = {"SENT", "UNREAD", "INBOX", "STARRED", "IMPORTANT", "CHAT"}


@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """Threads, the newest first, in pages: of a view, or those that a search finds."""
    view, text = request.GET.get("view", "inbox"), request.GET.get("q", "").strip()
    mailbox, after = _mailbox(request), request.GET.get("after", "")
    mailboxes = list(Mailbox.objects.only("address", "state").order_by("address"))
    page = listing.found(text, after, mailbox) if text else listing.page(view, after, mailbox)
    counts = listing.counts(mailbox)
    context = {
        "page": page,
        "rows": rows.rows(page.threads, "" if text else view),
        "view": "" if text else view,
        "query": text,
        "views": [(key, name, counts.get(key)) for key, name in listing.VIEWS.items()],
        "most_counted": listing.MOST_COUNTED,
        "mailbox": mailbox,
        "mailboxes": mailboxes,
        "undecided": OutboxMessage.objects.filter(
            state__in=[OutboxState.UNCONFIRMED, OutboxState.FAILED]
        ).count(),
        "stopped": [each for each in mailboxes if each.state == MailboxState.NEEDS_CONSENT],
        "labels": _labels() if text or not page.threads else [],
    }
    return render(request, "inbox/inbox.html", context)


def _labels() -> list[str]:
    """Names of the labels that people made."""
    own = Label.objects.filter(gmail_id__startswith="Label_").order_by("name").values_list("name", flat=True)
    return list(dict.fromkeys(own[:100]))


def _mailbox(request: HttpRequest) -> int | None:
    """The mailbox that a list is narrowed to."""
    return number(request.GET.get("mailbox", ""))


@require_GET
def new_mail(request: HttpRequest) -> HttpResponse:
    """Whether the inbox has changed since a page was made; asked every few seconds."""
    return JsonResponse({"newest": listing.newest_of(request.GET.get("view", "inbox"), _mailbox(request))})


@require_GET
def thread(request: HttpRequest, key: int) -> HttpResponse:
    """A conversation."""
    found = get_object_or_404(Thread.objects.select_related("mailbox", "follow_up_by"), pk=key)
    count(Event.THREAD_OPENED)
    return _thread_page(request, found, None)


def _thread_page(
    request: HttpRequest, found: Thread, form: MessageForm | None, status: int = 200
) -> HttpResponse:
    shown = reading.conversation(found, all_open=request.GET.get("open") == "all")
    if not shown:
        raise Http404
    last = shown[-1].message
    last.mailbox = found.mailbox
    panel = mail.panel(
        found,
        [item.message for item in shown],
        [(item.message, item.words) for item in shown if not item.closed],
    )
    context = {
        "thread": found,
        "shown": shown,
        "last": last,
        "closed": sum(item.closed for item in shown),
        "form": form or writing.reply_form(last, everybody=request.GET.get("to") == "all"),
        # Mostly empty: then nothing is asked for persons and mailboxes.
        "outbox": found.outbox.exclude(state__in=[OutboxState.SENT, OutboxState.CANCELLED])
        .prefetch_related("person", "mailbox")
        .order_by("created_at"),
        "can_reply": found.mailbox.state == MailboxState.CONNECTED,
        "labels": _names(found, shown),
        "days": _DAYS,
        "due": found.follow_up_at is not None and found.follow_up_at <= timezone.now(),
        "panel": panel,
    }
    return render(request, "inbox/thread.html", context, status=status)


def _names(found: Thread, shown: list[reading.Shown]) -> list[str]:
    """The names of a conversation's labels, without those that every message has."""
    there = {label for item in shown for label in item.message.labels} - _SEEN
    there = {label for label in there if not label.startswith("CATEGORY_")}
    if not there:
        return []
    own = Label.objects.filter(mailbox=found.mailbox_id, gmail_id__in=there)
    names = dict(own.values_list("gmail_id", "name"))
    return sorted(
        names.get(label, label).capitalize() if label.isupper() else names.get(label, label)
        for label in there
    )


@require_POST
def reply(request: HttpRequest, key: int) -> HttpResponse:
    """Queue a reply; what was typed stays when something is wrong with it."""
    found = get_object_or_404(Thread.objects.select_related("mailbox", "follow_up_by"), pk=key)
    if not signed_in(request).may_write:
        raise PermissionDenied
    there = Message.objects.filter(thread=found).select_related("mailbox", "thread")
    key_of_answered = number(request.POST.get("answers", ""))
    # The message that it answers may be gone by now: then it answers the one that is the last.
    answered = there.filter(pk=key_of_answered or 0).first()
    message = answered or there.order_by("received_at", "pk").last()
    if message is None or key_of_answered is None:
        raise Http404
    sent, form = writing.reply_in_thread(request, found, message)
    if sent is None:
        return _thread_page(request, found, form, 422)
    return redirect(reverse("thread", args=[key]) + "#outbox")


def _writer(request: HttpRequest) -> Person:
    person = signed_in(request)
    if not person.may_write:
        raise PermissionDenied
    return person


@require_POST
def done(request: HttpRequest, key: int) -> HttpResponse:
    """Say that nothing more is to be done about a conversation until something new comes, or take it back."""
    person, wanted = _writer(request), request.POST.get("done") == "yes"
    found = get_object_or_404(Thread, pk=key)
    changed = {"done": wanted}
    if wanted:
        changed |= {"follow_up_at": None, "follow_up_set_at": None, "follow_up_by": None}  # type: ignore[dict-item]
    Thread.objects.filter(pk=found.pk).update(**changed)
    record(person, "thread.done" if wanted else "thread.reopened", f"thread:{found.pk}")
    if wanted:
        messages.success(request, _now("Done. It comes back by itself when something new is said in it."))
        return redirect("inbox")
    return redirect("thread", key=key)


@require_POST
def follow_up(request: HttpRequest, key: int) -> HttpResponse:
    """Remind of a conversation after some days unless an answer comes before, or no longer."""
    person, days = _writer(request), number(request.POST.get("days", ""))
    found = get_object_or_404(Thread, pk=key)
    now = timezone.now()
    if days in _DAYS:
        changed: dict[str, Any] = {
            "follow_up_at": now + dt.timedelta(days=days),
            "follow_up_set_at": now,
            "follow_up_by": person,
        }
        record(person, "reminder.set", f"thread:{found.pk}", days=days)
    else:
        changed = {"follow_up_at": None, "follow_up_set_at": None, "follow_up_by": None}
        record(person, "reminder.removed", f"thread:{found.pk}")
    Thread.objects.filter(pk=found.pk).update(**changed)
    return redirect("thread", key=key)


@require_GET
def text(request: HttpRequest, key: int) -> HttpResponse:
    """All that a message says, as plain text."""
    message = get_object_or_404(Message.objects.select_related("raw"), pk=key)
    response = HttpResponse(reading.written(message), content_type="text/plain; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_GET
@xframe_options_sameorigin
def body(request: HttpRequest, key: int) -> HttpResponse:
    """A message's HTML, made safe, for the sandboxed frame of the thread page."""
    message = get_object_or_404(Message.objects.select_related("raw"), pk=key)
    markup = bodies.best(message.parts.all(), "text/html")
    if markup is None:
        raise Http404
    images = {
        part.content_id: reverse("message-part", args=[key, part.index])
        for part in message.parts.all()
        if part.content_id and part.content_type in _SHOWN
    }
    safe = html.sanitise(bodies.text(markup), images)
    response = HttpResponse(html.document(safe.markup, str(_LEFT_OUT) if safe.remote_images else ""))
    response.headers["Content-Security-Policy"] = html.POLICY
    return response


@require_GET
def raw(request: HttpRequest, key: int) -> StreamingHttpResponse:
    """A message as it came, as text."""
    message = get_object_or_404(Message, pk=key)
    response = StreamingHttpResponse(storage.read(message.raw), content_type="text/plain; charset=utf-8")
    response.headers["Content-Length"] = str(message.raw.size)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_GET
def part(request: HttpRequest, key: int, index: int) -> StreamingHttpResponse:
    """An attachment, streamed: pictures may be shown, everything else is downloaded."""
    found = get_object_or_404(Part.objects.select_related("message__raw"), message=key, index=index)
    shown = found.content_type in _SHOWN
    if found.is_attachment:
        count(Event.ATTACHMENT_OPENED)
    kind = found.content_type if shown else "application/octet-stream"
    response = StreamingHttpResponse(bodies.stream(found), content_type=kind)
    name = quote(found.filename or f"part-{index}")
    how = "inline" if shown else "attachment"
    response.headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{name}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
