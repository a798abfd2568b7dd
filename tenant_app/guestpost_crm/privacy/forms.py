"""What the owner writes when they ask the service for something."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from guestpost_crm.environment import current
from guestpost_crm.privacy.requests import Contact


class ErasureForm(forms.Form):
    """Typing the name of this CRM is what confirms that it shall be erased."""

    confirmed = forms.CharField(label=_("Name of this CRM"), max_length=100, strip=True)
    last_export = forms.BooleanField(
        label=_("Make a last export before, which I can download until a week later"),
        required=False,
        initial=True,
    )

    def clean_confirmed(self) -> str:
        """What was typed, which has to be the name."""
        typed: str = self.cleaned_data["confirmed"]
        if typed != current().tenant_name:
            raise forms.ValidationError(
                _("Type %(name)s to confirm. Nothing was asked for."), params={"name": current().tenant_name}
            )
        return typed


class ContactForm(forms.Form):
    """Whom the service writes to."""

    name = forms.CharField(label=_("Name"), max_length=100)
    email = forms.EmailField(label=_("Address"), min_length=6, max_length=254)

    def contact(self) -> Contact:
        """What was written, once it is valid."""
        return Contact(" ".join(self.cleaned_data["name"].split()), self.cleaned_data["email"])
