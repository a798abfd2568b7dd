"""Links that were placed, and what looking at them found."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models.common import Dated, LinkPolicy
from guestpost_crm.outreach.models.orders import Order
from guestpost_crm.outreach.models.sites import Site


class PlacementState(models.TextChoices):
    """What is known of a placed link."""

    UNCHECKED = "unchecked", _("Not checked yet")
    LIVE = "live", _("Live")
    CHANGED = "changed", _("Not as agreed")
    MISSING = "missing", _("Missing once")
    NEVER = "never", _("Not found")
    UNREACHABLE = "unreachable", _("No answer")
    LOST = "lost", _("Lost")


class Placement(Dated):
    """A link on a published page.

    Attributes:
        anchor: the text expected, any when empty.
        rel: the kind of link expected.
        was_live: the link was seen at least once.
        misses: checks in a row that did not find it on a page that answered.
        failures: checks in a row without a usable answer.
        next_check_at: when it is looked at again; None when it is not checked.
    """

    order = models.ForeignKey(
        Order,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="placements",
        verbose_name=_("order"),
    )
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, related_name="placements", verbose_name=_("site")
    )
    url = models.URLField(_("published page"), max_length=2000)
    target_url = models.URLField(_("target address"), max_length=2000)
    anchor = models.CharField(_("anchor text"), max_length=300, blank=True)
    rel = models.CharField(
        _("link agreed"), max_length=10, choices=LinkPolicy.choices, default=LinkPolicy.DOFOLLOW
    )
    state = models.CharField(
        _("state"),
        max_length=12,
        choices=PlacementState.choices,
        default=PlacementState.UNCHECKED,
        editable=False,
    )
    was_live = models.BooleanField(default=False, editable=False)
    misses = models.PositiveIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    problems = models.JSONField(default=list, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    lost_at = models.DateTimeField(null=True, editable=False)
    next_check_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "placement"
        ordering = ("-created_at", "-pk")
        indexes = [
            models.Index(
                fields=["next_check_at"],
                condition=models.Q(next_check_at__isnull=False),
                name="placements_due",
            ),
            models.Index(fields=["state", "-id"], name="placements_by_state"),
        ]
        constraints = [models.UniqueConstraint(fields=["order", "url", "target_url"], name="placed_once")]

    def __str__(self) -> str:
        return f"placement {self.pk}"


class PlacementCheck(models.Model):
    """One look at a placement; `findings` as linkcheck.findings.Findings writes them."""

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="checks")
    at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=PlacementState.choices)
    findings = models.JSONField(default=dict)

    class Meta:
        db_table = "placement_check"
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["placement", "-at"], name="checks_of_a_placement")]

    def __str__(self) -> str:
        return f"check {self.pk}"
