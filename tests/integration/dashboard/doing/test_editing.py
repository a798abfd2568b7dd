"""An edit is a diff before it is applied, and nobody's change is overwritten."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from staff_at_work import Cluster
from staff_pages import As, Check, on_tenant


def test_an_edit_is_shown_as_a_diff_before_it_is_applied(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit")
    expect(page.get_by_label("Region")).to_have_attribute("readonly", "")
    page.get_by_label("Plan").select_option("Scale")
    change = page.get_by_role("region", name="What changes")
    expect(change).to_contain_text("-  plan: Starter")
    page.get_by_role("button", name="Review the change").click()
    expect(page.get_by_role("heading", name="Review the change")).to_be_visible()
    expect(page.get_by_role("region", name="What changes")).to_contain_text("+  plan: Scale")
    is_fine(page)
    # A status that is written meanwhile is in nobody's way.
    world.status(name, phase="Degraded")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["plan"] == "Scale"


def test_yaml_is_edited_too(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit?as=yaml")
    box = page.get_by_label("The tenant")
    text = box.input_value()
    assert "resourceVersion" not in text
    assert "status:" not in text
    box.fill(text.replace("plan: Starter", "plan: [Starter"))
    expect(page.locator("#wrong-yaml")).to_contain_text("this is no YAML in line")
    box.fill(text.replace("plan: Starter", "plan: Huge"))
    page.get_by_role("button", name="Review the change").click()
    expect(page.locator("#wrong-yaml")).to_contain_text("Unsupported value")
    box.fill(text.replace(f"name: {name}\n", f"name: {name}\n  labels:\n    team: blue\n", 1))
    page.get_by_role("button", name="Review the change").click()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["metadata"]["labels"] == {"team": "blue"}


def test_who_was_faster_is_shown_and_not_overwritten(signed_in: As, world: Cluster, name: str) -> None:
    """Another value that changed between the review and applying: shown, and kept."""
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit")
    page.get_by_label("Plan").select_option("Growth")
    page.get_by_role("button", name="Review the change").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    world.patch(name, hostname="crm.acme.example")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Somebody has changed it since you looked")).to_be_visible()
    expect(page.get_by_role("region", name="What others changed")).to_contain_text(
        "+  hostname: crm.acme.example"
    )
    assert world.get(name)["spec"]["plan"] == "Starter"
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(name))
    spec = world.get(name)["spec"]
    assert (spec["plan"], spec["hostname"]) == ("Growth", "crm.acme.example")


@pytest.mark.parametrize(
    ("choice", "plan"), [("stays as somebody else", "Scale"), ("becomes yours", "Growth")]
)
def test_a_conflict_is_decided_by_a_person(
    signed_in: As, world: Cluster, name: str, choice: str, plan: str, is_fine: Check
) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit")
    page.get_by_label("Plan").select_option("Growth")
    world.patch(name, plan="Scale")
    page.get_by_role("button", name="Review the change").click()
    expect(page.get_by_role("heading", name="Somebody else changed the same")).to_be_visible()
    conflict = page.get_by_role("group", name="spec.plan")
    expect(conflict).to_contain_text("It was Starter when you began")
    is_fine(page)
    conflict.get_by_label(re.compile(choice)).check()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Review the change")).to_be_visible()
    if plan == "Growth":
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["plan"] == plan


def test_what_is_typed_again_after_a_reload_overwrites_nothing_either(
    signed_in: As, world: Cluster, name: str
) -> None:
    """What it was typed on top of is kept with it."""
    world.tenant(name)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit")
    page.get_by_label("Hostname").fill("crm.acme.example")
    world.patch(name, plan="Scale")
    page.reload()
    expect(page.get_by_text("What you typed before is here again.")).to_be_visible()
    page.get_by_role("button", name="Review the change").click()
    others = page.get_by_role("region", name="What others changed")
    expect(others).to_contain_text("+  plan: Scale")
    change = page.get_by_role("region", name="What changes")
    expect(change).to_contain_text("+  hostname: crm.acme.example")
    expect(change).not_to_contain_text("-  plan: Scale")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(name))
    spec = world.get(name)["spec"]
    assert (spec["plan"], spec["hostname"]) == ("Scale", "crm.acme.example")


def test_a_tenant_that_went_meanwhile_is_told_and_what_was_typed_is_kept(
    signed_in: As, world: Cluster, name: str
) -> None:
    world.tenant(name, served=False)
    page = signed_in("provisioner")
    page.goto(f"/tenants/{name}/edit")
    page.get_by_label("Plan").select_option("Growth")
    world.delete(name)
    page.get_by_role("button", name="Review the change").click()
    expect(page.locator("#general")).to_contain_text(f'"{name}" not found')
    expect(page.get_by_label("Plan")).to_have_value("Growth")


def test_a_viewer_edits_nothing(signed_in: As, world: Cluster, name: str) -> None:
    world.tenant(name)
    page = signed_in("viewer")
    page.goto(f"/tenants/{name}")
    expect(page.get_by_text("You may look at this tenant, and change nothing of it.")).to_be_visible()
    answer = page.goto(f"/tenants/{name}/edit")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("main")).to_contain_text('cannot patch resource "guestposttenants"')
