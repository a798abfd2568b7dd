"""Writing mail, what waits to be sent, and templates."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.gmail import compose, outbox
from guestpost_crm.gmail.models import Mailbox, MailboxState, OutboxMessage, OutboxState
from guestpost_crm.inbox.models import Message, Thread
from guestpost_crm.outreach.services.dnc import DoNotContactError
from guestpost_crm.web.numbers import number
from guestpost_crm.writing import blanks, drafts
from guestpost_crm.writing.forms import MessageForm, TemplateForm
from guestpost_crm.writing.models import MessageTemplate

REPLY, REPLY_ALL, FORWARD, NEW = "reply", "reply-all", "forward", "new"
MOST_SHOWN = 100


def _writer(request: HttpRequest) -> Person:
    person = signed_in(request)
    if not person.may_write:
        raise PermissionDenied
    return person


def reply_form(message: Message, *, everybody: bool = False) -> MessageForm:
    """A form that answers a message."""
    to, cc = compose.reply_recipients(message, message.mailbox.address, everybody=everybody)
    initial = {
        "form_key": uuid.uuid4(),
        "answers": message.pk,
        "kind": REPLY,
        "to": ", ".join(to),
        "cc": ", ".join(cc),
        "subject": compose.reply_subject(message.subject),
        "quote": True,
    }
    return MessageForm(initial=initial)


@require_http_methods(["GET", "POST"])
def write(request: HttpRequest, key: int | None = None, kind: str = NEW) -> HttpResponse:
    """A page for a message: new, or a reply to or a forward of the message `key`."""
    person = _writer(request)
    message = (
        get_object_or_404(Message.objects.select_related("thread", "mailbox", "raw"), pk=key) if key else None
    )
    if request.method == "POST":
        return _posted(request, person, message, kind)
    return _page(request, _begun(request, message, kind), message, kind)


def _begun(request: HttpRequest, message: Message | None, kind: str) -> MessageForm:
    """The form as it stands before anything was typed."""
    if source := request.GET.get("again", ""):
        return _again(source, message, kind)
    if message is not None and kind != FORWARD:
        return reply_form(message, everybody=kind == REPLY_ALL)
    initial: dict[str, Any] = {"form_key": uuid.uuid4(), "kind": kind, "to": request.GET.get("to", "")[:320]}
    kept: list[drafts.Kept] = []
    if message is not None:
        kept = drafts.of_message(message)
        initial |= {
            "answers": message.pk,
            "subject": compose.forward_subject(message.subject),
            "body": drafts.forwarded(message),
            "keep": [each.key for each in kept],
        }
    return MessageForm(initial=initial, keepable=kept)


def _again(source: str, message: Message | None, kind: str) -> MessageForm:
    """The form filled with what was taken back."""
    try:
        earlier = get_object_or_404(OutboxMessage.objects.select_related("raw"), pk=uuid.UUID(source))
    except ValueError:
        return MessageForm(initial={"form_key": uuid.uuid4(), "kind": kind})
    kept = drafts.of_outbox(earlier)
    initial = {
        **drafts.again(earlier),
        "form_key": uuid.uuid4(),
        "kind": kind,
        "answers": message.pk if message else None,
        "mailbox": earlier.mailbox_id,
        "keep": [each.key for each in kept],
        "follow_up_days": earlier.follow_up_days,
        "send_at": earlier.send_at if earlier.scheduled else None,
        "zone": timezone.get_current_timezone_name() if earlier.scheduled else "",
    }
    return MessageForm(initial=initial, keepable=kept)


def _page(
    request: HttpRequest, form: MessageForm, message: Message | None, kind: str, status: int = 200
) -> HttpResponse:
    headings = {REPLY: _("Reply"), REPLY_ALL: _("Reply to all"), FORWARD: _("Forward"), NEW: _("New message")}
    context = {
        "form": form,
        "message": message,
        "kind": kind,
        "heading": headings[kind],
        "connected": Mailbox.objects.filter(state=MailboxState.CONNECTED).exists(),
    }
    return render(request, "writing/write.html", context, status=status)


def _posted(request: HttpRequest, person: Person, message: Message | None, kind: str) -> HttpResponse:
    form = MessageForm(request.POST, request.FILES, keepable=drafts.kept(request.POST.getlist("keep")))
    if request.POST.get("insert"):
        return _page(request, _with_template(request, form, person, message), message, kind)
    sent = send(form, person, message)
    if sent is None:
        return _page(request, form, message, kind, 422)
    _told(request, sent)
    return redirect(_where(sent))


def _where(sent: OutboxMessage) -> str:
    return reverse("thread", args=[sent.thread_id]) + "#outbox" if sent.thread_id else reverse("outbox")


def _told(request: HttpRequest, sent: OutboxMessage) -> None:
    if sent.scheduled and sent.send_at:
        when = date_format(timezone.localtime(sent.send_at), "j M Y, H:i T")
        messages.success(request, _("It is sent on %s.") % when)
    else:
        messages.success(request, _("Your message is on its way. For a moment it can be taken back."))


def _with_template(
    request: HttpRequest, form: MessageForm, person: Person, message: Message | None
) -> MessageForm:
    """The form with a template's text above what was typed."""
    form.is_valid()
    typed = {name: request.POST.get(name, "") for name in form.fields if name not in ("attachments", "keep")}
    template = form.cleaned_data.get("template")
    if template is not None:
        filled = _filled(template, person, form.cleaned_data.get("to") or [], message)
        typed["body"] = "\n\n".join(each for each in (filled["body"], typed["body"].strip("\n")) if each)
        if filled["subject"] and not typed["subject"].strip():
            typed["subject"] = filled["subject"]
    return MessageForm(initial={**typed, "keep": request.POST.getlist("keep")}, keepable=form.keepable)


def _filled(
    template: MessageTemplate, person: Person, to: list[str], message: Message | None
) -> dict[str, str]:
    mailbox = message.mailbox if message else Mailbox.objects.filter(state=MailboxState.CONNECTED).first()
    values = drafts.values(person, mailbox, to, message.thread if message else None)
    return {name: blanks.fill(getattr(template, name), values) for name in ("subject", "body")}


def send(form: MessageForm, person: Person, message: Message | None) -> OutboxMessage | None:
    """Take the instruction that a form is; None when something is wrong, and the form says what."""
    if not form.is_valid():
        return None
    data = form.cleaned_data
    mailbox = message.mailbox if message else data["mailbox"] or form.fields["mailbox"].queryset.first()  # type: ignore[attr-defined]
    if mailbox is None:
        form.add_error(None, _("No mailbox is connected: connect one, then send."))
        return None
    body = data["body"]
    if message is not None and data["quote"] and data["kind"] != FORWARD:
        body += drafts.quotation(message)
    draft = compose.Draft(
        to=data["to"],
        cc=data["cc"],
        bcc=data["bcc"],
        subject=data["subject"] or (compose.reply_subject(message.subject) if message else ""),
        body=body,
        answers=message,
        files=form.files_to_send(),
    )
    if len(draft.recipients) > compose.MOST_RECIPIENTS:
        form.add_error("to", _("At most %d recipients together.") % compose.MOST_RECIPIENTS)
        return None
    try:
        return outbox.queue(
            draft,
            form_key=data["form_key"],
            mailbox=mailbox,
            author=person,
            send_at=data["send_at"],
            follow_up_days=data["follow_up_days"],
        )
    except DoNotContactError as error:
        form.add_error("to", error.shown())
    except outbox.MayNotSendError as error:
        form.add_error(None, str(error))
    return None


@require_GET
def waiting(request: HttpRequest) -> HttpResponse:
    """What is to be sent, what was not, and what was lately."""
    found = OutboxMessage.objects.select_related("person", "thread", "mailbox").order_by("-created_at")
    open_states = [OutboxState.UNCONFIRMED, OutboxState.FAILED, OutboxState.SENDING, OutboxState.QUEUED]
    context = {
        "open": found.filter(state__in=open_states)[:MOST_SHOWN],
        "done": found.filter(state__in=[OutboxState.SENT, OutboxState.CANCELLED])[:30],
    }
    return render(request, "writing/outbox.html", context)


def _decided(request: HttpRequest, key: uuid.UUID, act: Any) -> OutboxMessage:
    message = get_object_or_404(OutboxMessage, pk=key)
    try:
        act(message)
    except outbox.MayNotSendError as error:
        messages.error(request, str(error))
    except DoNotContactError as error:
        messages.error(request, error.shown())
    return message


@require_POST
def take_back(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Take a message back before it is sent, and go on writing it."""
    person = signed_in(request)
    message = _decided(request, key, lambda each: outbox.take_back(each, person))
    message.refresh_from_db()
    if message.state != OutboxState.CANCELLED:
        return redirect(_where(message))
    forward = message.answers is not None and message.subject == compose.forward_subject(
        message.answers.subject
    )
    name = "message-forward" if forward else "message-reply"
    page = reverse(name, args=[message.answers_id]) if message.answers_id else reverse("write")
    return redirect(f"{page}?again={message.pk}")


@require_POST
def send_now(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Send at once what was to be sent later."""
    person = signed_in(request)
    return redirect(_where(_decided(request, key, lambda each: outbox.send_now(each, person))))


@require_POST
def decide(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Send a message again whose fate is not known, or give it up: a person's word."""
    person, again = signed_in(request), request.POST.get("decision") == "send"
    return redirect(
        _where(_decided(request, key, lambda each: outbox.decide(each, person, send_again=again)))
    )


@require_GET
def templates(request: HttpRequest) -> HttpResponse:
    """Every template."""
    return render(request, "writing/templates.html", {"templates": MessageTemplate.objects.all()})


@require_http_methods(["GET", "POST"])
def template(request: HttpRequest, key: int | None = None) -> HttpResponse:
    """Change a template, or make one."""
    person = _writer(request)
    found = get_object_or_404(MessageTemplate, pk=key) if key else None
    form = TemplateForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        record(person, "template.changed" if found else "template.created", f"template:{saved.pk}")
        messages.success(request, _("The template is saved."))
        return redirect("templates")
    context = {"form": form, "template": found, "blanks": blanks.KNOWN}
    return render(request, "writing/template.html", context, status=422 if form.errors else 200)


@require_POST
def template_delete(request: HttpRequest, key: int) -> HttpResponse:
    """Remove a template."""
    person = _writer(request)
    get_object_or_404(MessageTemplate, pk=key).delete()
    record(person, "template.deleted", f"template:{key}")
    messages.success(request, _("The template is removed."))
    return redirect("templates")


@require_GET
def template_text(request: HttpRequest, key: int) -> JsonResponse:
    """A template filled for a message, for the page that is open."""
    person = _writer(request)
    message = Message.objects.filter(pk=number(request.GET.get("answers", "")) or 0).first()
    to = compose.addresses(request.GET.get("to", "")[:2000])
    return JsonResponse(_filled(get_object_or_404(MessageTemplate, pk=key), person, to, message))


def reply_in_thread(
    request: HttpRequest, thread: Thread, message: Message
) -> tuple[OutboxMessage | None, MessageForm]:
    """The form below a conversation: what was sent, or the form that says what is wrong."""
    form = MessageForm(request.POST, request.FILES, keepable=drafts.kept(request.POST.getlist("keep")))
    sent = send(form, _writer(request), message)
    if sent is not None:
        _told(request, sent)
    return sent, form
