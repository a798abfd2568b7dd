"""The rollout is paused and started by those who may, and nobody overwrites what somebody else wrote."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from staff_at_work import Cluster
from staff_pages import As, Check, sent

WHY = "Ticket 7: mail stands still since 2.1.0."


@pytest.fixture(autouse=True)
def going(world: Cluster) -> Iterator[None]:
    """Not paused, before and after."""
    world.say("false")
    yield
    world.say("false")


def pause(page: Page, reason: str) -> None:
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Pause").click()


def test_a_provisioner_pauses_with_a_reason_and_starts_again(
    signed_in: As, world: Cluster, is_fine: Check
) -> None:
    page = signed_in("provisioner")
    page.goto("/releases")
    rollout = page.get_by_role("region", name="Rollout")
    expect(rollout).to_contain_text("Not paused")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#wrong-reason")).to_contain_text("This is needed.")
    assert world.rollout()["paused"] == "false"
    is_fine(page)
    pause(page, WHY)
    expect(page.locator("#notices")).to_contain_text("The rollout is paused")
    expect(rollout).to_contain_text(f"ago): {WHY}")
    assert world.rollout() == {"paused": "true", "reason": WHY}
    is_fine(page)
    page.reload()
    page.get_by_role("button", name="Start or resume").click()
    expect(page.locator("#notices")).to_contain_text("goes on within seconds")
    expect(rollout).to_contain_text("Not paused")
    assert world.rollout() == {"paused": "false", "reason": ""}
    # What was typed is not typed again.
    expect(page.get_by_label("Reason")).to_have_value("")


def test_who_was_faster_is_shown_and_not_overwritten(signed_in: As, world: Cluster, is_fine: Check) -> None:
    page = signed_in("provisioner")
    page.goto("/releases")
    world.say("true", "Ticket 8")
    pause(page, WHY)
    expect(page.locator("#general")).to_contain_text("Somebody was faster")
    expect(page.get_by_role("region", name="Rollout")).to_contain_text("Ticket 8")
    assert world.rollout()["reason"] == "Ticket 8"
    is_fine(page)
    # Another pause by now: whoever starts it has not seen why.
    world.say("true", "Ticket 9")
    page.get_by_role("button", name="Start or resume").click()
    expect(page.locator("#general")).to_contain_text("Somebody was faster")
    assert world.rollout() == {"paused": "true", "reason": "Ticket 9"}
    page.get_by_role("button", name="Start or resume").click()
    expect(page.locator("#notices")).to_contain_text("goes on")
    assert world.rollout()["paused"] == "false"
    # What names no version overwrites nothing.
    assert sent(page, "/releases", paused="true", reason=WHY)[0] == 409
    assert world.rollout()["paused"] == "false"


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("role", ["viewer", "support"])
def test_who_may_not_pause_sees_why_it_is_paused_and_is_refused_by_the_api_server(
    signed_in: As, world: Cluster, role: str, is_fine: Check
) -> None:
    world.say("true", WHY)
    page = signed_in(role)
    page.goto("/releases")
    rollout = page.get_by_role("region", name="Rollout")
    expect(rollout).to_contain_text(WHY)
    expect(rollout.get_by_role("button")).to_have_count(0)
    is_fine(page)
    seen = str(
        world.world.core.read_namespaced_config_map("rollout", "guestpost-system").metadata.resource_version
    )
    status, said = sent(page, "/releases", paused="false", seen=seen)
    assert (status, 'cannot patch resource "configmaps"' in html.unescape(said)) == (403, True)
    assert world.rollout() == {"paused": "true", "reason": WHY}


def test_strange_words_are_told_and_ended(signed_in: As, world: Cluster) -> None:
    world.say("off", "Ticket 7")
    page = signed_in("provisioner")
    page.goto("/releases")
    rollout = page.get_by_role("region", name="Rollout")
    expect(rollout).to_contain_text("says paused: off, which is neither true nor false")
    page.get_by_role("button", name="Start or resume").click()
    expect(rollout).to_contain_text("Not paused")


def test_where_it_is_not_there_or_not_to_be_seen_the_page_says_so(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    core = world.world.core
    core.delete_namespaced_config_map("rollout", "guestpost-system")
    try:
        page = signed_in("provisioner")
        page.goto("/releases")
        expect(page.get_by_role("main")).to_contain_text('can\'t be told: configmaps "rollout" not found')
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
        is_fine(page)
    finally:
        body = {"metadata": {"name": "rollout"}, "data": {"paused": "false", "reason": ""}}
        core.create_namespaced_config_map("guestpost-system", body)
