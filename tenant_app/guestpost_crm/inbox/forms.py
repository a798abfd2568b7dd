"""The reply form: says which field is wrong, and keeps what was typed."""

from __future__ import annotations

from typing import Any

from django import forms

from guestpost_crm.gmail.compose import File, RecipientError, recipients

MOST_ATTACHED = 20 << 20


class ManyFiles(forms.FileInput):
    """A file field that takes several."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """A list of files, small enough together for Gmail."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        """Check every file."""
        files = [super(FilesField, self).clean(each, initial) for each in data or [] if each]
        if sum(each.size for each in files) > MOST_ATTACHED:
            raise forms.ValidationError(f"The attachments are larger than {MOST_ATTACHED >> 20} MB together.")
        return files


class AddressesField(forms.CharField):
    """Addresses separated by commas."""

    def clean(self, value: Any) -> list[str]:
        """The addresses, each checked."""
        try:
            found = recipients(super().clean(value))
        except RecipientError as error:
            raise forms.ValidationError(f"{error}.") from None
        if self.required and not found:
            raise forms.ValidationError("Whom is it for? Write at least one address.")
        return found


class ReplyForm(forms.Form):
    """A reply."""

    form_key = forms.UUIDField(widget=forms.HiddenInput)
    answers = forms.IntegerField(widget=forms.HiddenInput)
    to = AddressesField(label="To", max_length=10_000)
    cc = AddressesField(label="Cc", max_length=10_000, required=False)
    body = forms.CharField(
        label="Message",
        max_length=500_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        error_messages={"required": "Write something first."},
    )
    attachments = FilesField(label="Attachments", required=False, widget=ManyFiles(attrs={"multiple": True}))

    def clean_body(self) -> str:
        """Something has to be in it."""
        body = str(self.cleaned_data["body"])
        if not body.strip():
            raise forms.ValidationError("Write something first.")
        return body

    def files_to_send(self) -> list[File]:
        """The attachments with their content."""
        return [
            File(each.name, each.content_type or "application/octet-stream", each.read())
            for each in self.cleaned_data["attachments"]
        ]
