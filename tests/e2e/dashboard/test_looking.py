"""What staff see of a real tenant: in the fleet and by itself, whatever their role."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until
from playwright.sync_api import expect
from staff_pages import As, Check, sign_in


def test_signing_in_and_out(signed_in: As, token: Callable[[str], str], tenant: Any, is_fine: Check) -> None:
    page = signed_in()
    page.goto(f"/tenants/{tenant.name}")
    is_fine(page)
    page.get_by_label("Token of the API server").fill("not-a-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#problem")).to_contain_text("does not know this token")
    is_fine(page)
    sign_in(page, token("viewer"))
    cookies = {each["name"]: each for each in page.context.cookies()}
    assert all(each["httpOnly"] and each["sameSite"] in ("Lax", "Strict") for each in cookies.values())
    page.locator(".account > summary").click()
    expect(page.locator(".account")).to_contain_text("system:serviceaccount:desk:viewer")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#notices")).to_contain_text("You are signed out.")
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in"))


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_the_fleet_is_searched_filtered_and_sorted(
    signed_in: As, tenant: Any, role: str, is_fine: Check
) -> None:
    page = signed_in(role)
    rows = page.locator("#rows tr")
    page.get_by_role("searchbox").fill(tenant.name)
    expect(page).to_have_url(re.compile(rf"q={tenant.name}$"))
    expect(rows).to_have_count(1)
    expect(page.locator(f"#t-{tenant.name}")).to_contain_text("Running")
    page.locator("summary", has_text="Region").click()
    page.get_by_role("link", name="europe-west1").click()
    expect(page).to_have_url(re.compile(rf"q={tenant.name}&region=europe-west1"))
    page.get_by_role("link", name=re.compile("^Tenant")).click()
    expect(page).to_have_url(re.compile("sort=-name"))
    expect(rows).to_have_count(1)
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="Host").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("#rows")).to_contain_text(f"{tenant.name}.localhost")
    address = page.url
    page.reload()
    assert page.url == address
    expect(rows).to_have_count(1)
    is_fine(page)
    # Who may change nothing is offered nothing.
    expect(page.get_by_text("With several tenants")).to_have_count(0)
    expect(page.get_by_role("link", name="New tenant")).to_have_count(0)
    page.goto("/")
    expect(page.locator(".tiles")).to_contain_text("Tenants")
    is_fine(page)


@pytest.mark.promise("P6.1")
@pytest.mark.promise("P7.1")
def test_one_tenant_whole(signed_in: As, tenant: Any, platform: Platform, is_fine: Check) -> None:
    """Its conditions, parts and numbers, as they are on the cluster, and nothing of what it holds."""
    where = ("tenantusage", "usage", "-n", f"gpt-{tenant.name}")
    told = until("the numbers to be told", lambda: platform.get(*where), seconds=60)["status"]
    page = signed_in("viewer")
    page.goto(f"/tenants/{tenant.name}")
    main = page.get_by_role("main")
    for said in (
        "Ready: True", "DatabaseReady: True", "MessagingReady: True", f"Olive Owner <{tenant.owner}>",
        f"gpt-{tenant.name}", tenant.status["messaging"]["topic"], "Release history",
        "Nobody asked to be let in.",
    ):  # fmt: skip
        expect(main).to_contain_text(said)
    made_of = page.get_by_role("region", name=re.compile("^Table of "))
    for kind in ("clusters", "services", "networkpolicies", "persistentvolumeclaims"):
        expect(made_of.and_(page.get_by_label(f"Table of {kind}"))).to_be_visible()
    # Pods carry secrets in their environment, and are nobody's to see here.
    expect(main).to_contain_text("You may not list")
    expect(page.get_by_role("region", name="Events")).to_be_visible()
    usage = page.get_by_role("region", name="Usage")
    expect(usage).to_contain_text("Database")
    people = usage.locator("div").filter(has_text="People")
    expect(people).to_contain_text(str(told["people"]))
    page.locator("summary", has_text="YAML").click()
    expect(page.locator("pre.yaml")).to_contain_text("kind: GuestPostTenant")
    is_fine(page)
    with page.expect_download() as found:
        page.get_by_role("link", name="Download").click()
    assert found.value.suggested_filename == f"{tenant.name}.yaml"


def test_who_has_no_role_sees_nothing(signed_in: As, tenant: Any, is_fine: Check) -> None:
    page = signed_in("nobody")
    for address in ("/", f"/tenants/{tenant.name}", "/releases", "/new"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 403, address
        assert tenant.owner not in page.content()
        expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    is_fine(page)
