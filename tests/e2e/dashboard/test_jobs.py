"""Each job with a real tenant by the role that may, refused for those who may not; it is left as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import SYSTEM, Platform
from guestpost_demo.waiting import until
from playwright.sync_api import Page, expect
from staff_pages import FORBIDDEN, As, Check, ask_support, do, on_tenant, refused, request_erasure, sent

DAY, TWO_DAYS, WEEK = 86_400, 2 * 86_400, 7 * 86_400
REASON = "Ticket 4711: no new mail since Monday."


def spec(platform: Platform, name: str) -> dict[str, Any]:
    found: dict[str, Any] = platform.get("guestposttenant", name)["spec"]
    return found


def patch(platform: Platform, name: str, **changes: Any) -> None:
    """As somebody else does with kubectl."""
    platform.kubectl("patch", "guestposttenant", name, "--type=merge", "-p", json.dumps({"spec": changes}))


def objects(platform: Platform, plural: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.get(plural, "-n", f"gpt-{name}")["items"]
    return found


@pytest.fixture
def kept(platform: Platform, tenant: Any) -> Iterator[str]:
    """The tenant's name; what a test changed of its spec is changed back."""
    before = spec(platform, tenant.name)
    yield tenant.name
    now = spec(platform, tenant.name)
    patch(platform, tenant.name, **dict.fromkeys(now.keys() - before.keys()), **before)


def test_an_edit_is_shown_as_a_diff_and_a_conflict_is_decided(
    platform: Platform, signed_in: As, kept: str, is_fine: Check
) -> None:
    page = signed_in("provisioner")
    page.goto(f"/tenants/{kept}/edit?as=yaml")
    is_fine(page)
    patch(platform, kept, deletion={"gracePeriodSeconds": WEEK})
    begin_edit(page, kept, DAY)
    is_fine(page)
    page.get_by_role("button", name="Review the change").click()
    change = page.get_by_role("region", name="What changes")
    expect(change).to_contain_text(f"+    gracePeriodSeconds: {DAY}")
    is_fine(page)
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(kept))
    assert spec(platform, kept)["deletion"]["gracePeriodSeconds"] == DAY

    begin_edit(page, kept, WEEK)
    patch(platform, kept, deletion={"gracePeriodSeconds": TWO_DAYS})
    page.get_by_role("button", name="Review the change").click()
    expect(page.get_by_role("heading", name="Somebody else changed the same")).to_be_visible()
    conflict = page.get_by_role("group", name="spec.deletion.gracePeriodSeconds")
    expect(conflict).to_contain_text(f"It was {DAY} when you began")
    is_fine(page)
    assert spec(platform, kept)["deletion"]["gracePeriodSeconds"] == TWO_DAYS
    conflict.get_by_label(re.compile("becomes yours")).check()
    page.get_by_role("button", name="Go on").click()
    expect(change).to_contain_text(f"-    gracePeriodSeconds: {TWO_DAYS}")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(on_tenant(kept))
    assert spec(platform, kept)["deletion"]["gracePeriodSeconds"] == WEEK


def begin_edit(page: Page, name: str, seconds: int) -> None:
    page.goto(f"/tenants/{name}/edit")
    box = page.get_by_label("Grace period (seconds)")
    if not box.is_visible():
        page.get_by_text("Deletion", exact=True).click()
    box.fill(str(seconds))


def test_an_export_is_asked_for_and_seen(
    platform: Platform, signed_in: As, kept: str, is_fine: Check
) -> None:
    page = signed_in("provisioner")
    page.goto(f"/tenants/{kept}")
    page.get_by_role("link", name="Export", exact=True).click()
    page.get_by_label("Retention (seconds)").fill("3600")
    is_fine(page)
    page.get_by_role("button", name="Export").click()
    expect(page.locator("#notices")).to_contain_text("was asked for")
    (made,) = [
        each for each in objects(platform, "tenantexports", kept) if each["spec"]["requestedBy"] == "Staff"
    ]
    expect(page.get_by_role("region", name="Table of exports")).to_contain_text(made["metadata"]["name"])
    platform.kubectl("delete", "tenantexport", made["metadata"]["name"], "-n", f"gpt-{kept}", "--wait=false")


@pytest.mark.promise("P6.1")
def test_support_asks_the_owner_decides_and_support_sees_it(
    platform: Platform, tenant: Any, signed_in: As, is_fine: Check
) -> None:
    page = signed_in("support")
    page.goto(f"/tenants/{tenant.name}")
    page.get_by_role("link", name="Request support access").click()
    is_fine(page)
    ask_support(page, "sam@support.example", REASON)
    expect(page.locator("#notices")).to_contain_text("the owner of")
    table = page.get_by_role("region", name="Table of support access")
    expect(table).to_contain_text("Requested")
    owner = Person(tenant.url, tenant.owner)
    journey.sign_in(owner)
    asked = until("the request", lambda: page_with(owner, REASON), seconds=60)
    owner.submit(asked, {"answer": "approve"}, action="/decide")

    def active() -> bool:
        page.reload()
        return "Active" in table.inner_text()

    until("the approval to be seen", active, seconds=60)
    do(page, "Withdraw")
    expect(page.locator("#notices")).to_contain_text("is withdrawn")
    assert objects(platform, "supportgrants", tenant.name) == []


def page_with(owner: Person, words: str) -> Any:
    """The page of requests once it shows one; looking at it is what makes the CRM look."""
    found = owner.get("/support")
    return found if words in found.text and "/decide" in found.text else None


def test_an_erasure_wants_the_name_typed_and_is_taken_back(
    platform: Platform, signed_in: As, kept: str, is_fine: Check
) -> None:
    page = signed_in("provisioner")
    page.goto(f"/tenants/{kept}/do/erase")
    is_fine(page)
    request_erasure(page, kept, "another")
    expect(page.locator("#general")).to_contain_text("Nothing was done")
    assert not spec(platform, kept)["deletion"].get("requested")
    page.get_by_label("Grace period (seconds)").fill(str(WEEK))
    request_erasure(page, kept, kept)
    page.wait_for_url(on_tenant(kept))
    # The operator says when it will be.
    expect(page.get_by_role("main")).to_contain_text("Erased after")
    do(page, "Take back the erasure")
    page.wait_for_url(on_tenant(kept))
    assert spec(platform, kept)["deletion"]["requested"] is False
    expect(page.get_by_role("main")).not_to_contain_text("Erased after")


def test_a_release_is_held_followed_and_taken_first(
    platform: Platform, tenant: Any, signed_in: As, kept: str, is_fine: Check
) -> None:
    version = tenant.status["app"]["version"]
    page = signed_in("provisioner")
    page.goto("/releases")
    is_fine(page)
    row = page.get_by_role("row").filter(has_text=version)
    expect(row.get_by_role("link", name="Hold these")).to_be_visible()
    page.goto(f"/tenants/{kept}")
    page.get_by_role("button", name="Hold at its version").click()
    expect(page.locator("#notices")).to_contain_text("Hold at its version")
    assert spec(platform, kept)["release"] == {"channel": "Pinned", "version": version}
    page.get_by_role("button", name="Follow releases").click()
    expect(page.locator("#notices")).to_contain_text("Follow releases")
    assert spec(platform, kept)["release"] == {"channel": "Stable"}
    page.get_by_role("button", name="Take releases first").click()
    expect(page.locator("#notices")).to_contain_text("Take releases first")
    assert spec(platform, kept)["release"] == {"channel": "Canary"}
    # A wave is halted for all that run a version, and goes on.
    page.goto("/releases")
    row.get_by_role("link", name="Hold these").click()
    with_all(page, "Hold at its version", kept)
    assert spec(platform, kept)["release"] == {"channel": "Pinned", "version": version}
    again = page.get_by_role("link", name="let them follow again")
    until("the fleet to know", lambda: (page.goto("/releases"), again.is_visible())[1], seconds=20)
    again.click()
    with_all(page, "Follow releases", kept)
    assert spec(platform, kept)["release"] == {"channel": "Stable"}


@pytest.fixture
def rollout(platform: Platform) -> Iterator[Callable[[], dict[str, str]]]:
    """Whether the rollout is paused; not paused before and after."""
    where = ("configmap", "rollout", "-n", SYSTEM)

    def found() -> dict[str, str]:
        return dict(platform.get(*where)["data"])

    assert found()["paused"] == "false"
    yield found
    if found()["paused"] != "false":
        platform.kubectl("patch", *where, "--type=merge", "-p", '{"data": {"paused": "false", "reason": ""}}')


def test_the_rollout_is_paused_and_started_by_who_may_and_the_operator_obeys(
    platform: Platform, signed_in: As, rollout: Callable[[], dict[str, str]], is_fine: Check
) -> None:
    def stage(word: str) -> bool:
        log = platform.kubectl("logs", "deployment/operator", "-n", SYSTEM, "--tail=200")
        said = [line for line in log.splitlines() if '"stage"' in line]
        return f'"{word}"' in said[-1]

    page = signed_in("provisioner")
    page.goto("/releases")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#notices")).to_contain_text("The rollout is paused")
    is_fine(page)
    assert rollout() == {"paused": "true", "reason": REASON}
    until("the operator to know", lambda: stage("Paused"), seconds=30)
    # Others see why, and change nothing of it.
    for role in ("viewer", "support"):
        other = signed_in(role)
        other.goto("/releases")
        expect(other.get_by_role("region", name="Rollout")).to_contain_text(REASON)
        expect(other.get_by_role("button", name="Start or resume")).to_have_count(0)
        status, said = sent(other, "/releases", paused="false")
        assert (status, "cannot patch resource" in said) == (403, True)
    page.get_by_role("button", name="Start or resume").click()
    expect(page.locator("#notices")).to_contain_text("goes on")
    assert rollout() == {"paused": "false", "reason": ""}
    until("the operator to know", lambda: stage("Done"), seconds=30)


def with_all(page: Page, job: str, name: str) -> None:
    """Do it with those that are named, this tenant among them."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(job)
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile(f"^{job} with ")).click()
    expect(page.get_by_role("status").last).to_contain_text("finished")
    expect(page.locator("#results li").filter(has_text=name)).to_contain_text("Done")


@pytest.mark.parametrize("role", ["viewer", "support", "provisioner"])
def test_what_a_role_may_not_is_refused_in_the_api_servers_words(
    platform: Platform, tenant: Any, signed_in: As, role: str, is_fine: Check
) -> None:
    """The page that asks, and what is sent without having seen it."""
    name = tenant.name
    before = platform.get("guestposttenant", name)["spec"]
    page = signed_in(role)
    for job in [job for who, job in FORBIDDEN if who == role]:
        status, said, sent = refused(page, f"/tenants/{name}/do/{job}?item=x", name)
        assert (status, sent) == (403, 403), job
        assert re.search(r"cannot (create|patch|delete) resource", said), said
    is_fine(page)
    if role != "provisioner":
        for address in (
            "/new",
            f"/tenants/{name}/edit",
            f"/do/suspend?tenant={name}",
            f"/do/hold?tenant={name}",
        ):
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 403, address
    assert platform.get("guestposttenant", name)["spec"] == before
    assert objects(platform, "supportgrants", name) == []
