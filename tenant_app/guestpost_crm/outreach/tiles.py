"""The cards of the board. Not a template: there are nearly two hundred of them on a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.money import shown
from guestpost_crm.outreach.services.orders import Card
from guestpost_crm.web.dates import day


class Move(NamedTuple):
    """Where a card may go by one click: the stage, the words and the sign for it."""

    to: Stage
    words: str
    sign: str


def column(cards: Iterable[Card], stage: Stage, moves: Sequence[Move], today: dt.date) -> SafeString:
    """The cards of a column as items of a list.

    Args:
        cards: what stands on them.
        stage: where they are.
        moves: where they may go from there.
        today: what is due before is late.
    """
    orders = reverse("orders")
    link_lost, overdue_words = escape(_("Link lost")), escape(_("(overdue)"))
    lost = f'<span class="mark bad">{link_lost}</span>'
    overdue = f'<span class="unseen"> {overdue_words}</span>'
    written = []
    for card in cards:
        key, site, due = card.key, escape(domains.shown(card.domain)), ""
        if card.due_on is not None:
            late = card.due_on < today
            words = f"{escape(day(card.due_on, 'j M Y'))}{overdue if late else ''}"
            due = f'<time datetime="{card.due_on}"{_LATE if late else ""}>{words}</time>'
        buttons = "".join(
            f'<button name="move" value="{key}.{stage.value}.{move.to.value}" title="{escape(move.words)}"'
            f' aria-label="{escape(move.words)} {site}">{move.sign}</button>'
            for move in moves
        )
        price = escape(shown(card.price, card.currency))
        if buttons:
            buttons = f'<span class="move">{buttons}</span>'
        written.append(
            f'<li class="tile{" alert" if card.link_lost else ""}" data-order="{key}">'
            f'<a class="tile-title" href="{orders}/{key}" draggable="false">{site}</a>'
            f"{lost if card.link_lost else ''}"
            f'<span class="tile-anchor" dir="auto">{escape(card.anchor)}</span>'
            f'<span class="tile-facts"><strong>{price}</strong> {due}</span>'
            f'<span class="tile-facts faint"><span>{escape(card.contact or "")}</span>'
            f"<span>{escape(card.assigned or '')}</span></span>"
            f"{buttons}</li>"
        )
    return mark_safe("".join(written))  # noqa: S308 - whatever people write is escaped above


_LATE = ' class="late"'
