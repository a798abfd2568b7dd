"""Each job with one tenant, as each role; the forbidden ones are refused in the API server's words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect
from staff_at_work import Cluster
from staff_pages import FORBIDDEN, As, Check, ask_support, do, on_tenant, refused, request_erasure, suspend


def test_a_tenant_is_suspended_with_a_reason_resumed_and_hibernated(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}")
    page.get_by_role("link", name="Suspend").click()
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#wrong-spec-suspendReason")).to_contain_text("This is needed.")
    is_fine(page)
    page.goto(f"/tenants/{name}")
    suspend(page, "The invoice of May is open.")
    page.wait_for_url(on_tenant(name))
    spec = world.get(name)["spec"]
    assert (spec["state"], spec["suspendReason"]) == ("Suspended", "The invoice of May is open.")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#notices")).to_contain_text("Resume: asked for")
    assert world.get(name)["spec"]["state"] == "Running"
    assert "suspendReason" not in world.get(name)["spec"]
    do(page, "Hibernate")
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["state"] == "Hibernated"


def test_who_was_faster_with_a_job_is_shown_and_not_overwritten(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/suspend")
    world.patch(name, state="Suspended", suspendReason="The police asked for it.")
    # What is not overwritten is in nobody's way.
    world.patch(name, plan="Scale")
    page.get_by_label("Suspend reason").fill("The invoice of May is open.")
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#general")).to_contain_text("Somebody has changed it since you looked")
    others = page.get_by_role("region", name="What others changed")
    expect(others).to_contain_text("+  suspendReason: The police asked for it.")
    expect(others).not_to_contain_text("plan")
    expect(page.get_by_label("Suspend reason")).to_have_value("The invoice of May is open.")
    is_fine(page)
    assert world.get(name)["spec"]["suspendReason"] == "The police asked for it."
    # Who has seen it decides.
    page.get_by_role("button", name="Suspend").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["suspendReason"] == "The invoice of May is open."


def test_a_button_that_was_drawn_before_the_change_asks_first(
    signed_in: As, world: Cluster, name: str
) -> None:
    world.tenant(name, state="Suspended", suspendReason="The invoice of May is open.")
    page = signed_in("provisioner")
    # As if the news came late.
    page.route("**/streams/tenants/**", lambda route: route.abort())
    page.goto(f"/tenants/{name}")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    world.patch(name, suspendReason="The police asked for it.")
    page.get_by_role("button", name="Resume").click()
    others = page.get_by_role("region", name="What others changed")
    expect(others).to_contain_text("+  suspendReason: The police asked for it.")
    assert world.get(name)["spec"]["state"] == "Suspended"
    page.get_by_role("button", name="Resume").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["state"] == "Running"


def test_another_tenant_that_has_the_name_now_is_not_erased(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name, served=False)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/erase")
    world.delete(name)
    world.tenant(name, served=False)
    request_erasure(page, name, name)
    expect(page.locator("#general")).to_contain_text("another one has its name now")
    assert not world.get(name)["spec"]["deletion"].get("requested")


def test_a_job_outlives_an_api_server_that_is_away_and_a_tenant_that_went(
    signed_in: As, world: Cluster, name: str, mended: Any
) -> None:
    world.tenant(name, served=False)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/suspend")
    reason = page.get_by_label("Suspend reason")
    reason.fill("The invoice of May is open.")
    mended.cut = True
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#general")).to_contain_text("What you typed is still here")
    expect(reason).to_have_value("The invoice of May is open.")
    mended.cut = False
    world.delete(name)
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#general")).to_contain_text(f'"{name}" not found')
    expect(reason).to_have_value("The invoice of May is open.")


def test_an_export_is_asked_for_as_staff(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/export")
    box = page.get_by_label("Retention (seconds)")
    expect(box).to_have_value("604800")
    box.fill("60")
    page.get_by_role("button", name="Export").click()
    expect(page.locator("#wrong-spec-retentionSeconds")).to_contain_text("3600")
    box.fill("86400")
    page.get_by_role("button", name="Export").click()
    expect(page.locator("#notices")).to_contain_text("was asked for")
    (made,) = world.objects("tenantexports", name)
    assert made["spec"] == {"requestedBy": "Staff", "retentionSeconds": 86400}


def test_support_asks_to_be_let_in_and_withdraws_it(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    page = signed_in("support")
    page.goto(f"/tenants/{name}")
    page.get_by_role("link", name="Request support access").click()
    ask_support(page, "sam@support.example", "short")
    expect(page.locator("#wrong-spec-reason")).not_to_be_empty()
    ask_support(page, "sam@support.example", "Ticket 4711: no new mail since Monday.")
    expect(page.locator("#notices")).to_contain_text("the owner of")
    (made,) = world.objects("supportgrants", name)
    assert made["spec"] == {
        "subject": "sam@support.example",
        "reason": "Ticket 4711: no new mail since Monday.",
        "level": "Browse",
        "durationSeconds": 3600,
    }
    grant = made["metadata"]["name"]
    expect(page.get_by_role("region", name="Support access").first).to_contain_text("Requested")
    page.get_by_role("link", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(grant)
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("#notices")).to_contain_text(f"Grant {grant} of tenant {name} is withdrawn.")
    assert world.objects("supportgrants", name) == []


def test_an_erasure_wants_the_name_typed_and_is_taken_back(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    world.tenant(name, deletion={"protected": True})
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/erase")
    is_fine(page)
    request_erasure(page, name, name)
    expect(page.locator("#general")).to_contain_text("is protected from deletion")
    page.get_by_label("no longer protected").check()
    request_erasure(page, name, "another")
    expect(page.locator("#general")).to_contain_text("Nothing was done")
    assert (
        "requested" not in world.get(name)["spec"]["deletion"]
        or not world.get(name)["spec"]["deletion"]["requested"]
    )
    page.get_by_label("Grace period (seconds)").fill("86400")
    request_erasure(page, name, name)
    page.wait_for_url(on_tenant(name))
    asked = world.get(name)["spec"]["deletion"]
    assert (asked["protected"], asked["requested"], asked["gracePeriodSeconds"]) == (False, True, 86400)
    page.get_by_role("link", name="Take back the erasure").click()
    page.get_by_label("Protect it from deletion").check()
    page.get_by_role("button", name="Take back the erasure").click()
    page.wait_for_url(on_tenant(name))
    kept = world.get(name)["spec"]["deletion"]
    assert (kept["protected"], kept["requested"]) == (True, False)


def test_the_step_that_blocks_an_erasure_is_given_up(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    world.status(name, deletion={"startedAt": "2026-11-24T12:00:00Z", "blockedBy": "Messaging"})
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}")
    page.get_by_role("link", name="Give up the step that blocks").click()
    page.get_by_label("Reason").fill("project acme-old was shut down")
    page.get_by_label("Type Messaging").fill("Messaging")
    page.get_by_role("button", name="Give up the step that blocks").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["deletion"]["abandon"] == [
        {"step": "Messaging", "reason": "project acme-old was shut down"}
    ]


def test_the_operator_is_kept_away_and_asked_to_look(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/do/pause")
    page.get_by_role("button", name="Keep the operator away").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["metadata"]["annotations"]["guestpostcrm.com/paused"] == "true"
    page.get_by_role("button", name="Let the operator back").click()
    page.get_by_role("button", name="Look at it now").click()
    expect(page.locator("#notices")).to_contain_text("Look at it now")
    assert list(world.get(name)["metadata"]["annotations"]) == ["guestpostcrm.com/reconcile-requested-at"]


@pytest.mark.parametrize(("role", "job"), FORBIDDEN)
def test_what_a_role_may_not_is_refused_in_the_api_servers_words(
    signed_in: As, world: Cluster, name: str, role: str, job: str
) -> None:
    """The page that asks is refused, and so is what is sent without having seen it."""
    world.tenant(name)
    page = signed_in(role)
    before = world.get(name)
    status, said, sent = refused(page, f"/tenants/{name}/do/{job}?item=x", name)
    assert (status, sent) == (403, 403)
    assert re.search(r"cannot (create|patch|delete) resource", said), said
    assert world.get(name) == before
    assert world.objects("supportgrants", name) == world.objects("tenantexports", name) == []


def test_what_can_be_done_follows_the_tenant(signed_in: As, world: Cluster, name: str) -> None:
    """Nothing is reloaded: there is nothing to export before the tenant has a server."""
    world.tenant(name, served=False)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}")
    expect(page.get_by_role("link", name="Hibernate")).to_be_visible()
    expect(page.get_by_role("link", name="Export")).to_have_count(0)
    world.status(name)
    expect(page.get_by_role("link", name="Export")).to_be_visible()


def test_what_changed_while_the_page_came_is_shown(signed_in: As, world: Cluster, name: str) -> None:
    """After the page was drawn, and before it could be told of changes."""
    world.tenant(name, served=False)
    page = signed_in("provisioner")
    # The stream of changes begins when the change is over.
    page.route("**/streams/tenants/**", lambda route: (world.status(name), route.continue_()))
    page.goto(f"/tenants/{name}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")


def test_each_role_sees_the_jobs_that_it_may(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    seen = {}
    for role in ("viewer", "support", "provisioner"):
        page = signed_in(role)
        page.goto(f"/tenants/{name}/do")
        seen[role] = set(page.locator(".jobs").locator("a, button").all_inner_texts())
    assert seen["viewer"] == set()
    assert seen["support"] == {"Request support access"}
    assert {"Suspend", "Hibernate", "Export", "Hold at its version", "Request erasure"} <= seen["provisioner"]
    assert "Request support access" not in seen["provisioner"]
