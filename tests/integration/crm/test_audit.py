"""The audit page: what was done in people's words, by whom, on what; narrowed, in pages, in German too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def anna(person: Callable[..., Any]) -> Any:
    return person("owner", "Anna Reyes")


def record(*arguments: Any, **detail: Any) -> None:
    from guestpost_crm.audit.services import record as append

    append(*arguments, **detail)


def rows(page: Any, query: str = "") -> list[str]:
    """The lines of the page, each as its words."""
    from lxml import html

    document = html.document_fromstring(page.get(f"/audit{query}").content.decode())
    return [" ".join(row.text_content().split()) for row in document.xpath("//tbody/tr")]


def test_actions_are_told_in_words_with_names_and_links(
    make: Any, anna: Any, browser: Callable[[Any], Any]
) -> None:
    site, contact = make.site("site.example"), make.contact("bob@site.example")
    record(anna, "site.changed", f"site:{site.pk}", fields="niche,price,custom.tier")
    record(anna, "contact.merged", f"contact:{contact.pk}", dropped=7)
    record(None, "placement.lost", "placement:5")
    record(anna, "member.role-changed", f"person:{anna.pk}", role="manager")
    record(anna, "site.archived", "site:4711")
    record(anna, "erasure.requested", "tenant", last_export=True)
    record(anna, "export.requested", "export:export-20261124-1")
    page = browser(anna)
    told = rows(page)
    assert "Changed the site site.changed Anna Reyes site.example fields: niche, price, tier" in told[6]
    assert "Merged two contacts contact.merged Anna Reyes Bob Stone dropped: number: 7" in told[5]
    assert "The link is lost placement.lost the system Placement 5" in told[4]
    assert "Changed somebody's role member.role-changed Anna Reyes Anna Reyes role: Manager" in told[3]
    # What is gone is still told of, by its number.
    assert "Archived the site site.archived Anna Reyes Site 4711" in told[2]
    assert "with a last export: yes" in told[1]
    assert "Export export-20261124-1" in told[0]
    text = page.get("/audit").content.decode()
    assert f'href="/sites/{site.pk}"' in text
    assert 'href="/sites/4711"' not in text
    german = page.get("/audit", headers={"accept-language": "de"}).content.decode()
    assert "Der Link ist verloren" in german


def test_it_is_narrowed_by_person_area_and_day(make: Any, anna: Any, person: Any, browser: Any) -> None:
    tom = person("member", "Tom Hughes")
    record(anna, "site.created", "site:1")
    record(tom, "order.created", "order:1")
    record(None, "offer.expired", "offer:1")
    page = browser(anna)
    assert len(rows(page)) == 3
    assert "order.created" in rows(page, f"?who={tom.pk}")[0]
    assert len(rows(page, f"?who={tom.pk}")) == 1
    assert "offer.expired" in rows(page, "?who=system")[0]
    assert ["site.created" in each for each in rows(page, "?what=site")] == [True]
    assert rows(page, f"?until={make.day(-1)}") == []
    assert len(rows(page, f"?since={make.day(0)}")) == 3
    # What can't be read narrows nothing, and is said.
    for wrong in (
        "?who=nobody",
        "?what=all'--",
        "?since=yesterday",
        "?page=x",
        "?page=999999999999999999999",
    ):
        assert len(rows(page, wrong)) == 3, wrong


def test_its_pages_ask_the_database_as_often_however_much_there_is(
    make: Any, anna: Any, browser: Callable[[Any], Any], django_queries: Callable[..., Any]
) -> None:
    page = browser(anna)

    def queries() -> int:
        with django_queries() as found:
            page.get("/audit")
        return len(found)

    def some() -> None:
        for _ in range(20):
            site = make.site()
            record(anna, "site.created", f"site:{site.pk}")
            record(anna, "contact.created", f"contact:{make.contact().pk}")

    some()
    queries()  # the first look of a session notes that it is there
    first = queries()
    some()
    some()
    assert queries() == first
    assert len(rows(page)) == 50
    assert len(rows(page, "?page=3")) == 20


def test_usage_shows_names_and_numbers_to_who_manages(
    anna: Any, person: Any, browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.usage.models import Event
    from guestpost_crm.usage.services import count

    for _ in range(3):
        count(Event.SIGN_IN)
    text = browser(anna).get("/usage").content.decode()
    assert "3 in the last twelve weeks, 3 altogether" in text
    assert "Not once in the last twelve weeks." in text
    assert browser(person("member")).get("/usage").status_code == 403
