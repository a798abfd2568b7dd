"""The form of a custom field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models import CustomField
from guestpost_crm.outreach.models.custom import Kind
from guestpost_crm.outreach.services.custom import MOST_FIELDS

MOST_CHOICES = 50


class CustomFieldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A field of the team's own; what it is for and holds can't be changed once there are values."""

    choice_lines = forms.CharField(
        label=_("Choices"), required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("For the kind “Choice”: one on each line."),
    )  # fmt: skip

    class Meta:
        model = CustomField
        fields = ["target", "label", "kind", "choice_lines", "required", "position", "archived"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["target"].disabled = self.fields["kind"].disabled = True
            self.initial["choice_lines"] = "\n".join(self.instance.choices)
        else:
            del self.fields["archived"]

    def clean(self) -> dict[str, Any]:
        """Choices for a choice, and not too many fields."""
        found = super().clean() or {}
        lines = [" ".join(line.split())[:100] for line in found.get("choice_lines", "").splitlines()]
        choices = list(dict.fromkeys(line for line in lines if line))
        if found.get("kind") == Kind.CHOICE and not 1 < len(choices) <= MOST_CHOICES:
            self.add_error("choice_lines", _("Write between 2 and 50 choices, one on each line."))
        self.instance.choices = choices if found.get("kind") == Kind.CHOICE else []
        known = CustomField.objects.filter(target=found.get("target", ""))
        if not self.instance.pk and known.count() >= MOST_FIELDS:
            self.add_error("target", _("There are as many fields as fit."))
        if known.filter(label__iexact=found.get("label", "")).exclude(pk=self.instance.pk).exists():
            self.add_error("label", _("There is a field of this name already."))
        return found
