"""The forms of writing: they say which field is wrong, and keep what was typed."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from guestpost_crm.gmail.compose import File, RecipientError, recipients
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.web.choices import RecordField
from guestpost_crm.writing import blanks, drafts
from guestpost_crm.writing.models import MessageTemplate

MOST_ATTACHED = 25 << 20
_FURTHEST = dt.timedelta(days=366)


class ManyFiles(forms.FileInput):
    """A file field that takes several."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """A list of files."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        """Check every file."""
        return [super(FilesField, self).clean(each, initial) for each in data or [] if each]


class AddressesField(forms.CharField):
    """Addresses separated by commas."""

    def clean(self, value: Any) -> list[str]:
        """The addresses, each checked."""
        try:
            return recipients(super().clean(value))
        except RecipientError as error:
            raise forms.ValidationError(str(error)) from None


class MessageForm(forms.Form):
    """A message: a reply, a forward or a new one.

    Args:
        keepable: attachments that lie here already and may go with it.
    """

    form_key = forms.UUIDField(widget=forms.HiddenInput)
    answers = forms.IntegerField(widget=forms.HiddenInput, required=False)
    kind = forms.CharField(widget=forms.HiddenInput, required=False)
    zone = forms.CharField(widget=forms.HiddenInput, required=False, max_length=60)
    mailbox = RecordField(label=_("From"), queryset=Mailbox.objects.none(), required=False, empty_label=None)
    to = AddressesField(label=_("To"), max_length=10_000, required=False)
    cc = AddressesField(label=_("Cc"), max_length=10_000, required=False)
    bcc = AddressesField(label=_("Bcc"), max_length=10_000, required=False)
    subject = forms.CharField(label=_("Subject"), max_length=900, required=False)
    body = forms.CharField(
        label=_("Message"),
        max_length=500_000,
        strip=False,
        required=False,
        widget=forms.Textarea(attrs={"rows": 9}),
    )
    attachments = FilesField(
        label=_("Attachments"),
        required=False,
        widget=ManyFiles(
            attrs={
                "multiple": True,
                "data-most": MOST_ATTACHED,
                "data-too-large": _("These files are larger than 25 MiB together: send a link instead."),
            }
        ),
    )
    keep = forms.MultipleChoiceField(
        label=_("Attached already"), required=False, widget=forms.CheckboxSelectMultiple
    )
    quote = forms.BooleanField(label=_("Quote the message below"), required=False)
    send_at = forms.DateTimeField(
        label=_("Send later"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Empty: at once."),
    )
    follow_up_days = forms.TypedChoiceField(
        label=_("Remind me if there is no answer"),
        coerce=int,
        empty_value=None,
        required=False,
        choices=[("", _("no")), *((days, _("after %d days") % days) for days in (2, 3, 5, 7, 14, 30))],
    )
    template = RecordField(
        label=_("Template"), queryset=MessageTemplate.objects.none(), required=False, empty_label=_("none")
    )

    def __init__(self, *args: Any, keepable: list[drafts.Kept] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keepable = keepable or []
        self.fields["mailbox"].queryset = Mailbox.objects.filter(  # type: ignore[attr-defined]
            state=MailboxState.CONNECTED
        ).order_by("address")
        self.fields["mailbox"].label_from_instance = lambda mailbox: mailbox.address  # type: ignore[attr-defined]
        self.fields["template"].queryset = MessageTemplate.objects.defer("subject", "body")  # type: ignore[attr-defined]
        self.fields["keep"].choices = [(each.key, each.name) for each in self.keepable]  # type: ignore[attr-defined]

    def clean_body(self) -> str:
        """Something has to be in it, and no blank of a template."""
        body = str(self.cleaned_data["body"])
        if not body.strip():
            raise forms.ValidationError(_("Write something first."))
        _refuse_blanks(drafts.own(body))
        return body

    def clean_subject(self) -> str:
        """No blank of a template."""
        subject = " ".join(str(self.cleaned_data["subject"]).split())
        _refuse_blanks(subject)
        return subject

    def clean_send_at(self) -> dt.datetime | None:
        """A moment in the person's own time zone."""
        naive: dt.datetime | None = self.cleaned_data.get("send_at")
        if naive is None:
            return None
        try:
            # The browser's; without scripts the one that the person has chosen here.
            named = self.cleaned_data.get("zone")
            zone: dt.tzinfo = zoneinfo.ZoneInfo(named) if named else timezone.get_current_timezone()
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            zone = timezone.get_current_timezone()
        moment = naive.replace(tzinfo=zone)
        if moment < timezone.now():
            raise forms.ValidationError(_("That is in the past."))
        if moment > timezone.now() + _FURTHEST:
            raise forms.ValidationError(_("That is more than a year from now."))
        return moment

    def clean(self) -> dict[str, Any]:
        """What concerns several fields."""
        data = dict(super().clean() or {})
        if not self.errors.get("to") and not (data.get("to") or data.get("cc") or data.get("bcc")):
            self.add_error("to", _("Whom is it for? Write at least one address."))
        if sum(each.size for each in self.files_to_send()) > MOST_ATTACHED:
            text = _now(
                "The attachments are larger than %d MiB together: put them somewhere and send a link."
            )
            self.add_error("attachments", text % (MOST_ATTACHED >> 20))
        return data

    def files_to_send(self) -> list[File]:
        """The attachments; none of them is held in memory."""
        chosen = set(self.cleaned_data.get("keep") or ())
        kept: list[File] = [each for each in self.keepable if each.key in chosen]
        return [*kept, *(self.cleaned_data.get("attachments") or ())]


def _refuse_blanks(text: str) -> None:
    if left := blanks.names(text):
        raise forms.ValidationError(
            _now("Fill in what is still blank: %s.") % ", ".join(f"{{{{{name}}}}}" for name in left)
        )


if TYPE_CHECKING:
    _TemplateForm = forms.ModelForm[MessageTemplate]
else:
    _TemplateForm = forms.ModelForm


class TemplateForm(_TemplateForm):
    """A template."""

    class Meta:
        model = MessageTemplate
        fields = ("name", "subject", "body")
        widgets = {"body": forms.Textarea(attrs={"rows": 12})}

    def clean(self) -> dict[str, Any]:
        """Its blanks are ones that can be filled."""
        data = dict(super().clean() or {})
        for name in ("subject", "body"):
            if strange := blanks.unknown(str(data.get(name, ""))):
                text = _now("Nothing is known for %s. The blanks that can be filled stand below.")
                self.add_error(name, text % ", ".join(f"{{{{{each}}}}}" for each in strange))
        return data
