"""Everything out in one archive, and back into an empty tenant: checksum for checksum."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import mailbox as mailboxes
import re
import uuid
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture
def full(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
) -> Any:
    """A tenant with mail, an attachment, hostile bytes, an answer that waits, and an audit log."""
    from guestpost_crm.gmail import compose, outbox
    from guestpost_crm.inbox.models import Message
    from guestpost_crm.outreach.models import Order, Site
    from guestpost_crm.outreach.services import drafts

    with_file = EmailMessage()
    with_file["From"], with_file["To"], with_file["Subject"] = "a@site.example", address, "=cmd|' /C calc'!A0"
    with_file.set_content("From here on: see the file.\n")
    with_file.add_attachment(bytes(range(256)) * 9000, maintype="image", subtype="png", filename="a.png")
    google.control.deliver(address, with_file.as_bytes(), labels="Prices")
    google.control.deliver(address, b"Subject: \xff\x00\r\n\r\nFrom nobody\n>From x\n\xfe no line break")
    google.control.deliver(address, mail("To be answered"))
    level(mailbox)
    answer = compose.Draft(
        ["bob@site.example"], "Re: To be answered", "We take it.", answers=Message.objects.latest("pk")
    )
    outbox.queue(answer, form_key=uuid.uuid4(), mailbox=mailbox, author=owner)
    # Line breaks to Unicode, but none in a file of lines.
    site = Site.objects.create(domain="site.example", notes="one\u2028two\x85three\r\nfour")
    order = Order.objects.create(site=site)
    draft = bytes(range(255, -1, -1)) * 3000
    drafts.upload(owner, order, "../the draft.docx", io.BytesIO(draft), len(draft))
    return mailbox


def empty() -> None:
    from django.apps import apps
    from django.db import connection

    tables = [model._meta.db_table for model in apps.get_models() if model._meta.app_label != "contenttypes"]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
    from guestpost_crm.crypto.services import ensure_data_key, forget_keys

    forget_keys()
    ensure_data_key()


def checksums(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {each["name"]: each["sha256"] for each in json.loads(archive.read("manifest.json"))["files"]}


@pytest.mark.promise("P9.1")
def test_what_goes_out_comes_back_checksum_for_checksum(
    full: Any, google: GoogleStandin, address: str, tmp_path: Path
) -> None:
    from guestpost_crm.inbox import storage
    from guestpost_crm.inbox.models import Message, Part
    from guestpost_crm.privacy.export.exporting import export
    from guestpost_crm.privacy.export.importing import import_archive

    (tmp_path / "again").mkdir()
    stored = dt.datetime(2026, 1, 31, 12, microsecond=123, tzinfo=dt.UTC)
    Message.objects.update(stored_at=stored)
    first = export(tmp_path)
    parts = Part.objects.count()
    empty()
    import_archive(first.path)
    assert checksums(export(tmp_path / "again").path) == checksums(first.path)
    assert Part.objects.count() == parts
    for message in Message.objects.all():
        assert message.stored_at == stored
        assert storage.read_all(message.raw) == google.control.raw(address, message.gmail_id)
    # New records go on after the imported ones.
    full.pk = None
    full.sub = "another"
    full.save()


@pytest.mark.promise("P9.1")
def test_people_can_use_it_without_us(full: Any, tmp_path: Path) -> None:
    from guestpost_crm.privacy.export.exporting import export

    path = export(tmp_path).path
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        [box] = [name for name in names if name.endswith(f"{full.address}.mbox")]
        archive.extract(box, tmp_path)
        read = mailboxes.mbox(tmp_path / box)
        assert len(read) == 3
        [offer] = [each for each in read if str(each["Subject"]).startswith("=cmd")]
        assert sorted(offer["X-Gmail-Labels"].split(", ")) == ["INBOX", "Prices", "UNREAD"]
        [part] = [each for each in offer.walk() if each.get_filename() == "a.png"]
        assert part.get_payload(decode=True) == bytes(range(256)) * 9000
        assert archive.read("drafts/1-the draft.docx") == bytes(range(255, -1, -1)) * 3000
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("tables/inbox.message.csv"), "utf-8")))
        assert "'=cmd|' /C calc'!A0" in [row["subject"] for row in rows]
        lines = map(json.loads, archive.read("tables/inbox.message.jsonl").splitlines())
        assert "=cmd|' /C calc'!A0" in [line["fields"]["subject"] for line in lines]


def test_no_secret_is_in_it(full: Any, tmp_path: Path) -> None:
    from guestpost_crm.crypto.models import DataKey
    from guestpost_crm.privacy.export.exporting import export

    content = export(tmp_path).path.read_bytes()
    token = full.token()
    assert token
    assert token.encode() not in content
    assert bytes(DataKey.objects.get().wrapped) not in content
    assert b"refresh_token" not in content


def test_every_table_is_exported_or_left_out_for_a_reason() -> None:
    from django.apps import apps
    from guestpost_crm.privacy.export import tables

    labels = {model._meta.label_lower for model in apps.get_models()}
    assert set(tables.LEFT_OUT) <= labels | {"auth.group", "auth.permission"}
    assert all(len(why) > 5 for why in tables.LEFT_OUT.values())
    for label, names in tables.LEFT_OUT_COLUMNS.items():
        fields = {field.name for field in apps.get_model(label)._meta.get_fields()}
        assert names <= fields, label


def test_records_are_as_djangos_own_serializer_writes_them(full: Any, owner: Any) -> None:
    from decimal import Decimal

    from django.core import serializers
    from guestpost_crm.outreach.models import Contact, Invoice, Order, Site
    from guestpost_crm.privacy.export import tables

    last = Site.objects.create(domain="z.example", custom={"1": [True, None, "ä", 1.5]})
    contact = Contact.objects.create(name='Bob "the\u2028pen"', notes="a\r\nb;c,d")
    # In the order of their domains, which is not the order of their keys.
    contact.sites.set([last, Site.objects.create(domain="a.example")])
    Contact.objects.create(name="+1")
    invoice = Invoice.objects.create(
        number="1", site=last, amount=Decimal("120.50"), currency="USD", issued_on=dt.date(2026, 1, 31)
    )
    invoice.orders.set(Order.objects.all())
    written = 0
    for model in tables.exported():
        rows = model._default_manager.order_by("pk")
        expected = serializers.serialize("jsonl", rows, fields=tables.columns(model))
        found = list(tables.records(model))
        lines = b"".join(line for line, _ in found).decode()
        # Django's cut microseconds off.
        assert re.sub(r"(:\d\d\.\d{3})\d{3}Z", r"\1Z", lines) == expected, model
        for line, row in found:
            [cells] = csv.reader(io.StringIO(row.decode(), newline=""))
            assert len(cells) == 1 + len(json.loads(line)["fields"])
        written += len(found)
    assert written > 10
    [*_, (_, named)] = tables.records(Contact)
    assert named.split(b",")[3] == b"'+1"
    [*_, (_, billed)] = tables.records(Invoice)
    assert b",120.50,USD,2026-01-31," in billed


def test_an_export_that_died_leaves_no_half_archive_and_can_be_repeated(full: Any, tmp_path: Path) -> None:
    from guestpost_crm.privacy.export.exporting import ARCHIVE, Progress, export

    class Killed(BaseException):
        """The process is gone."""

    total = []
    export(tmp_path, lambda progress: total.append(progress.messages + progress.rows))
    (tmp_path / ARCHIVE).unlink()
    for moment in range(1, len(total), 3):

        def die(progress: Progress, moment: int = moment) -> None:
            if progress.messages + progress.rows == moment:
                raise Killed

        with pytest.raises(Killed):
            export(tmp_path, die)
        assert not (tmp_path / ARCHIVE).exists()
    export(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [ARCHIVE]


@pytest.mark.parametrize("damage", ["flip", "cut", "drop", "add", "text"])
def test_a_damaged_archive_is_refused_and_changes_nothing(full: Any, tmp_path: Path, damage: str) -> None:
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy.export.archive import ArchiveError
    from guestpost_crm.privacy.export.exporting import export
    from guestpost_crm.privacy.export.importing import import_archive

    path = export(tmp_path).path
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[content.index(b"From here on")] ^= 1
    elif damage == "cut":
        del content[-200:]
    elif damage == "text":
        content = bytearray(b"no archive")
    path.write_bytes(bytes(content))
    if damage in ("drop", "add"):
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "other.zip", "w") as target:
            for name in source.namelist():
                if damage == "add" or "person.jsonl" not in name:
                    target.writestr(name, source.read(name))
            if damage == "add":
                target.writestr("tables/extra.jsonl", "{}")
        path = tmp_path / "other.zip"
    empty()
    with pytest.raises(ArchiveError):
        import_archive(path)
    assert not Person.objects.exists()


def test_a_tenant_that_has_something_takes_no_import(full: Any, tmp_path: Path) -> None:
    from guestpost_crm.inbox.models import Message
    from guestpost_crm.privacy.export.archive import ArchiveError
    from guestpost_crm.privacy.export.exporting import export
    from guestpost_crm.privacy.export.importing import import_archive

    path = export(tmp_path).path
    with pytest.raises(ArchiveError, match="this tenant is not empty"):
        import_archive(path)
    assert Message.objects.count() == 3
