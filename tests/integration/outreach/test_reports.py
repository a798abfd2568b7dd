"""Reports: figures of one currency, the same in the plot and in the table."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from lxml import html

TODAY = dt.date(2026, 3, 31)


def values(points: Any) -> dict[str, Any]:
    return {point.label: point.value for point in points}


def test_what_was_paid_by_month_in_one_currency(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Payment
    from guestpost_crm.outreach.services import reports

    euros = make.invoice(number="1", currency="EUR")
    dollars = make.invoice(number="2", currency="USD")
    void = make.invoice(number="3", currency="EUR", void=True)
    for invoice, amount, day in (
        (euros, "10", "2026-03-01"),
        (euros, "5.50", "2026-03-31"),
        (euros, "7", "2025-04-01"),
        (euros, "9", "2025-03-31"),
        (dollars, "100", "2026-03-02"),
        (void, "50", "2026-03-02"),
    ):
        Payment.objects.create(
            invoice=invoice, amount=Decimal(amount), paid_on=dt.date.fromisoformat(day), person=member
        )
    found = values(reports.spend("EUR", TODAY))
    assert len(found) == 12
    assert (found["03/26"], found["04/25"]) == (Decimal("15.50"), Decimal(7))
    assert sum(found.values()) == Decimal("22.50")


def test_the_other_figures(make: Any) -> None:
    from guestpost_crm.outreach.services import reports

    make.site(niche="Travel", price=Decimal(100), currency="EUR")
    make.site(niche="Travel", price=Decimal(101), currency="EUR")
    make.site(niche="Travel", price=Decimal(900), currency="USD")
    make.site(niche="Food", price=Decimal(50), currency="EUR")
    make.site(niche="Food", price=Decimal(1), currency="EUR", archived=True)
    assert values(reports.price_by_niche("EUR")) == {
        "Travel (2)": Decimal("100.50"),
        "Food (1)": Decimal("50.00"),
    }
    for days, stage in ((0, "published"), (3, "paid"), (4, "paid"), (40, "lost")):
        make.order(stage=stage, agreed_on=TODAY, published_on=TODAY + dt.timedelta(days=days))
    make.order(stage="agreed", agreed_on=TODAY)
    points, average = reports.turnaround()
    assert values(points) == {"0-3": 2, "4-7": 1, "8-14": 0, "15-30": 0, "31+": 1}
    assert average == "11.8 days on average"
    assert values(reports.by_stage())["Paid"] == 2
    make.placement(state="live")
    make.placement(state="lost")
    make.placement(state="live")
    assert values(reports.placements()) == {"Live": 2, "Lost": 1}


def test_the_page_says_in_a_table_what_the_plot_shows(make: Any, page: Any) -> None:
    assert page.get("/reports").status_code == 200
    make.site(niche="<Travel>", price=Decimal(100), currency="EUR")
    make.order(stage="writing", price=Decimal(10), currency="EUR")
    text = page.get("/reports?currency=EUR").content.decode()
    document = html.fromstring(text)
    plots = document.xpath("//svg[@role='img']")
    assert plots
    assert any("<Travel> (1): €100" in plot.get("aria-label") for plot in plots)
    cells = [each.text_content().strip() for each in document.xpath("//table//td | //table//th")]
    assert "<Travel> (1)" in cells
    assert "€100" in cells
    assert page.get("/reports?currency=%3Cscript%3E").status_code == 200
