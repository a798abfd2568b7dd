"""Forms of invoices and payments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.forms.fields import DATE, AmountField, SiteField
from guestpost_crm.outreach.forms.orders import ContactField
from guestpost_crm.outreach.models import Invoice, Order, Payment
from guestpost_crm.outreach.models.orders import Stage

_CENT = Decimal("0.01")


class OrdersField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Orders of a site, to be ticked."""

    def label_from_instance(self, obj: Order) -> str:
        """What identifies an order for people."""
        price = f" · {obj.price} {obj.currency}" if obj.price is not None else ""
        return f"{obj} {obj.site}{price} · {obj.get_stage_display()}"


class InvoiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """An invoice; the orders to choose from are those of its site."""

    site = SiteField(label=_("Site"), help_text=_("Its domain."))
    contact = ContactField(label=_("Contact"), required=False, help_text=_("An e-mail address or a name."))
    amount = AmountField(label=_("Amount"), least=_CENT)
    orders = OrdersField(
        label=_("For the orders"), queryset=Order.objects.none(), required=False,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip

    class Meta:
        model = Invoice
        fields = ["site", "number", "contact", "amount", "currency", "issued_on", "due_on", "orders", "notes"]
        widgets = {"issued_on": DATE, "due_on": DATE, "notes": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.site_id:
            self.initial["site"] = self.instance.site
        site = self._site()
        chosen = Q(invoices=self.instance.pk) if self.instance.pk else Q(pk__in=[])
        found = Order.objects.filter(Q(site=site) & (~Q(stage=Stage.LOST) | chosen)).select_related("site")
        field: Any = self.fields["orders"]
        field.queryset = found.distinct().order_by("-pk") if site else Order.objects.none()
        if site is None or not found.exists():
            del self.fields["orders"]

    def _site(self) -> Any:
        if not self.is_bound:
            return self.get_initial_for_field(self.fields["site"], "site") or None
        try:
            return self.fields["site"].clean(self.data.get("site", ""))
        except forms.ValidationError:
            return None

    def clean(self) -> dict[str, Any]:
        """Dates in order; a number once for each site."""
        found = super().clean() or {}
        issued, due = found.get("issued_on"), found.get("due_on")
        if issued and due and due < issued:
            self.add_error("due_on", _("This is before it was issued."))
        known = Invoice.objects.filter(site=found.get("site"), number=found.get("number"))
        if found.get("site") and known.exclude(pk=self.instance.pk).exists():
            self.add_error("number", _("An invoice of this site has this number already."))
        return found


class PaymentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A payment."""

    amount = AmountField(label=_("Amount"), least=_CENT)

    class Meta:
        model = Payment
        fields = ["amount", "paid_on", "method", "reference"]
        widgets = {"paid_on": DATE}


class InvoiceFilter(forms.Form):
    """What invoices can be narrowed by."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("", _("all")), ("unpaid", _("to be paid")), ("overdue", _("overdue")), ("paid", _("paid")),
            ("void", _("void")),
        ],
    )  # fmt: skip

    def apply(self, found: QuerySet[Any], today: Any) -> QuerySet[Any]:
        """The invoices that fit; `found` has `paid` (billing.with_paid)."""
        self.is_valid()
        show = self.cleaned_data.get("show", "")
        if show == "void":
            found = found.filter(void=True)
        elif show:
            found = found.filter(void=False)
            unpaid = Q(paid__lt=F("amount"))
            conditions = {"unpaid": unpaid, "overdue": unpaid & Q(due_on__lt=today), "paid": ~unpaid}
            found = found.filter(conditions[show])
        for word in self.cleaned_data.get("q", "").split()[:6]:
            found = found.filter(
                Q(number__icontains=word) | Q(site__domain__icontains=word) | Q(contact__name__icontains=word)
            )
        return found
