"""A tenant is made by a form that the API server checks; pages fit, and outlive one that is away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from staff_at_work import Cluster
from staff_pages import As, Check, fill, on_tenant, sign_in


def test_a_tenant_is_made_by_the_form(signed_in: As, world: Cluster, name: str, is_fine: Check) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    page.get_by_label("Plan").select_option("Growth")
    text = page.get_by_role("region", name="The tenant as YAML")
    expect(text).to_contain_text(f"name: {name}")
    expect(text).to_contain_text("plan: Growth")
    is_fine(page)
    page.get_by_role("button", name="Create the tenant").click()
    page.wait_for_url(on_tenant(name))
    expect(page.locator("#notices")).to_contain_text(f"Tenant {name} is made")
    made = world.get(name)
    assert made["spec"]["plan"] == "Growth"
    assert made["spec"]["release"] == {"channel": "Stable"}
    managers = {each["manager"] for each in made["metadata"]["managedFields"]}
    assert "guestpost-dashboard" in managers


def test_what_is_wrong_is_said_while_one_types(signed_in: As, name: str) -> None:
    """By the API server, in its words, beside the field; nothing is made."""
    page = signed_in("provisioner")
    fill(page, name)
    page.get_by_label("Hostname").fill("https://crm.acme.example/")
    expect(page.locator("#wrong-spec-hostname")).to_contain_text("must be a full DNS name in lower case")
    page.get_by_label("Hostname").fill("crm.acme.example")
    expect(page.locator("#wrong-spec-hostname")).to_be_empty()
    page.get_by_label("State").select_option("Suspended")
    expect(page.locator("#wrong-spec-suspendReason")).to_contain_text("needs spec.suspendReason")


def test_a_form_that_nobody_touched_blames_nobody(signed_in: As) -> None:
    page = signed_in("provisioner")
    with page.expect_response("**/new/check") as checked:
        page.goto("/new")
    assert checked.value.status == 200
    checked.value.finished()
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text("kind: GuestPostTenant")
    assert [each for each in page.locator(".wrong").all_inner_texts() if each] == []
    expect(page.locator("#general")).to_be_empty()
    # Who sends it is told what is needed.
    page.get_by_role("button", name="Create the tenant").click()
    expect(page.locator("#wrong-metadata-name")).to_have_text("This is needed.")


def test_a_form_that_is_refused_keeps_what_was_typed(signed_in: As, world: Cluster, name: str) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    page.get_by_label("Google project").fill("Acme Prod!")
    page.get_by_role("button", name="Create the tenant").click()
    expect(page.locator("#wrong-spec-googleProject")).to_contain_text("must be a project id")
    expect(page.get_by_label("Google project")).to_have_value("Acme Prod!")
    expect(page.get_by_role("group", name="Owner").get_by_label("Email")).to_have_value("anna@acme.example")
    world.tenant(name, served=False)
    page.get_by_label("Google project").fill("acme-crm-prod")
    page.get_by_role("button", name="Create the tenant").click()
    expect(page.locator("#wrong-metadata-name")).to_contain_text("There is one of that name already")


def test_the_yaml_is_downloaded_for_git(signed_in: As, world: Cluster, name: str) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    with page.expect_download() as found:
        page.get_by_role("button", name="Download YAML").click()
    assert found.value.suggested_filename == f"{name}.yaml"
    text = Path(found.value.path()).read_text(encoding="utf-8")
    world.create(text)
    assert world.get(name)["spec"]["owner"]["email"] == "anna@acme.example"


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_who_may_not_make_tenants_is_told_by_the_api_server(signed_in: As, role: str) -> None:
    page = signed_in(role)
    expect(page.get_by_role("link", name="New tenant")).to_have_count(0)
    answer = page.goto("/new")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("main")).to_contain_text(
        f'User "system:serviceaccount:guestpost-system:{role}" cannot create resource "guestposttenants"'
    )


def test_a_form_outlives_an_api_server_that_is_away(
    signed_in: As, world: Cluster, name: str, mended: Any
) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text(name)
    mended.cut = True
    page.get_by_label("Plan").select_option("Scale")
    expect(page.locator("#general")).to_contain_text("The API server does not answer")
    page.get_by_role("button", name="Create the tenant").click()
    expect(page.locator("#general")).to_contain_text("What you typed is still here")
    expect(page.get_by_label("Plan")).to_have_value("Scale")
    mended.cut = False
    page.get_by_role("button", name="Create the tenant").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["plan"] == "Scale"


def test_what_nobody_answered_is_checked_again_by_itself(signed_in: As, name: str, mended: Any) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    mended.cut = True
    page.get_by_label("Hostname").fill("https://crm.acme.example/")
    expect(page.locator("#general")).to_contain_text("The API server does not answer")
    mended.cut = False
    expect(page.locator("#wrong-spec-hostname")).to_contain_text("must be a full DNS name in lower case")
    expect(page.locator("#general")).to_be_empty()


def test_a_form_outlives_the_end_of_the_session(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    page = signed_in("provisioner")
    fill(page, name)
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text(name)
    page.context.clear_cookies()
    page.get_by_label("Plan").select_option("Scale")
    expect(page.locator("#notices")).to_contain_text("Sign in again")
    is_fine(page)
    page.get_by_role("button", name="Create the tenant").click()
    page.get_by_label("Token of the API server").fill(world.world.token("provisioner"))
    page.get_by_role("button", name="Sign in").click()
    # Back at the form, with everything that was typed.
    expect(page.get_by_text("What you typed before is here again.")).to_be_visible()
    expect(page.get_by_label("Plan")).to_have_value("Scale")
    page.get_by_role("button", name="Create the tenant").click()
    page.wait_for_url(on_tenant(name))
    assert world.get(name)["spec"]["plan"] == "Scale"
    page.goto("/new")
    expect(page.get_by_label("Plan")).to_have_value("Starter")


def test_what_somebody_typed_is_not_shown_to_who_signs_in_after_them(
    signed_in: As, world: Cluster, name: str
) -> None:
    world.world.account(f"other-{name}", "provisioner")
    page = signed_in("provisioner")
    fill(page, name)
    # An answer that is still on its way would bring the session back.
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text("acme-crm-prod")
    page.context.clear_cookies()
    sign_in(page, world.world.token(f"other-{name}"))
    page.goto("/new")
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text("kind: GuestPostTenant")
    expect(page.get_by_label("Google project")).to_have_value("")


PAGES = (
    "/new",
    "/tenants/{name}/edit",
    "/tenants/{name}/edit?as=yaml",
    "/tenants/{name}/do/erase",
    "/releases",
)


def test_pages_fit_and_are_accessible(
    signed_in: As, world: Cluster, name: str, faults_everywhere: Callable[[Page], list[str]]
) -> None:
    world.tenant(name)
    page = signed_in("provisioner")
    for path in PAGES:
        page.goto(path.format(name=name))
        assert faults_everywhere(page) == []
