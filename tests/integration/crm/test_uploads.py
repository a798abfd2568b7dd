"""Large uploads: bounded, a few at a time, and never of strangers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile


def upload(size: int) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("a.csv", b"x" * size, "text/csv")}


def test_what_is_larger_than_anything_is_refused_before_it_is_read(page: Any) -> None:
    from guestpost_crm.web.scratch import LARGEST

    answer = page.post(
        "/sites/import", upload(10), headers={"host": "acme.localhost"}, CONTENT_LENGTH=str(LARGEST + 1)
    )
    assert answer.status_code == 413
    assert "At most 45 MiB" in answer.content.decode()


def test_strangers_may_not_upload(owner: Any) -> None:
    from django.test import Client

    stranger = Client(headers={"host": "acme.localhost"})
    answer = stranger.post("/sites/import", upload(2 << 20))
    assert answer.status_code == 403
    assert "Sign in first" in answer.content.decode()


def test_when_others_upload_people_are_told_to_wait(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm.web import scratch

    room = scratch.Room(at_once=1, patience=0.05)
    monkeypatch.setattr(scratch, "ROOM", room)
    begun, ended = threading.Event(), threading.Event()

    def other() -> None:
        with room.taken():
            begun.set()
            ended.wait(60)

    holder = threading.Thread(target=other)
    holder.start()
    try:
        assert begun.wait(10)
        answer = page.post("/sites/import", upload(2 << 20))
        assert (answer.status_code, answer["Retry-After"]) == (503, "60")
        # What is small passes by.
        assert page.post("/sites/import", upload(100)).status_code != 503
    finally:
        ended.set()
        holder.join(10)
    assert page.post("/sites/import", upload(2 << 20)).status_code in (200, 302, 422)


def test_a_blob_is_read_like_a_file(crm: None, clean_crm: None) -> None:
    import hashlib
    import io

    from guestpost_crm.inbox import storage

    content = hashlib.shake_256(b"blob").digest(3 * storage.CHUNK // 2)
    blob = storage.write(io.BytesIO(content))
    with storage.opened(blob) as source:
        assert source.read() == content
        assert source.seek(storage.CHUNK - 10) == storage.CHUNK - 10
        assert source.read(20) == content[storage.CHUNK - 10 : storage.CHUNK + 10]
        assert source.seek(0, io.SEEK_END) == len(content)
        assert source.read() == b""
        source.seek(-5, io.SEEK_END)
        assert source.read() == content[-5:]
    with storage.opened(storage.write(io.BytesIO(b""))) as source:
        assert source.read() == b""
