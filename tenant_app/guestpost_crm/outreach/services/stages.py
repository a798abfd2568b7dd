"""The way of an order, as pure decisions."""

from __future__ import annotations

from django.utils.translation import gettext as _

from guestpost_crm.outreach.models import Order
from guestpost_crm.outreach.models.orders import Stage

WAY: list[Stage] = [stage for stage in Stage if stage != Stage.LOST]
BOARD = [stage for stage in Stage if stage not in (Stage.PAID, Stage.LOST)]
_PRICED = {Stage.AGREED, Stage.WRITING, Stage.SUBMITTED, Stage.PUBLISHED, Stage.PAID}
_LINKED = {Stage.PUBLISHED, Stage.PAID}


def blocked(order: Order, to: str) -> str:
    """What is missing for an order to be at a stage, for people; empty when it may be there."""
    if to in _PRICED and order.price is None:
        return _("Write down the price that was agreed first.")
    if to in _LINKED and not order.published_url:
        return _("Write down where it was published first.")
    if to in _LINKED and not order.target_url:
        return _("Write down the target address first: the published page is checked for it.")
    return ""


def neighbour(stage: Stage, by: int) -> Stage | None:
    """The stage before or after another; None at the ends and for lost orders."""
    if stage == Stage.LOST:
        return None
    at = WAY.index(stage) + by
    return WAY[at] if 0 <= at < len(WAY) else None
