"""Several tenants at once, with a result for each; waves that are held and let go on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect
from staff_at_work import Cluster
from staff_pages import As, Check
from tenant_plane import until


def test_several_tenants_at_once_with_a_result_for_each(
    signed_in: As, world: Cluster, name: str, is_fine: Check
) -> None:
    names = [f"{name}-{number}" for number in range(11)]
    for each in names:
        world.tenant(each, served=False)
    world.patch(names[3], state="Hibernated")
    page = signed_in("provisioner")
    page.goto(f"/?q={name}")
    expect(page.get_by_label(f"Choose {names[0]}")).to_be_visible()
    for each in names:
        page.get_by_label(f"Choose {each}", exact=True).check()
    # One goes before it is its turn.
    world.delete(names[10])
    page.get_by_text("With several tenants").click()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("heading", name=re.compile("Suspend: 1[01] tenants"))).to_be_visible()
    page.get_by_label("Suspend reason").fill("The region is being mended.")
    is_fine(page)
    page.get_by_role("button", name=re.compile("Suspend with")).click()
    expect(page.get_by_role("status").last).to_contain_text("finished")
    results = page.locator("#results li")
    assert results.count() >= 10
    for each in names[:10]:
        expect(results.filter(has_text=re.compile(f"^{each} "))).to_contain_text("Done")
        assert world.get(each)["spec"]["suspendReason"] == "The region is being mended."
    is_fine(page)


def test_all_that_are_found_and_what_is_refused(signed_in: As, world: Cluster, name: str) -> None:
    for each in ("a", "b"):
        world.tenant(f"{name}-{each}", served=False)
    world.patch(f"{name}-a", state="Suspended", suspendReason="Before.")
    page = signed_in("provisioner")
    page.goto(f"/?q={name}")
    expect(page.locator("#rows tr")).to_have_count(2)
    page.get_by_text("With several tenants").click()
    page.get_by_label(re.compile("All 2 that are found")).check()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Resume with 2").click()
    results = page.locator("#results li")
    expect(results.filter(has_text=f"{name}-a")).to_contain_text("Done")
    expect(results.filter(has_text=f"{name}-b")).to_contain_text("Nothing to do")
    assert world.get(f"{name}-a")["spec"]["state"] == "Running"
    page.goto(f"/do/pause?tenant={name}-a&tenant={name}-never")
    page.get_by_role("button", name="with 2").click()
    expect(results.filter(has_text=f"{name}-a")).to_contain_text("Done")
    expect(results.filter(has_text=f"{name}-never")).to_contain_text("Not there any more")
    page.get_by_role("link", name="Try the 1 again").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 tenant")


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_who_may_not_change_tenants_changes_no_several(
    signed_in: As, world: Cluster, name: str, role: str
) -> None:
    world.tenant(name)
    page = signed_in(role)
    expect(page.get_by_text("With several tenants")).to_have_count(0)
    answer = page.goto(f"/do/suspend?tenant={name}")
    assert answer is not None
    assert answer.status == 403


def test_a_wave_is_held_and_let_go_on(signed_in: As, world: Cluster, name: str, is_fine: Check) -> None:
    world.tenant(name)
    world.status(name, app={"version": "9.9.9", "url": "https://x.example"})
    page = signed_in("provisioner")
    until(lambda: "9.9.9" in (page.goto("/releases"), page.content())[1], "the version to be seen")
    is_fine(page)
    expect(page.get_by_role("main")).to_contain_text("helm rollback")
    row = page.get_by_role("row").filter(has_text="9.9.9")
    row.get_by_role("link", name="Hold these").click()
    page.get_by_role("button", name="Hold at its version with 1").click()
    expect(page.locator("#results li")).to_contain_text("Done")
    assert world.get(name)["spec"]["release"] == {"channel": "Pinned", "version": "9.9.9"}
    page.goto(f"/tenants/{name}")
    page.get_by_role("button", name="Follow releases").click()
    expect(page.locator("#notices")).to_contain_text("Follow releases")
    assert world.get(name)["spec"]["release"] == {"channel": "Stable"}
    page.goto(f"/tenants/{name}")
    page.get_by_role("button", name="Take releases first").click()
    expect(page.locator("#notices")).to_contain_text("Take releases first")
    assert world.get(name)["spec"]["release"] == {"channel": "Canary"}


def test_those_that_changed_since_they_were_chosen_are_left(signed_in: As, world: Cluster, name: str) -> None:
    for each in ("a", "b"):
        world.tenant(f"{name}-{each}", served=False)
    page = signed_in("provisioner")
    page.goto(f"/?q={name}")
    expect(page.locator("#rows tr")).to_have_count(2)
    page.goto(f"/do/suspend?tenant={name}-a&tenant={name}-b")
    page.get_by_label("Suspend reason").fill("The region is being mended.")
    world.patch(f"{name}-b", state="Suspended", suspendReason="The police asked for it.")
    page.get_by_role("button", name="Suspend with 2").click()
    results = page.locator("#results li")
    expect(results.filter(has_text=f"{name}-a")).to_contain_text("Done")
    expect(results.filter(has_text=f"{name}-b")).to_contain_text("Changed meanwhile")
    assert world.get(f"{name}-b")["spec"]["suspendReason"] == "The police asked for it."
    # Who wants it nevertheless does it again.
    page.get_by_role("link", name="Try the 1 again").click()
    page.get_by_label("Suspend reason").fill("The region is being mended.")
    page.get_by_role("button", name="Suspend with 1").click()
    expect(results.filter(has_text=f"{name}-b")).to_contain_text("Done")


def test_several_halt_when_nobody_answers_and_go_on_by_themselves(
    signed_in: As, world: Cluster, name: str, mended: Any
) -> None:
    names = [f"{name}-{number}" for number in range(3)]
    for each in names:
        world.tenant(each, served=False)
    page = signed_in("provisioner")
    page.goto("/do/hibernate?" + "&".join(f"tenant={each}" for each in names))
    mended.cut = True
    page.get_by_role("button", name="Hibernate with 3").click()
    expect(page.get_by_text("The API server does not answer; it is tried again")).to_be_visible()
    expect(page.locator("#results li").first).to_contain_text("No answer")
    mended.cut = False
    # By itself.
    expect(page.get_by_role("status").last).to_contain_text("finished, 3 done, 0 not")
    assert {world.get(each)["spec"]["state"] for each in names} == {"Hibernated"}
