"""Importing a spreadsheet: guess the columns, check every line, then all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach import csvfiles
from guestpost_crm.outreach.models import Spreadsheet
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.services import custom
from guestpost_crm.outreach.services.acting import acted
from guestpost_crm.outreach.services.imports.contacts import CONTACTS
from guestpost_crm.outreach.services.imports.orders import ORDERS
from guestpost_crm.outreach.services.imports.rows import Importer, Preview, Problem, cells, guess
from guestpost_crm.outreach.services.imports.sites import SITES
from guestpost_crm.told import gettext_noop

__all__ = [
    "IMPORTERS",
    "MOST_BYTES",
    "MOST_TOLD",
    "Importer",
    "Preview",
    "Problem",
    "preview",
    "run",
    "upload",
]

IMPORTERS: dict[str, Importer] = {Target.SITE: SITES, Target.CONTACT: CONTACTS, Target.ORDER: ORDERS}
MOST_BYTES = 5 << 20
MOST_TOLD = 200


def upload(person: Person, name: str, content: bytes, target: str = Target.SITE) -> Spreadsheet:
    """Keep an uploaded file until it is imported.

    Args:
        person: who imports it.
        name: of the file.
        content: of the file.
        target: what its lines are, a key of IMPORTERS.

    Raises:
        csvfiles.CsvError: it can't be read.
        PermissionDenied: the person may only read.
    """
    text = csvfiles.decode(content)
    if len(csvfiles.read(text)) < 2:
        raise csvfiles.CsvError(gettext_noop("The file has no rows below its heading."))
    with transaction.atomic():
        Spreadsheet.objects.filter(person=person, done_at=None).delete()
        made = Spreadsheet.objects.create(person=person, name=name[:200], content=text, target=target)
        acted(person, "import.uploaded", f"import:{made.pk}")
    return made


def preview(batch: Spreadsheet, chosen: Mapping[int, str] | None = None) -> Preview:
    """What importing a file would do.

    Args:
        batch: the file.
        chosen: field by number of column; guessed when None.

    Raises:
        csvfiles.CsvError: it can't be read.
    """
    importer = IMPORTERS[batch.target]
    rows = csvfiles.read(batch.content)
    header = rows[0][1] if rows else []
    customs = {f"custom.{each.key}": each for each in custom.definitions(batch.target)}
    mapping = dict(chosen) if chosen is not None else guess(importer, header, list(customs.values()))
    known = {*importer.fields, *customs}
    mapping = {number: name for number, name in mapping.items() if name in known}
    found = Preview(header, mapping, importer.key, sample=[row for _line, row in rows[1:4]])
    if found.has_key:
        importer.check(found, [(line, cells(row, mapping)) for line, row in rows[1:]], customs)
        found.problems.sort(key=lambda problem: problem.line)
    return found


def run(person: Person, upload_key: int, mapping: Mapping[int, str]) -> Spreadsheet:
    """Import a file; the same file again changes nothing.

    Raises:
        csvfiles.CsvError: a line is wrong by now; nothing was imported.
        PermissionDenied: the person may only read.
    """
    try:
        return _run(person, upload_key, mapping)
    except IntegrityError:
        problem = gettext_noop(
            "Somebody changed the same records a moment ago. Nothing was imported: try again."
        )
        raise csvfiles.CsvError(problem) from None


@transaction.atomic
def _run(person: Person, upload_key: int, mapping: Mapping[int, str]) -> Spreadsheet:
    batch = Spreadsheet.objects.select_for_update().get(pk=upload_key, person=person)
    if batch.done_at is not None:
        return batch
    found = preview(batch, mapping)
    if found.problems or not found.has_key:
        raise csvfiles.CsvError(gettext_noop("Some lines are wrong. Nothing was imported."))
    IMPORTERS[batch.target].store(found, person)
    batch.made, batch.changed, batch.unchanged = found.made, found.changed, found.unchanged
    batch.done_at, batch.content = timezone.now(), ""
    batch.save()
    acted(person, "import.done", f"import:{batch.pk}", made=found.made, changed=found.changed)
    return batch
