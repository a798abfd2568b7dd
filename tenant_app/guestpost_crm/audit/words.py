"""The audit log in people's words: what each action means, what it was done to, what else is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from guestpost_crm.audit.models import AuditEvent

# Everything that is recorded anywhere; a test holds this and the code together.
ACTIONS: dict[str, Any] = {
    "account.corrected": _("Corrected their own data"),
    "contact.archived": _("Archived the contact"),
    "contact.changed": _("Changed the contact"),
    "contact.created": _("Added the contact"),
    "contact.do-not-contact": _("Marked the contact “do not contact”"),
    "contact.may-contact": _("Took “do not contact” off the contact"),
    "contact.merged": _("Merged two contacts"),
    "contact.unarchived": _("Took the contact out of the archive"),
    "custom-field.changed": _("Changed a custom field"),
    "custom-field.created": _("Added a custom field"),
    "draft.attached": _("Attached a draft to the order"),
    "draft.removed": _("Removed a draft from the order"),
    "erasure.requested": _("Asked for the erasure of this CRM"),
    "erasure.taken-back": _("Took the erasure back"),
    "export.deleted": _("Deleted an export"),
    "export.downloaded": _("Downloaded an export"),
    "export.requested": _("Asked for an export"),
    "import.done": _("Imported a spreadsheet"),
    "import.uploaded": _("Uploaded a spreadsheet"),
    "invitation.withdrawn": _("Withdrew an invitation"),
    "invoice.changed": _("Changed the invoice"),
    "invoice.created": _("Added the invoice"),
    "invoice.valid": _("Made the invoice valid again"),
    "invoice.void": _("Made the invoice void"),
    "mailbox.connected": _("Connected the mailbox"),
    "mailbox.consent-gone": _("Google no longer honours the consent; reading stopped"),
    "mailbox.disconnected": _("Disconnected the mailbox"),
    "member.access-ended": _("Ended somebody's access"),
    "member.invited": _("Invited somebody"),
    "member.joined": _("Joined the team"),
    "member.role-changed": _("Changed somebody's role"),
    "message.failed": _("A message could not be sent"),
    "message.given-up": _("Gave a message up"),
    "message.send-again-instructed": _("Had a message sent again"),
    "message.send-instructed": _("Had a message sent"),
    "message.send-now-instructed": _("Had a message sent at once"),
    "message.sent": _("A message was sent"),
    "message.taken-back": _("Took a message back before it was sent"),
    "message.unconfirmed": _("It is not known whether a message was sent"),
    "offer.accepted": _("Accepted the offer"),
    "offer.declined": _("Declined the offer"),
    "offer.expired": _("The offer ran out"),
    "offer.made": _("Recorded the offer"),
    "order.changed": _("Changed the order"),
    "order.created": _("Added the order"),
    "owner.bound": _("Became the owner by the first sign-in"),
    "payment.recorded": _("Recorded a payment"),
    "payment.removed": _("Removed a payment"),
    "person.signed-in": _("Signed in"),
    "placement.changed": _("Changed the placement"),
    "placement.check-asked": _("Had the placement looked at"),
    "placement.check-stopped": _("Had the placement looked at no more"),
    "placement.created": _("Added the placement"),
    "placement.found": _("The lost link is there again"),
    "placement.lost": _("The link is lost"),
    "reminder.removed": _("Removed a reminder"),
    "reminder.set": _("Set a reminder"),
    "second-factor.locked": _("Too many wrong codes: the second factor was locked for a while"),
    "second-factor.recovery-code-used": _("Signed in with a recovery code"),
    "second-factor.removed": _("Removed their second factor"),
    "second-factor.reset": _("Reset somebody's second factor"),
    "second-factor.set-up": _("Set up a second factor"),
    "session.ended": _("Ended one of their sessions"),
    "sessions.ended": _("Ended their other sessions"),
    "site.archived": _("Archived the site"),
    "site.changed": _("Changed the site"),
    "site.created": _("Added the site"),
    "site.do-not-contact": _("Marked the site “do not contact”"),
    "site.may-contact": _("Took “do not contact” off the site"),
    "site.merged": _("Merged two sites"),
    "site.unarchived": _("Took the site out of the archive"),
    "support.approved": _("Let support look in"),
    "support.denied": _("Denied support to look in"),
    "support.requested": _("Support asked to look in"),
    "support.revoked": _("Ended the access of support"),
    "support.saw": _("Support looked at a page"),
    "support.shell-began": _("Support opened a terminal"),
    "support.shell-ended": _("Support closed a terminal"),
    "support.signed-in": _("Support signed in"),
    "support.withdrawn": _("Support asks no longer"),
    "template.changed": _("Changed a template"),
    "template.created": _("Added a template"),
    "template.deleted": _("Removed a template"),
    "thread.done": _("Marked a conversation as done"),
    "thread.reopened": _("Took a conversation up again"),
    "token.made": _("Made an API token"),
    "token.revoked": _("Revoked an API token"),
    "view.removed": _("Removed a shared view"),
    "view.shared": _("Shared a view"),
    "webhook.changed": _("Changed a webhook"),
    "webhook.made": _("Added a webhook"),
    "webhook.removed": _("Removed a webhook"),
    "webhook.stopped": _("A webhook was stopped, for it took nothing any more"),
}
# What actions are about, to narrow the log by: what stands before the dot.
AREAS: dict[str, Any] = {
    "message": _("Messages sent"), "thread": _("Conversations"), "reminder": _("Reminders"),
    "template": _("Templates"), "mailbox": _("Mailboxes"), "site": _("Sites"), "contact": _("Contacts"),
    "order": _("Orders"), "draft": _("Drafts"), "offer": _("Offers"), "placement": _("Placements"),
    "invoice": _("Invoices"), "payment": _("Payments"), "import": _("Imports"),
    "custom-field": _("Custom fields"), "view": _("Saved views"), "person": _("Sign-ins"),
    "member": _("Team"), "invitation": _("Invitations"), "account": _("Accounts"), "owner": _("Ownership"),
    "session": _("Sessions ended one by one"), "sessions": _("Sessions ended together"),
    "second-factor": _("Second factor"), "support": _("Support access"), "export": _("Exports"),
    "erasure": _("Erasure"), "token": _("API tokens"), "webhook": _("Webhooks"),
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What events name as their subject: the word for it, where its name is found, and its page.

    Attributes:
        word: for people, followed by its number.
        model: label of the model whose records have names; empty for none.
        page: name of an address that everybody of the team may open; empty for none.
        numbered: whether that address takes the record's key.
    """

    word: Any
    model: str = ""
    page: str = ""
    numbered: bool = True


KINDS = {
    "contact": Kind(_("Contact"), "outreach.Contact", "contact"),
    "custom-field": Kind(_("Field"), "outreach.CustomField"),
    "export": Kind(_("Export")),
    "import": Kind(_("Import")),
    "invitation": Kind(_("Invitation"), "accounts.Invitation"),
    "invoice": Kind(_("Invoice"), "outreach.Invoice", "invoice"),
    "mailbox": Kind(_("Mailbox"), "gmail.Mailbox", "mailboxes", numbered=False),
    "offer": Kind(_("Offer"), page="offer"),
    "order": Kind(_("Order"), page="order"),
    "outbox": Kind(_("Message"), page="outbox", numbered=False),
    "person": Kind(_("Person"), "accounts.Person"),
    "placement": Kind(_("Placement"), page="placement"),
    "site": Kind(_("Site"), "outreach.Site", "site"),
    "support": Kind(_("Request")),
    "template": Kind(_("Template"), "writing.MessageTemplate"),
    "thread": Kind(_("Conversation"), page="thread"),
    "token": Kind(_("Token"), "integrations.ApiToken"),
    "view": Kind(_("View"), "outreach.SavedView"),
    "webhook": Kind(_("Webhook")),
}
_DETAILS: dict[str, Any] = {
    "changed": _("changed"), "days": _("days"), "direction": _("whose"), "dropped": _("dropped: number"),
    "fields": _("fields"), "files": _("attachments"), "last_export": _("with a last export"),
    "level": _("what they may"), "made": _("new"), "order": _("order"), "payment": _("payment"),
    "recipients": _("recipients"), "role": _("role"), "scopes": _("rights"), "seconds": _("for seconds"),
    "who": _("who"),
}  # fmt: skip
# A token's and a view's own words are its person's; the rest name themselves.
_NAMES = {"gmail.Mailbox": "address", "integrations.ApiToken": "name"}


@dataclass(frozen=True)
class Shown:
    """An event for people; `page` is empty where there is none, `named` whether the record is still there."""

    event: AuditEvent
    what: Any
    subject: str
    page: str
    detail: str


def shown(events: Iterable[AuditEvent]) -> list[Shown]:
    """Events for people, with the names of what they are about; a few queries however many they are."""
    found = list(events)
    names = _names(found)
    return [_shown(event, names) for event in found]


def _shown(event: AuditEvent, names: dict[tuple[str, str], str]) -> Shown:
    what = ACTIONS.get(event.action, event.action)
    word, colon, key = event.subject.partition(":")
    kind = KINDS.get(word)
    if kind is None or not colon:
        return Shown(event, what, "" if event.subject == "tenant" else event.subject, "", _detail(event, ""))
    name = names.get((word, key), "")
    gone = bool(kind.model) and not name
    page = "" if gone or not kind.page else reverse(kind.page, args=[key] if kind.numbered else [])
    return Shown(event, what, name or f"{kind.word} {key[:36]}", page, _detail(event, kind.model))


def _names(events: Iterable[AuditEvent]) -> dict[tuple[str, str], str]:
    wanted: dict[str, set[str]] = {}
    for event in events:
        word, _colon, key = event.subject.partition(":")
        if word in KINDS and KINDS[word].model and key.isdigit():
            wanted.setdefault(word, set()).add(key)
    names = {}
    for word, keys in wanted.items():
        model: Any = apps.get_model(KINDS[word].model)
        of = _NAMES.get(KINDS[word].model)
        records = model._default_manager.filter(pk__in=keys)
        for record in records.only(of) if of else records:
            names[word, str(record.pk)] = str(getattr(record, of) if of else record)
    return names


def _detail(event: AuditEvent, model: str) -> str:
    """What else was recorded, as `label: value`; ids that mean nothing to people are left out."""
    told = []
    for name, value in event.detail.items():
        if name in _DETAILS and value not in (None, ""):
            told.append(f"{_DETAILS[name]}: {_value(name, value, model)}")
    return " · ".join(told)


def _value(name: str, value: Any, model: str) -> str:
    if name == "role":
        return str(
            dict(apps.get_model("accounts.Person")._meta.get_field("role").flatchoices).get(value, value)
        )
    if name == "direction":
        offer = apps.get_model("outreach.Offer")
        return str(dict(offer._meta.get_field("direction").flatchoices).get(value, value))
    if name == "fields":
        return ", ".join(_field(model, each) for each in str(value).split(",") if each)
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return str(value)


def _field(model: str, name: str) -> str:
    """The name of a column as forms have it."""
    plain = name.removeprefix("custom.").removesuffix("_id")
    try:
        return (
            str(getattr(apps.get_model(model)._meta.get_field(plain), "verbose_name", plain))
            if model
            else plain
        )
    except FieldDoesNotExist:
        return plain.replace("_", " ")
