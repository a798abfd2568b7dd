"""Staff make a tenant by the form, see it come, see to several, suspend, resume and hibernate it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from google_standin.testing import Control
from guestpost_demo.platform import Platform
from playwright.sync_api import Locator, Page, expect
from staff_pages import As, Check, do, fill, suspend

# From a form to pods that serve takes half a minute; the rest seconds.
READY = 180_000


def test_staff_make_a_tenant_and_see_to_it(
    platform: Platform, control: Control, tenant: Any, signed_in: As, is_fine: Check
) -> None:
    name = f"d{uuid.uuid4().hex[:8]}"
    control.account(f"owner@{name}.example", "Anna Reyes")
    page = signed_in("provisioner")
    fill_in(page, name)
    is_fine(page)
    page.get_by_role("button", name="Create the tenant").click()
    try:
        state = page.get_by_role("heading", level=1).locator(".state").first
        # Nothing is reloaded: the page follows what the operator does.
        expect(state).to_have_text("Running", timeout=READY)
        look_at_both(page, name, tenant.name, is_fine)
        page.goto(f"/tenants/{name}")
        change_state(page, state, is_fine)
        # The API server wrote down where it was changed.
        fields = platform.get("guestposttenant", name, "--show-managed-fields")["metadata"]["managedFields"]
        assert "guestpost-dashboard" in {each["manager"] for each in fields}
    finally:
        platform.kubectl("delete", "guestposttenant", name, "--ignore-not-found", "--wait=false")


def fill_in(page: Page, name: str) -> None:
    """The form is checked by the API server while one types, and its YAML can be kept in Git."""
    fill(page, name, f"owner@{name}.example", "guestpost-dev")
    page.get_by_label("Hostname").fill("https://crm.acme.example/")
    expect(page.locator("#wrong-spec-hostname")).to_contain_text("must be a full DNS name in lower case")
    page.get_by_label("Hostname").fill("")
    expect(page.locator("#wrong-spec-hostname")).to_be_empty()
    page.get_by_text("Deletion", exact=True).click()
    page.get_by_label("Final export").select_option("Skip")
    expect(page.get_by_role("region", name="The tenant as YAML")).to_contain_text("finalExport: Skip")
    with page.expect_download() as found:
        page.get_by_role("button", name="Download YAML").click()
    assert f"name: {name}" in Path(found.value.path()).read_text(encoding="utf-8")


def look_at_both(page: Page, name: str, other: str, is_fine: Check) -> None:
    """Several tenants at once, with a result for each; one is not there any more."""
    page.goto("/")
    for each in (name, other):
        page.get_by_label(f"Choose {each}", exact=True).check()
    page.get_by_text("With several tenants").click()
    page.get_by_role("button", name="Look at them now").click()
    is_fine(page)
    page.get_by_role("button", name="Look at it now with 2").click()
    expect(page.get_by_role("status").last).to_contain_text("finished")
    results = page.locator("#results li")
    for each in (name, other):
        expect(results.filter(has_text=each)).to_contain_text("Done")
    is_fine(page)
    page.goto(f"/do/reconcile?tenant={name}&tenant={name}-never")
    page.get_by_role("button", name="with 2").click()
    expect(results.filter(has_text=f"{name}-never")).to_contain_text("Not there any more")


def change_state(page: Page, state: Locator, is_fine: Check) -> None:
    """Suspended, back, and to sleep; the operator does it, and the page follows."""
    suspend(page, "The invoice of May is open.")
    expect(state).to_have_text("Suspended", timeout=READY)
    is_fine(page)
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("Running", timeout=READY)
    do(page, "Hibernate")
    expect(state).to_have_text("Hibernating", timeout=READY)
