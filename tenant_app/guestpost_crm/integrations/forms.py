"""Forms of tokens and webhooks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.environment import current
from guestpost_crm.integrations import tokens, webhooks
from guestpost_crm.integrations.models import Webhook

_LASTS = [("30", _("30 days")), ("90", _("90 days")), ("366", _("one year"))]


class TokenForm(forms.Form):
    """A token to be made.

    Args:
        person: whose; the scopes are those that they may give.
    """

    name = forms.CharField(label=_("What it is for"), max_length=60)
    scopes = forms.MultipleChoiceField(label=_("It may"), widget=forms.CheckboxSelectMultiple)
    days = forms.ChoiceField(label=_("Valid for"), choices=_LASTS, initial="90")

    def __init__(self, person: Person, data: Any = None) -> None:
        super().__init__(data)
        choices: Any = self.fields["scopes"]
        choices.choices = [(scope.value, scope.label) for scope in tokens.allowed(person)]

    def lasts(self) -> dt.timedelta:
        """How long the token of a valid form holds."""
        return dt.timedelta(days=int(self.cleaned_data["days"]))


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """A webhook."""

    url = forms.URLField(
        label=_("Address"), max_length=2000, assume_scheme="https",
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocapitalize": "off"}),
    )  # fmt: skip
    events = forms.MultipleChoiceField(
        label=_("Tell of"), widget=forms.CheckboxSelectMultiple,
        choices=[(each, each) for each in webhooks.EVENTS],
    )  # fmt: skip

    class Meta:
        model = Webhook
        fields = ["url", "events", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            del self.fields["active"]

    def clean_url(self) -> str:
        """Https, for what is told is nobody else's; plain http only where link checks may go by it too."""
        url = str(self.cleaned_data["url"])
        if not url.startswith("https://") and not current().link_check_allow:
            raise forms.ValidationError(_("The address has to begin with https://."))
        return url
