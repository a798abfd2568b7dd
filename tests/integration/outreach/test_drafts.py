"""Drafts of an order: an attachment in its mail, or files that lie encrypted beside the mail."""

from __future__ import annotations

import io
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

CONTENT = b"%PDF-1.7 \x00\xff the draft " * 40_000


def file(content: bytes = CONTENT, name: str = "draft.pdf") -> io.BytesIO:
    found = io.BytesIO(content)
    found.name = name
    return found


def mail_with(make: Any, by: Any, sender: str, filename: str = "text.docx") -> Any:
    """A message with an attachment in a conversation of its own."""
    from guestpost_crm.inbox import services

    thread = make.thread(by, (sender, "See the file."))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "desk@acme.example", "The draft"
    message.set_content("Here it is.")
    message.add_attachment(b"PK the text", maintype="application", subtype="zip", filename=filename)
    services.store(
        thread.mailbox, f"with-file-{thread.pk}", thread.gmail_id, ["INBOX"], make.moment(5),
        io.BytesIO(bytes(message)),
    )  # fmt: skip
    return thread.messages.get(gmail_id=f"with-file-{thread.pk}").parts.get(is_attachment=True)


def test_a_file_is_kept_and_comes_back_byte_for_byte(make: Any, page: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.inbox.models import BlobChunk
    from guestpost_crm.outreach.models import DraftFile

    order = make.order()
    answer = page.post(f"/orders/{order.pk}/draft", {"what": "upload", "file": file()}, follow=True)
    text = answer.content.decode()
    assert "draft.pdf is kept with this order." in text
    assert "Draft file" in text
    kept = DraftFile.objects.get()
    got = page.get(f"/orders/{order.pk}/drafts/{kept.pk}")
    assert b"".join(got.streaming_content) == CONTENT
    assert got.headers["Content-Length"] == str(len(CONTENT))
    stored = b"".join(bytes(each.content) for each in BlobChunk.objects.all())
    assert len(stored) > len(CONTENT)
    assert b"the draft" not in stored
    page.post(f"/orders/{order.pk}/drafts/{kept.pk}/remove")
    assert not DraftFile.objects.exists()
    assert not BlobChunk.objects.exists()
    assert [each.action for each in AuditEvent.objects.order_by("pk")] == ["draft.attached", "draft.removed"]


@pytest.mark.parametrize(
    ("name", "kept", "header"),
    [
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\texts\\post.docx", "post.docx", "post.docx"),
        ("x'; filename=evil.html", "x'; filename=evil.html", "x%27%3B%20filename%3Devil.html"),
        ("a\u202egnp.exe", "agnp.exe", "agnp.exe"),
        ("<script>alert(1)</script>.svg", "script>.svg", "script%3E.svg"),
    ],
)
def test_whatever_a_file_is_called_or_holds_it_is_only_ever_downloaded(
    make: Any, page: Any, name: str, kept: str, header: str
) -> None:
    from guestpost_crm.outreach.models import DraftFile

    order = make.order()
    hostile = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/><script>alert(1)</script>"
    page.post(f"/orders/{order.pk}/draft", {"what": "upload", "file": file(hostile, name)})
    made = DraftFile.objects.get()
    assert made.name == kept
    got = page.get(f"/orders/{order.pk}/drafts/{made.pk}")
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{header}"
    assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert b"".join(got.streaming_content) == hostile
    assert "<script>alert" not in page.get(f"/orders/{order.pk}").content.decode()


def test_what_can_not_be_kept_says_why_and_changes_nothing(
    make: Any, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.inbox.models import Blob
    from guestpost_crm.outreach.models import DraftFile
    from guestpost_crm.outreach.services import drafts

    order = make.order()
    address = f"/orders/{order.pk}/draft"

    def told(data: dict[str, Any]) -> str:
        return str(page.post(address, data, follow=True).content.decode())

    assert "Choose a file first." in told({"what": "upload"})
    assert "The file is empty." in told({"what": "upload", "file": file(b"")})
    assert "Choose an attachment first." in told({"what": "mail", "attachment": "1.x"})
    assert "not there any more" in told({"what": "mail", "attachment": "99.0"})
    monkeypatch.setattr(drafts, "MOST_BYTES", 1 << 20)
    assert "larger than 1 MiB" in told({"what": "upload", "file": file(b"x" * ((1 << 20) + 1))})
    monkeypatch.setattr(drafts, "MOST_FILES", 1)
    told({"what": "upload", "file": file(b"x")})
    assert "There are 1 files already" in told({"what": "upload", "file": file(b"y")})
    assert (DraftFile.objects.count(), Blob.objects.count()) == (1, 1)


def test_an_attachment_of_its_mail_becomes_the_draft(make: Any, page: Any, member: Any) -> None:
    part = mail_with(make, member, "bob@site.example")
    other = mail_with(make, member, "eva@other.example", "other.docx")
    order = make.order(contact=make.contact("bob@site.example"))
    text = page.get(f"/orders/{order.pk}").content.decode()
    assert "text.docx" in text
    assert "other.docx" not in text
    value = f"{part.message_id}.{part.index}"
    answer = page.post(f"/orders/{order.pk}/draft", {"what": "mail", "attachment": value}, follow=True)
    assert "This attachment is the draft now." in answer.content.decode()
    order.refresh_from_db()
    assert (order.draft_message_id, order.draft_part) == (part.message_id, part.index)
    # The history names the mail and not its number.
    assert "The draft" in answer.content.decode()
    # Mail with others is none of this order's.
    wrong = {"what": "mail", "attachment": f"{other.message_id}.{other.index}"}
    assert "not there any more" in page.post(f"/orders/{order.pk}/draft", wrong, follow=True).content.decode()
    page.post(f"/orders/{order.pk}/draft", {"what": "clear"})
    order.refresh_from_db()
    assert (order.draft_message_id, order.draft_part) == (None, None)


def test_a_file_is_that_of_its_order_and_readers_only_look(
    make: Any, page: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import DraftFile

    order, other = make.order(), make.order()
    page.post(f"/orders/{order.pk}/draft", {"what": "upload", "file": file(b"x")})
    kept = DraftFile.objects.get()
    assert page.get(f"/orders/{other.pk}/drafts/{kept.pk}").status_code == 404
    assert page.post(f"/orders/{other.pk}/drafts/{kept.pk}/remove").status_code == 404
    reader = browser(person("reader"))
    assert reader.get(f"/orders/{order.pk}/drafts/{kept.pk}").status_code == 200
    assert reader.post(f"/orders/{order.pk}/drafts/{kept.pk}/remove").status_code == 403
    assert reader.post(f"/orders/{order.pk}/draft", {"what": "upload", "file": file(b"y")}).status_code == 403
    assert DraftFile.objects.count() == 1
