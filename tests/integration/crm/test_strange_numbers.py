"""Where an address or a form wants a number, anything may stand; no page fails for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google_standin.testing import GoogleStandin

STRANGE = ["²", "१२", "9" * 5000, "-1", "1e3", "x", ""]


@pytest.mark.parametrize("strange", STRANGE)
def test_no_page_fails_for_what_is_no_number(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    page: Any,
    strange: str,
) -> None:
    from guestpost_crm.inbox.models import Thread
    from guestpost_crm.writing.models import MessageTemplate

    google.control.deliver(address, mail("Offer"))
    level(mailbox)
    thread = Thread.objects.get()
    template = MessageTemplate.objects.create(name="Thanks", subject="", body="Thank you.")
    assert page.get("/", {"mailbox": strange}).status_code == 200
    assert page.get("/new-mail", {"mailbox": strange}).status_code == 200
    answer = page.get(f"/templates/{template.pk}/text", {"answers": strange})
    assert answer.json()["body"] == "Thank you."
    assert page.post(f"/threads/{thread.pk}/reply", {"answers": strange, "body": "Hi"}).status_code == 404
    page.post(f"/threads/{thread.pk}/follow-up", {"days": strange})
    thread.refresh_from_db()
    assert thread.follow_up_at is None
    kept = {"keep": [f"message:{strange}:0", "message:aaaa:0"]}
    assert page.post(f"/threads/{thread.pk}/reply", {"answers": strange, **kept}).status_code == 404
