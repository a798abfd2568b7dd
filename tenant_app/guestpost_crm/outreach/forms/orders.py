"""Forms of orders and offers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.outreach.forms.fields import (
    DATE,
    AmountField,
    Filter,
    SiteField,
    WithCustomFields,
    address_field,
)
from guestpost_crm.outreach.models import Contact, Offer, Order
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.models.offers import Direction, OfferState
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import stages
from guestpost_crm.web.choices import RecordField


def _people() -> QuerySet[Person]:
    return (
        Person.objects.filter(is_active=True)
        .exclude(role__in=(Role.READER, Role.SUPPORT))
        .order_by("name", "email")
    )


class ContactField(forms.CharField):
    """A contact by one of its addresses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=320, **options)
        self.widget.attrs.update(
            {"autocomplete": "off", "spellcheck": "false", "placeholder": "name@example.com"}
        )

    def prepare_value(self, value: Any) -> Any:
        """A contact's key or what was typed, as text."""
        if not isinstance(value, int):
            return value
        contact = Contact.objects.prefetch_related("addresses").filter(pk=value).first()
        if contact is None:
            return ""
        first = next(iter(contact.addresses.all()), None)
        return first.address if first else contact.name

    def clean(self, value: Any) -> Any:
        """The contact, by an address or by a name that only one has; None for none."""
        text = str(super().clean(value)).strip()
        if not text:
            return None
        found = Contact.objects.filter(Q(addresses__address=text.lower()) | Q(name__iexact=text)).distinct()[
            :2
        ]
        if len(found) != 1:
            problem = _("Nobody here has this address or name: add the contact first.")
            raise forms.ValidationError(problem if not found else _("Several contacts have this name."))
        return found[0]


class OrderForm(WithCustomFields, forms.ModelForm):  # type: ignore[type-arg]
    """An order."""

    site = SiteField(label=_("Site"), help_text=_("Its domain."))
    contact = ContactField(label=_("Contact"), required=False, help_text=_("An e-mail address or a name."))
    price = AmountField(label=_("Price"), required=False)
    target_url = address_field(_("Target address"), _("The page of ours that the post links to."))
    draft_url = address_field(_("Draft"), _("Where the text is, such as a shared document."))
    published_url = address_field(_("Published at"))

    class Meta:
        model = Order
        fields = [
            "site", "contact", "stage", "assigned", "price", "currency", "due_on", "anchor", "target_url",
            "link_policy", "draft_url", "published_url", "notes",
        ]  # fmt: skip
        widgets = {"due_on": DATE, "notes": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assigned"].queryset = _people()  # type: ignore[attr-defined]
        self.add_custom(Target.ORDER, self.instance)
        if self.instance.site_id:
            self.initial["site"] = self.instance.site
        if "assigned" in self.initial and isinstance(self.instance.assigned, Person):
            everybody = _people() | Person.objects.filter(pk=self.instance.assigned_id)
            self.fields["assigned"].queryset = everybody  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Everything that its stage needs is there."""
        found = super().clean() or {}
        wanted = Order(
            price=found.get("price"),
            published_url=found.get("published_url") or "",
            target_url=found.get("target_url") or "",
        )
        if not self.errors and (problem := stages.blocked(wanted, found.get("stage", ""))):
            self.add_error("stage", problem)
        self.keep_custom(self.instance)
        return found


class OrderFilter(Filter):
    """What orders can be narrowed by, on the board and in the list."""

    target = Target.ORDER
    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    assigned = RecordField(
        label=_("Assigned to"), queryset=Person.objects.none(), required=False, empty_label=_("anybody")
    )
    niche = forms.CharField(label=_("Niche"), required=False, max_length=80)
    stage = forms.ChoiceField(label=_("Stage"), required=False, choices=[("", _("any")), *Stage.choices])
    due = forms.ChoiceField(
        label=_("Due"),
        required=False,
        choices=[
            ("", _("any")),
            ("late", _("overdue")),
            ("week", _("within a week")),
            ("none", _("not set")),
        ],
    )
    lost = forms.BooleanField(label=_("Link lost"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assigned"].queryset = _people()  # type: ignore[attr-defined]

    def apply(self, found: QuerySet[Order], today: Any, week: Any) -> QuerySet[Order]:
        """The orders that fit."""
        self.is_valid()
        given = self.cleaned_data
        for word in given.get("q", "").split()[:6]:
            found = found.filter(
                Q(site__domain__icontains=word) | Q(anchor__icontains=word) | Q(target_url__icontains=word)
                | Q(contact__name__icontains=word) | Q(published_url__icontains=word)
            )  # fmt: skip
        if given.get("assigned"):
            found = found.filter(assigned=given["assigned"])
        if given.get("niche"):
            found = found.filter(site__niche__iexact=given["niche"])
        if given.get("stage"):
            found = found.filter(stage=given["stage"])
        if given.get("lost"):
            found = found.filter(link_lost=True)
        due = given.get("due", "")
        under_way = ~Q(stage__in=[Stage.PAID, Stage.LOST])
        conditions = {
            "late": Q(due_on__lt=today) & under_way,
            "week": Q(due_on__range=(today, week)) & under_way,
            "none": Q(due_on=None),
        }
        return self.by_custom(found.filter(conditions[due]) if due else found)


class OfferForm(forms.ModelForm):  # type: ignore[type-arg]
    """An offer, which becomes one when a person sends this form."""

    site = SiteField(label=_("Site"), help_text=_("Its domain."))
    contact = ContactField(label=_("Contact"), required=False, help_text=_("An e-mail address or a name."))
    price = AmountField(label=_("Price"), least=Decimal("0.01"))

    class Meta:
        model = Offer
        fields = ["site", "contact", "direction", "price", "currency", "expires_on", "terms"]
        widgets = {"expires_on": DATE, "terms": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.site_id:
            self.initial["site"] = self.instance.site


class OfferFilter(forms.Form):
    """What offers can be narrowed by."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("", _("open")), ("soon", _("running out within a week")), ("accepted", _("accepted")),
            ("declined", _("declined")), ("expired", _("expired")), ("superseded", _("superseded")),
            ("all", _("all")),
        ],
    )  # fmt: skip
    direction = forms.ChoiceField(
        label=_("Whose"), required=False, choices=[("", _("anybody's")), *Direction.choices]
    )

    def apply(self, found: QuerySet[Offer], today: Any, week: Any) -> QuerySet[Offer]:
        """The offers that fit; what has run out is expired, whether or not that is written down yet."""
        self.is_valid()
        given = self.cleaned_data
        valid = Q(state=OfferState.OPEN) & (Q(expires_on=None) | Q(expires_on__gte=today))
        show = given.get("show", "")
        if show == "expired":
            found = found.filter(Q(state=OfferState.EXPIRED) | Q(state=OfferState.OPEN, expires_on__lt=today))
        elif show == "soon":
            found = found.filter(valid, expires_on__lte=week).order_by(F("expires_on").asc())
        elif show != "all":
            found = found.filter(state=show) if show else found.filter(valid)
        if given.get("direction"):
            found = found.filter(direction=given["direction"])
        for word in given.get("q", "").split()[:6]:
            found = found.filter(
                Q(site__domain__icontains=word) | Q(contact__name__icontains=word) | Q(terms__icontains=word)
            )
        return found
