"""The MIME scanner against what senders really send, and against anything at all."""

from __future__ import annotations

import email
import email.policy
import io
from email.message import EmailMessage

import pytest
from guestpost_crm.inbox import mime
from guestpost_crm.told import kept
from hypothesis import given
from hypothesis import strategies as st

SCRAPS = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=x\r\n",
        b'Content-Type: multipart/alternative; boundary="y z"\r\n',
        b"Content-Type: text/html; charset=utf-8\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Disposition: attachment; filename*=utf-8''%c3%a4.pdf\r\n",
        b"Subject: =?utf-8?b?8J+YgA==?=\r\n",
        b"Subject: \xff\xfe\x00\r\n",
        b"\r\n",
        b"\n",
        b"--x\r\n",
        b"--x--\r\n",
        b"--y z\r\n",
        b"--x",
        b"no header at all\r\n",
        b" folded\r\n",
        b"=00=ZZ\r\n",
    ]
)
MAIL = st.lists(st.one_of(SCRAPS, st.binary(max_size=40)), max_size=40).map(b"".join)


@given(MAIL)
def test_nothing_breaks_it_and_every_part_lies_inside(raw: bytes) -> None:
    found = mime.index(io.BytesIO(raw))
    assert found.size == len(raw)
    last = 0
    for part in found.parts:
        assert 0 <= part.start <= part.end <= len(raw)
        assert part.start >= last
        last = part.start
    for name in ("subject", "from", "to"):
        shown = mime.header(found.headers, name)
        shown.encode("utf-8")
        assert "\x00" not in shown


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)


@given(TEXT, TEXT.map(lambda text: f"<p>{text}</p>"), st.binary(max_size=3000))
def test_what_a_sender_composed_is_found_again(plain: str, markup: str, content: bytes) -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "Rates"
    message.set_content(plain)
    message.add_alternative(markup, subtype="html")
    message.add_attachment(content, maintype="application", subtype="pdf", filename="Angebot für März.pdf")
    raw = message.as_bytes()
    first, second, third = mime.index(io.BytesIO(raw)).parts
    kinds = [part.content_type for part in (first, second, third)]
    assert kinds == ["text/plain", "text/html", "application/pdf"]
    assert [part.is_attachment for part in (first, second, third)] == [False, False, True]
    assert third.filename == "Angebot für März.pdf"
    leaves = [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]
    for part, leaf in zip((first, second, third), leaves, strict=True):
        body = raw[part.start : part.end]
        again = email.message_from_bytes(
            f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n".encode() + body
        )
        decoded, expected = again.get_payload(decode=True), leaf.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        assert isinstance(expected, bytes)
        assert decoded.rstrip(b"\r\n") == expected.rstrip(b"\r\n")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("=?iso-8859-1?q?J=F6rg?= <j@x.example>", "Jörg <j@x.example>"),
        ("=?utf-8?b?8J+YgA==?= =?utf-8?q?_now?=", "😀 now"),
        ("=?no-such-charset?q?abc?=", "abc"),
        ("=?utf-8?b?!!!?=", None),
        ("a\r\n b\tc", "a b c"),
    ],
)
def test_headers_become_readable(header: str, shown: str | None) -> None:
    found = mime.text(header)
    assert "\n" not in found
    if shown is not None:
        assert found == shown


@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_bytes_in_any_charset_become_text(content: bytes, charset: str) -> None:
    assert isinstance(mime.decode_text(content, charset), str)


@given(st.text(max_size=200))
def test_cleaned_text_can_be_stored(value: str) -> None:
    cleaned = mime.clean(value)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned


def test_bounds_hold() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (each, each) for each in range(99)
    )
    found = mime.index(io.BytesIO(deep))
    assert found.problem == kept("more than %(most)s levels of parts", {"most": mime.MOST_DEPTH})
    many = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\nhi\r\n" * (mime.MOST_PARTS + 5)
    found = mime.index(io.BytesIO(many))
    assert len(found.parts) == mime.MOST_PARTS
    assert found.problem == kept("more than %(most)s parts", {"most": mime.MOST_PARTS})
