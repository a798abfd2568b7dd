"""Placed links: when they are looked at, when one counts as lost, and who is told."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from guestpost_demo.waiting import until

NOW = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)


def look(outcome: str, *problems: str) -> Any:
    from guestpost_crm.outreach.services import placements

    return placements.Look(outcome, problems, {"problems": list(problems)})


def looked(outcomes: str) -> list[str]:
    """The states that a placement goes through; one letter a look: Live, Changed, Missing, Unreachable."""
    from guestpost_crm.outreach.services import placements

    words = {"L": "live", "C": "changed", "M": "missing", "U": "unreachable"}
    standing = placements.Standing("unchecked", was_live=False, misses=0, failures=0)
    states = []
    for letter in outcomes:
        standing = placements.decide(standing, words[letter])
        states.append(str(standing.state))
    return states


@pytest.mark.parametrize(
    ("outcomes", "last"),
    [
        ("L", "live"),
        ("C", "changed"),
        ("M", "never"),
        ("MMMM", "never"),
        ("U", "unreachable"),
        ("UUUUUUUUUU", "unreachable"),
        ("LM", "missing"),
        ("LMM", "lost"),
        ("LMUM", "lost"),
        ("LML", "live"),
        ("LMLM", "missing"),
        ("LUUUUUU", "unreachable"),
        ("LUUUUUUU", "lost"),
        ("LUUUUUULU", "unreachable"),
        ("LMMU", "lost"),
        ("LMMM", "lost"),
        ("LMML", "live"),
        ("LMMC", "changed"),
    ],
)
def test_what_looks_make_of_a_placement(crm_database: Any, outcomes: str, last: str) -> None:
    assert looked(outcomes)[-1] == last


@pytest.mark.parametrize(
    ("outcomes", "hours"), [("L", 24), ("LM", 1), ("LMM", 168), ("U", 1), ("UU", 24), ("MMM", 168), ("C", 24)]
)
def test_when_it_is_looked_at_again(crm_database: Any, outcomes: str, hours: int) -> None:
    from guestpost_crm.outreach.services import placements

    words = {"L": "live", "C": "changed", "M": "missing", "U": "unreachable"}
    standing = placements.Standing("unchecked", was_live=False, misses=0, failures=0)
    for letter in outcomes:
        standing = placements.decide(standing, words[letter])
    assert placements.next_look(standing) == dt.timedelta(hours=hours)


def test_a_lost_link_raises_the_alert_and_one_that_is_back_ends_it(make: Any, page: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.services import placements

    order = make.order(make.site("site.example"), stage="published")
    placement = make.placement(order=order, state="live", was_live=True)
    for outcome in ("missing", "missing"):
        placement.refresh_from_db()
        placements.looked(placement, look(outcome, "missing"), NOW)
    order.refresh_from_db()
    placement.refresh_from_db()
    assert (placement.state, placement.lost_at, order.link_lost) == ("lost", NOW, True)
    assert AuditEvent.objects.get(action="placement.lost").person is None
    for address in ("/orders", "/orders/list?lost=on", f"/orders/{order.pk}", "/placements?show=lost"):
        assert "ost" in page.get(address).content.decode()
    assert "Link lost" in page.get("/orders").content.decode()
    assert "The link is not on the page." in page.get(f"/placements/{placement.pk}").content.decode()
    placements.looked(placement, look("live"), NOW)
    order.refresh_from_db()
    placement.refresh_from_db()
    assert (placement.state, placement.lost_at, order.link_lost) == ("live", None, False)
    fields = [(each.field, each.person, each.old, each.new) for each in order.changes.order_by("pk")]
    assert fields == [("link_lost", None, "False", "True"), ("link_lost", None, "True", "False")]


def test_the_alert_stands_on_every_page_until_somebody_deals_with_it(make: Any, page: Any) -> None:
    make.placement(state="live")
    assert "1 link is lost" not in page.get("/").content.decode()
    placement = make.placement(state="lost", was_live=True)
    for address in ("/", "/sites", "/account"):
        assert "1 link is lost" in page.get(address).content.decode()
    page.post(f"/placements/{placement.pk}/check", {"what": "stop"})
    assert "1 link is lost" not in page.get("/").content.decode()


def test_every_look_is_kept_in_the_history_up_to_a_bound(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm.outreach.services import placements

    monkeypatch.setattr(placements, "KEPT", 3)
    placement = make.placement()
    for number in range(5):
        placements.looked(placement, look("live"), NOW + dt.timedelta(days=number))
        placement.refresh_from_db()
    kept = [check.at.day for check in placement.checks.all()]
    assert kept == [5, 4, 3]


def test_the_one_that_waited_longest_is_looked_at_first_and_by_one_alone(make: Any) -> None:
    from guestpost_crm.outreach.services import placements

    late = make.placement(next_check_at=NOW - dt.timedelta(hours=3))
    early = make.placement(next_check_at=NOW - dt.timedelta(hours=5))
    make.placement(next_check_at=NOW + dt.timedelta(seconds=1))
    make.placement(next_check_at=None)
    assert placements.claim(NOW) == early
    assert placements.claim(NOW) == late
    assert placements.claim(NOW) is None
    # Whoever took it may have died: it is due again when the lease is over.
    assert placements.claim(NOW + placements.LEASE) is not None


def test_two_processes_never_take_the_same_placement(make: Any) -> None:
    from django.db import connection
    from guestpost_crm.outreach.services import placements

    for _ in range(20):
        make.placement(next_check_at=NOW)
    taken: list[int] = []

    def work() -> None:
        while (placement := placements.claim(NOW)) is not None:
            taken.append(placement.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 20


def test_what_a_person_changes_during_a_look_counts(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Placement
    from guestpost_crm.outreach.services import placements

    make.placement(next_check_at=NOW)
    claimed = placements.claim(NOW)
    assert claimed is not None
    changed = Placement.objects.get()
    changed.url = "https://site.example/moved"
    placements.save(member, changed)
    placements.looked(claimed, look("missing", "missing"), NOW)
    stored = Placement.objects.get()
    assert (stored.state, stored.checks.count()) == ("unchecked", 0)
    assert stored.next_check_at == changed.next_check_at


def test_one_that_is_stopped_stays_stopped_and_ends_its_alert(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.services import placements

    order = make.order(link_lost=True)
    placement = make.placement(order=order, state="lost", was_live=True)
    claimed = placements.claim(make.moment(1))
    placements.stop(member, placement)
    order.refresh_from_db()
    assert order.link_lost is False
    placements.looked(claimed, look("missing", "missing"), NOW)
    placement.refresh_from_db()
    order.refresh_from_db()
    assert placement.next_check_at is None
    assert order.link_lost is False


def test_the_sync_process_looks_writes_and_goes_on_whatever_a_page_is(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.outreach.checker import Checker
    from guestpost_crm.outreach.linkcheck.client import Fetched, FetchError
    from guestpost_crm.outreach.models import Placement

    answers: dict[str, Any] = {
        "https://site.example/good": Fetched(
            "https://site.example/good", 200, {}, b'<a href="https://ours.example/">shoes</a>'
        ),
        "https://site.example/gone": Fetched("https://site.example/gone", 404, {}, b""),
        "https://site.example/down": FetchError("no-answer"),
        "https://site.example/evil": RuntimeError("a page that breaks the parser"),
    }

    class Client:
        def fetch(self, url: str) -> Any:
            if isinstance(answers[url], Exception):
                raise answers[url]
            return answers[url]

    for url in answers:
        make.placement(url=url, anchor="shoes")
    checker = Checker(Client())  # type: ignore[arg-type]
    while checker.step():
        pass
    states = {placement.url.rpartition("/")[2]: placement.state for placement in Placement.objects.all()}
    assert states == {"good": "live", "gone": "never", "down": "unreachable", "evil": "unreachable"}
    good = Placement.objects.get(url__endswith="good")
    assert good.checks.get().findings["anchor"] == "shoes"


def test_the_thread_of_the_sync_process_ends_when_told_and_closes_offers(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.checker import Checker
    from guestpost_crm.outreach.models import Offer

    make.offer(member, expires_on=make.day(-1))
    checker = Checker()
    checker.start()
    until("the offer to expire", lambda: Offer.objects.get().state == "expired", seconds=20)
    checker.end()
    checker.join(10)
    assert not checker.is_alive()


def test_pages_of_placements(make: Any, page: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Placement

    site = make.site("site.example")
    typed = {
        "site": "site.example",
        "url": "site.example/post",
        "target_url": "ours.example",
        "rel": "dofollow",
    }
    answer = page.post("/placements/new", {**typed, "url": "no address", "anchor": "kept"})
    assert answer.status_code == 422
    assert "kept" in answer.content.decode()
    assert page.post("/placements/new", typed).status_code == 302
    placement = Placement.objects.get()
    assert (placement.site, placement.url) == (site, "https://site.example/post")
    Placement.objects.update(next_check_at=None)
    page.post(f"/placements/{placement.pk}/check", {"what": "now"})
    placement.refresh_from_db()
    assert placement.next_check_at is not None
    changed = {**typed, "anchor": "shoes"}
    assert page.post(f"/placements/{placement.pk}/edit", changed).status_code == 302
    placement.refresh_from_db()
    assert placement.anchor == "shoes"
