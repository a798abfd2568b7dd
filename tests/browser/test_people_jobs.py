"""What a person does about the team, themselves and other programs, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def anna(person: Callable[..., Any]) -> Any:
    """The owner."""
    return person("owner", "Anna Reyes")


def test_somebody_is_invited_gets_another_role_and_leaves(
    anna: Any, person: Callable[..., Any], at: Callable[..., Page]
) -> None:
    from guestpost_crm.accounts.models import Invitation, Person

    tom = person("member", "Tom Hughes")
    page = at(anna, width=360)
    page.goto("/team")
    page.get_by_label("Google account").fill("nobody")
    page.get_by_label("Role", exact=True).select_option("member")
    page.get_by_role("button", name="Invite").click()
    # The browser itself says what an address looks like; nothing was sent.
    assert not Invitation.objects.exists()
    page.get_by_label("Google account").fill("eva@acme.example")
    page.get_by_role("button", name="Invite").click()
    expect(page.locator(".notices")).to_contain_text("eva@acme.example may sign in here")
    page.get_by_role("button", name="Withdraw eva@acme.example").click()
    expect(page.locator("main")).not_to_contain_text("eva@acme.example")
    page.get_by_label("Role of Tom Hughes").select_option("manager")
    page.get_by_role("button", name="Change Tom Hughes").click()
    assert Person.objects.get(pk=tom.pk).role == "manager"
    page.get_by_label("Role of Tom Hughes").select_option("none")
    page.get_by_role("button", name="Change Tom Hughes").click()
    expect(page.locator("main")).not_to_contain_text("Tom Hughes")


def test_the_own_account_is_corrected_and_speaks_another_language(anna: Any, at: Callable[..., Page]) -> None:
    page = at(anna)
    page.goto("/account")
    page.get_by_label("Name", exact=True).fill("Anna M. Reyes")
    page.get_by_label("Language").select_option("de")
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("h1")).to_contain_text("Dein Konto")
    expect(page.locator("details.account")).to_contain_text("Anna M. Reyes")


def test_a_session_elsewhere_is_ended(anna: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.accounts.models import SignIn

    elsewhere = SignIn.objects.create(person=anna, session_key="x" * 32, agent="A phone that was lost")
    page = at(anna, width=360)
    page.goto("/account")
    row = page.locator("tr", has_text="A phone that was lost")
    row.get_by_role("button", name="End").click()
    expect(page.locator("main")).not_to_contain_text("A phone that was lost")
    assert not SignIn.objects.filter(pk=elsewhere.pk).exists()


def test_a_token_is_made_shown_once_and_revoked(anna: Any, at: Callable[..., Page]) -> None:
    page = at(anna)
    page.goto("/integrations")
    page.get_by_label("What it is for").fill("Reporting")
    page.get_by_role("button", name="Make the token").click()
    # No right was chosen, and what was typed is kept.
    expect(page.get_by_label("What it is for")).to_have_value("Reporting")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Make the token").click()
    token = page.locator("code.secret").inner_text()
    assert len(token) > 30
    page.goto("/integrations")
    expect(page.locator("main")).not_to_contain_text(token)
    page.get_by_role("button", name="Revoke Reporting").click()
    expect(page.locator("main")).to_contain_text("No tokens yet.")


def test_the_audit_log_tells_what_was_done_in_words_and_is_narrowed(
    anna: Any, person: Callable[..., Any], at: Callable[..., Page], faults: Callable[[Page], list[str]]
) -> None:
    tom = person("member", "Tom Hughes")
    theirs = at(tom)
    theirs.goto("/sites/new")
    theirs.get_by_label("Domain").fill("site.example")
    theirs.get_by_role("button", name="Save").click()
    expect(theirs.locator("h1")).to_contain_text("site.example")
    page = at(anna, width=360)
    page.goto("/audit")
    expect(page.locator("tbody")).to_contain_text("Added the site")
    page.get_by_label("Who").select_option(str(tom.pk))
    page.get_by_label("What").select_option("site")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert faults(page) == []
    page.get_by_role("link", name="site.example").click()
    expect(page.locator("h1")).to_contain_text("site.example")


def test_the_policy_is_accepted_before_anything_is_shown(crm_database: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.accounts.models import Person

    page = at(Person.objects.create(sub="new", email="new@acme.example", name="Nia New", role="member"))
    page.goto("/orders")
    expect(page.locator("h1")).to_contain_text("Our privacy policy")
    page.get_by_role("link", name="Read the whole policy").click()
    expect(page.locator("main")).to_contain_text("What never happens")
    page.go_back()
    page.get_by_role("button", name="Accept and continue").click()
    expect(page).to_have_url("http://acme.localhost:8080/orders")


def test_a_webhook_is_added_tried_and_removed(
    anna: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]]
) -> None:
    from guestpost_crm.integrations.models import Webhook

    page = at(anna, width=360)
    page.goto("/integrations")
    page.get_by_role("link", name="Add a webhook").click()
    page.get_by_label("Address").fill("http://program.example/hook")
    page.get_by_label("placement.lost").check()
    page.get_by_role("button", name="Add the webhook").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was saved yet.")
    expect(page.get_by_label("placement.lost")).to_be_checked()
    page.get_by_label("Address").fill("https://program.example/hook")
    page.get_by_role("button", name="Add the webhook").click()
    secret = page.locator("code.secret").inner_text()
    assert secret.startswith("whsec_")
    assert faults(page) == []
    webhook = Webhook.objects.get()
    page.goto(f"/integrations/webhooks/{webhook.pk}")
    expect(page.locator("main")).not_to_contain_text(secret)
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("tbody")).to_contain_text("webhook.test")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("main")).to_contain_text("No webhooks yet.")


def test_somebody_of_the_service_is_let_in_for_a_while_and_sent_away(
    anna: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]]
) -> None:
    from django.utils import timezone
    from guestpost_crm.environment import current
    from guestpost_crm.support.models import SupportAccess

    SupportAccess.objects.create(
        grant="g", tenant=current().tenant_uid, name="look", subject="sam@service.example",
        reason="The import is slow.", level="Browse", seconds=3600, asked_at=timezone.now(),
    )  # fmt: skip
    page = at(anna, width=360)
    page.goto("/orders")
    page.locator(".banner").get_by_role("link", name="Decide").click()
    expect(page.locator("main")).to_contain_text("The import is slow.")
    assert faults(page) == []
    page.get_by_label("For how long").select_option("900")
    page.get_by_role("button", name="Let them in").click()
    page.goto("/orders")
    banner = page.locator(".banner")
    expect(banner).to_contain_text("Support looks in: sam@service.example")
    banner.get_by_role("button", name="End it now").click()
    expect(page.locator(".banner")).to_have_count(0)
    access = SupportAccess.objects.get()
    assert (access.given_level, access.revoked_by) == ("Browse", anna)
