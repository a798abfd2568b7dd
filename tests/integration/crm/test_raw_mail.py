"""Real and hostile raw mail through the whole path: stored byte for byte, shown, never breaking the sync."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import GoogleStandin

# Of Debian's libpython3.11-testsuite, or 3.13 on Debian 13.
DATA = sorted(Path("/usr/lib").glob("python3.1?/test/test_email/data/msg_*.txt"))
DEEP = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(200)
)
NOISE = hashlib.shake_256(b"noise")
HOSTILE = {
    "empty": b"",
    "no headers": b"\r\njust a body\r\n",
    "only headers": b"Subject: nothing below",
    "no boundary ever": b'Content-Type: multipart/mixed; boundary="x"\r\n\r\nno parts here\r\n',
    "multipart without boundary": b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nhello\r\n",
    "8-bit headers": b"From: J\xf6rg <j@x.example>\r\nSubject: Gr\xfc\xdfe \xe2\x82\xac\r\n\r\n\xe4\r\n",
    "unknown charset": b"Content-Type: text/plain; charset=no-such\r\n\r\n\xff\xfe\r\n",
    "broken encoded word": b"Subject: =?utf-8?b?!!!?= =?x?q?=ZZ?=\r\n\r\nx\r\n",
    "NUL bytes": b"Subject: a\x00b\r\nContent-Type: text/plain\r\n\r\nx\x00y\r\n",
    "surrogates": b"Subject: =?utf-8?q?=ED=A0=80?=\r\n\r\n\xed\xa0\x80\r\n",
    "broken base 64": b"Content-Transfer-Encoding: base64\r\n\r\n@@@YQ=Zg==%%%A\r\n",
    "deep": DEEP,
    "many parts": b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n' + b"--x\r\n\r\nhi\r\n" * 2000,
    "ten thousand recipients": b"To: "
    + b",\r\n ".join(b"p%d@x.example" % number for number in range(10_000))
    + b"\r\nSubject: all\r\n\r\nhello\r\n",
    "comments within comments": b"From: "
    + b"(" * 20_000
    + b"a@b.example\r\nTo: "
    + b"a (" * 20_000
    + b"\r\n\r\nx\r\n",
    "a Message-ID of emoji": b"Message-ID: <" + "😀".encode() * 1000 + b"@x>\r\n\r\nx\r\n",
    "a Message-ID of noise": b"Message-ID: <" + NOISE.hexdigest(500).encode() + b"@x>\r\n\r\nx\r\n",
    "encoded words without end": b"Subject: " + b"=?x?q?" * 30_000 + b"\r\n\r\nx\r\n",
    "parameters by the thousand": b"Content-Type: text/plain;" + b";" * 200_000 + b"\r\n\r\nx\r\n",
    "names in pieces": b"Content-Type: a/b;" + b" name*9*=x;" * 5_000 + b"\r\n\r\nx\r\n",
    "HTML as deep as it is long": b"Content-Type: text/html\r\n\r\n" + b"<div>" * 400_000,
    "HTML that never closes": b"Content-Type: text/html\r\n\r\n" + b"<script" * 200_000,
    "a million words": b"Subject: words\r\n\r\n" + b"".join(b"word%d " % number for number in range(400_000)),
    "a mail within a mail": b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n",
    "a label nobody knows": b"Subject: quotes ' \" \\ : & | ! <-> 'x':1A\r\n\r\n'a':1A & !\\\r\n",
    "a header of a megabyte": b"X-Long: " + b"a" * (1 << 20) + b"\r\nSubject: after\r\n\r\nx\r\n",
    "a line of five megabytes": b"Subject: long\r\n\r\n" + b"y" * (5 << 20),
}


def samples() -> list[Any]:
    found = [pytest.param(raw, id=name) for name, raw in HOSTILE.items()]
    found += [pytest.param(path.read_bytes(), id=path.name) for path in DATA]
    if not DATA:
        reason = "Debian's libpython testsuite is not installed: run dev/bootstrap"
        found.append(pytest.param(b"", id="msg_*.txt", marks=pytest.mark.skip(reason=reason)))
    return found


@pytest.mark.promise("P4.1")
@pytest.mark.parametrize("raw", samples())
def test_it_is_stored_whole_and_shown(
    google: GoogleStandin, mailbox: Any, address: str, owner: Any, level: Callable[..., Any], raw: bytes
) -> None:
    from django.test import Client
    from guestpost_crm.gmail.models import FetchItem
    from guestpost_crm.inbox import bodies, storage
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, raw)
    level(mailbox)
    assert not FetchItem.objects.exists()
    message = Message.objects.get()
    assert message.search is not None
    assert storage.read_all(message.raw) == raw
    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    assert page.get("/?view=all").status_code == 200
    assert page.get(f"/threads/{message.thread_id}").status_code == 200
    assert b"".join(page.get(f"/messages/{message.pk}/raw").streaming_content) == raw
    assert page.get(f"/messages/{message.pk}/body").status_code in (200, 404)
    for part in message.parts.all():
        assert 0 <= part.start <= part.end <= len(raw)
        for _ in bodies.stream(part):
            pass


def test_forty_megabytes_are_streamed_back_as_they_were(
    google: GoogleStandin, mailbox: Any, address: str, level: Callable[..., Any]
) -> None:
    from email.message import EmailMessage

    from guestpost_crm.inbox import bodies
    from guestpost_crm.inbox.models import Message

    content = b"".join(hashlib.sha512(str(n).encode()).digest() for n in range(40 << 14))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@site.example", address, "Large"
    message.set_content("See the attachment.")
    message.add_attachment(content, maintype="application", subtype="zip", filename="large.zip")
    google.control.deliver(address, message.as_bytes())
    level(mailbox)
    [part] = [each for each in Message.objects.get().parts.all() if each.is_attachment]
    digest, most = hashlib.sha256(), 0
    for piece in bodies.stream(part):
        digest.update(piece)
        most = max(most, len(piece))
    assert digest.digest() == hashlib.sha256(content).digest()
    assert most <= 1 << 20


@pytest.mark.promise("P8.1")
def test_what_lies_in_the_database_is_not_the_mail(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from django.db import connection
    from guestpost_crm.crypto.services import DecryptionError
    from guestpost_crm.inbox import storage
    from guestpost_crm.inbox.models import BlobChunk, Message

    secret = "the agreed price is nine hundred"
    google.control.deliver(address, mail(text=f"{'filler ' * 60}\n{secret}"))
    level(mailbox)
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM blob_chunk UNION ALL SELECT refresh_token FROM mailbox")
        assert not [row for row in cursor.fetchall() if secret.encode() in bytes(row[0])]
    chunk = BlobChunk.objects.get()
    content = bytearray(chunk.content)
    content[-1] ^= 1
    chunk.content = bytes(content)
    chunk.save()
    with pytest.raises(DecryptionError):
        storage.read_all(Message.objects.get().raw)


def test_chunks_can_not_be_swapped_or_dropped(crm: None) -> None:
    import io

    from guestpost_crm.crypto.services import DecryptionError
    from guestpost_crm.inbox import storage
    from guestpost_crm.inbox.models import Blob, BlobChunk

    content = bytes(range(256)) * 8192
    blob = storage.write(io.BytesIO(content))
    assert storage.read_all(blob) == content
    assert storage.read_all(blob, 600_000, 1_300_000) == content[600_000:1_300_000]
    first, second = BlobChunk.objects.filter(blob=blob).order_by("index")[:2]
    first.content, second.content = second.content, first.content
    first.save()
    second.save()
    with pytest.raises(DecryptionError):
        storage.read_all(blob)
    short = storage.write(io.BytesIO(content))
    BlobChunk.objects.filter(blob=short, index=3).delete()
    Blob.objects.filter(pk=short.pk).update(size=3 * storage.CHUNK)
    with pytest.raises(DecryptionError):
        storage.read_all(Blob.objects.get(pk=short.pk))


@pytest.mark.parametrize(
    "markup",
    [
        '<script>alert(1)</script><p onclick="x()">t</p>',
        '<a href="javascript:alert(1)">a</a><a href=" JaVaScRiPt:x">b</a><a href="data:text/html,x">c</a>',
        '<img src=x onerror=alert(1)><img src="http://t.example/a.gif"><img src="//t.example/b.gif">',
        "<svg onload=alert(1)><script>1</script></svg><math><mtext></mtext></math>",
        '<iframe src="http://e.example"></iframe><object data=x></object><embed src=x>',
        '<form action="http://e.example"><input><button>go</button></form>',
        '<style>@import "http://e.example/a.css"; body{background:url(http://e.example)}</style>',
        '<div style="background:url(http://e.example/x.png);position:fixed;color:red">t</div>',
        '<meta http-equiv="refresh" content="0;url=http://e.example"><base href="http://e.example">',
        '<link rel=stylesheet href="http://e.example/x.css"><video src="http://e.example/v"></video>',
        '<table background="http://e.example/b.png"><tr><td>x</td></tr></table>',
        "<" * 5000 + "b>" * 5000,
    ],
)
def test_hostile_html_loses_what_runs_or_loads(crm: None, markup: str) -> None:
    from guestpost_crm.inbox.html import sanitise

    safe = sanitise(markup, {}).markup.lower()
    assert not re.search(
        r"<(script|iframe|object|embed|form|input|button|svg|style|meta|base|link|video)\b", safe
    )
    assert not re.search(r"<[^>]*(\son\w+\s*=|javascript:|url\(|position|@import|\bbackground\s*=)", safe)
    assert not re.search(r"<img[^>]*\bsrc=", safe)


@pytest.mark.promise("P4.1")
def test_what_no_parser_understands_is_kept_and_shown_raw(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    owner: Any,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standard library's parser has raised on mail before, and will again."""
    import email

    from django.test import Client
    from django.utils import translation
    from guestpost_crm.inbox.models import Message

    def broken(*_: Any, **__: Any) -> None:
        raise RecursionError

    google.control.deliver(address, mail("Beyond understanding"))
    with monkeypatch.context() as patch:
        patch.setattr(email, "message_from_bytes", broken)
        level(mailbox)
    message = Message.objects.get()
    assert message.told == "it can't be read (RecursionError)"
    with translation.override("de"):
        assert message.told == "sie lässt sich nicht lesen (RecursionError)"
    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    shown = page.get(f"/threads/{message.thread_id}").content.decode()
    assert "could not be read in full" in shown
    assert f"/messages/{message.pk}/raw" in shown
    assert b"Beyond understanding" in b"".join(page.get(f"/messages/{message.pk}/raw").streaming_content)
