"""The inbox, a thread, a message's body and attachments, replying."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.gmail import compose, outbox
from guestpost_crm.gmail.models import Mailbox, MailboxState, OutboxMessage, OutboxState
from guestpost_crm.inbox import bodies, html, listing, mime, storage
from guestpost_crm.inbox.forms import ReplyForm
from guestpost_crm.inbox.models import Message, Part, Thread
from guestpost_crm.outreach.services import mail
from guestpost_crm.outreach.services.dnc import DoNotContactError
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count

# What a browser may show by itself; everything else is downloaded.
_SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_QUOTED = re.compile(r"^(>|On .{5,200} wrote:$|-{3,}\s*Original Message)", re.MULTILINE)


@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """Threads, the newest first, in pages."""
    view = request.GET.get("view", "inbox")
    page = listing.page(view, request.GET.get("after", ""))
    context = {
        "page": page,
        "view": view,
        "views": listing.VIEWS,
        "mailboxes": list(Mailbox.objects.all()),
        "newest": page.newest,
    }
    return render(request, "inbox/inbox.html", context)


@require_GET
def new_mail(request: HttpRequest) -> HttpResponse:
    """Whether the inbox has changed since a page was made; asked every few seconds."""
    return JsonResponse({"newest": listing.newest(request.GET.get("view", "inbox"))})


@require_GET
def thread(request: HttpRequest, key: int) -> HttpResponse:
    """A conversation."""
    found = get_object_or_404(Thread.objects.select_related("mailbox"), pk=key)
    shown = [_shown(message) for message in _messages(found)]
    if not shown:
        raise Http404
    count(Event.THREAD_OPENED)
    return render(request, "inbox/thread.html", _thread_context(found, shown, _reply_form(request, shown)))


def _messages(found: Thread) -> list[Message]:
    return list(found.messages.order_by("received_at", "pk").prefetch_related("parts"))


def _thread_context(found: Thread, shown: list[dict[str, Any]], form: ReplyForm) -> dict[str, Any]:
    return {
        "thread": found,
        "messages_shown": shown,
        "form": form,
        "outbox": found.outbox.exclude(state=OutboxState.SENT).order_by("created_at"),
        "can_reply": found.mailbox.state == MailboxState.CONNECTED,
        "panel": mail.panel(found, [item["message"] for item in shown], _words(shown)),
    }


def _words(shown: list[dict[str, Any]]) -> list[tuple[Message, str]]:
    """What each message says in plain words, without quotations."""
    return [(item["message"], item["text"] or item["plain"]) for item in shown]


def _shown(message: Message) -> dict[str, Any]:
    markup = bodies.best(message, "text/html")
    words = bodies.best(message, "text/plain")
    text = bodies.text(words) if words is not None and markup is None else ""
    own, quoted = _split_quotation(text)
    return {
        "message": message,
        "is_html": markup is not None,
        "remote_images": markup is not None and html.has_remote_images(bodies.text(markup)),
        "text": own,
        "plain": _plain(markup, words) if markup is not None else "",
        "quoted": quoted,
        "empty": markup is None and words is None,
        "attachments": [part for part in message.parts.all() if part.is_attachment],
        "unread": "UNREAD" in message.labels,
    }


def _plain(markup: Part, words: Part | None) -> str:
    """The words of a message that is shown as HTML, without quotations."""
    return _split_quotation(bodies.text(words) if words is not None else mime.plain(bodies.text(markup)))[0]


def _split_quotation(text: str) -> tuple[str, str]:
    """What somebody wrote, and the older mail they quoted below it."""
    match = _QUOTED.search(text)
    if match is None or not text[: match.start()].strip():
        return text, ""
    return text[: match.start()].rstrip(), text[match.start() :]


def _reply_form(request: HttpRequest, shown: list[dict[str, Any]]) -> ReplyForm:
    message: Message = shown[-1]["message"]
    everybody = request.GET.get("to") == "all"
    to, cc = compose.reply_recipients(message, message.mailbox.address, everybody=everybody)
    initial = {"to": ", ".join(to), "cc": ", ".join(cc), "form_key": uuid.uuid4(), "answers": message.pk}
    return ReplyForm(initial=initial)


@require_POST
def reply(request: HttpRequest, key: int) -> HttpResponse:
    """Queue a reply; what was typed stays when something is wrong with it."""
    found = get_object_or_404(Thread.objects.select_related("mailbox"), pk=key)
    person = signed_in(request)
    if not person.may_write:
        raise PermissionDenied
    form = ReplyForm(request.POST, request.FILES)
    if not form.is_valid():
        shown = [_shown(message) for message in _messages(found)]
        return render(request, "inbox/thread.html", _thread_context(found, shown, form), status=422)
    answers = get_object_or_404(Message, pk=form.cleaned_data["answers"], thread=found)
    if answers.mailbox.state != MailboxState.CONNECTED:
        messages.error(request, "The mailbox is not connected: connect it again, then send.")
        shown = [_shown(message) for message in _messages(found)]
        return render(request, "inbox/thread.html", _thread_context(found, shown, form), status=409)
    try:
        outbox.queue_reply(
            form_key=form.cleaned_data["form_key"],
            answers=answers,
            author=person,
            to=form.cleaned_data["to"],
            cc=form.cleaned_data["cc"],
            body=form.cleaned_data["body"],
            files=form.files_to_send(),
        )
    except DoNotContactError as error:
        form.add_error("to", str(error))
        shown = [_shown(message) for message in _messages(found)]
        return render(request, "inbox/thread.html", _thread_context(found, shown, form), status=422)
    messages.success(request, "Your reply is on its way.")
    return redirect(reverse("thread", args=[key]) + "#outbox")


@require_POST
def decide(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Send a message again whose fate is not known, or give it up: a person's word."""
    message = get_object_or_404(OutboxMessage, pk=key)
    try:
        outbox.decide(message, signed_in(request), send_again=request.POST.get("decision") == "send")
    except (outbox.MayNotSendError, DoNotContactError) as error:
        messages.error(request, str(error))
    return redirect("thread", key=message.thread_id) if message.thread_id else redirect("inbox")


@require_GET
@xframe_options_sameorigin
def body(request: HttpRequest, key: int) -> HttpResponse:
    """A message's HTML, made safe, for the sandboxed frame of the thread page."""
    message = get_object_or_404(Message, pk=key)
    markup = bodies.best(message, "text/html")
    if markup is None:
        raise Http404
    images = {
        part.content_id: reverse("message-part", args=[key, part.index])
        for part in message.parts.all()
        if part.content_id and part.content_type in _SHOWN
    }
    response = HttpResponse(html.document(html.sanitise(bodies.text(markup), images)))
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
