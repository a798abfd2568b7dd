"""Orders on their way from prospect to paid, and every change of them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models.common import Dated, LinkPolicy, currency_field, price_field
from guestpost_crm.outreach.models.contacts import Contact
from guestpost_crm.outreach.models.sites import Site


class Stage(models.TextChoices):
    """Where an order stands, in order; `lost` ends it from anywhere."""

    PROSPECT = "prospect", _("Prospect")
    CONTACTED = "contacted", _("Contacted")
    NEGOTIATING = "negotiating", _("Negotiating")
    AGREED = "agreed", _("Agreed")
    WRITING = "writing", _("Writing")
    SUBMITTED = "submitted", _("Submitted")
    PUBLISHED = "published", _("Published")
    PAID = "paid", _("Paid")
    LOST = "lost", _("Lost")


class Order(Dated):
    """A guest post that is wanted, from the first idea to the payment.

    Attributes:
        draft_message, draft_part: an attachment in the mail that is the draft.
        link_lost: the alert: its link was there and is gone.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="orders", verbose_name=_("site"))
    contact = models.ForeignKey(
        Contact,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("contact"),
    )
    thread = models.ForeignKey(
        "inbox.Thread", on_delete=models.SET_NULL, null=True, blank=True, related_name="orders"
    )
    stage = models.CharField(_("stage"), max_length=12, choices=Stage.choices, default=Stage.PROSPECT)
    anchor = models.CharField(_("anchor text"), max_length=300, blank=True)
    target_url = models.URLField(_("target address"), max_length=2000, blank=True)
    link_policy = models.CharField(
        _("link agreed"), max_length=10, choices=LinkPolicy.choices, default=LinkPolicy.DOFOLLOW
    )
    draft_url = models.URLField(_("draft"), max_length=2000, blank=True)
    draft_message = models.ForeignKey(
        "inbox.Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    draft_part = models.PositiveIntegerField(null=True, blank=True)
    published_url = models.URLField(_("published at"), max_length=2000, blank=True)
    price = price_field(_("price"), null=True, blank=True)
    currency = currency_field()
    due_on = models.DateField(_("due"), null=True, blank=True)
    assigned = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="orders",
        verbose_name=_("assigned to"),
    )  # fmt: skip
    notes = models.TextField(_("notes"), max_length=20_000, blank=True)
    link_lost = models.BooleanField(default=False, editable=False)
    moved_at = models.DateTimeField(null=True, editable=False)
    agreed_on = models.DateField(null=True, editable=False)
    published_on = models.DateField(null=True, editable=False)
    custom = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "guest_post_order"
        ordering = ("-updated_at", "-pk")
        indexes = [
            models.Index(fields=["stage", "due_on", "-id"], name="orders_board"),
            models.Index(fields=["published_on"], name="orders_by_publication"),
            GinIndex(OpClass("custom", name="jsonb_path_ops"), name="orders_by_custom_field"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.stage in (Stage.PAID, Stage.LOST)


class OrderChange(models.Model):
    """One field of an order that somebody changed; `person` is None for the system itself."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(auto_now_add=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    field = models.CharField(max_length=60)
    old = models.TextField(blank=True)
    new = models.TextField(blank=True)

    class Meta:
        db_table = "order_change"
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["order", "-at"], name="changes_of_an_order")]

    def __str__(self) -> str:
        return f"{self.field} of order {self.order_id}"
