"""Importing sites, contacts and orders: the file, the preview with its mapping, the import."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach import csvfiles
from guestpost_crm.outreach.models import Spreadsheet
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.services import custom, imports
from guestpost_crm.outreach.views.common import UNPROCESSABLE, writing

_SHOWN = 8


def _words(target: str) -> dict[str, Any]:
    """What pages say of a kind of records, where they are, and how the newest are shown first."""
    if target == Target.CONTACT:
        return {
            "heading": _("Import contacts"), "list": "contacts", "sort": "-added", "begin": "contact-import",
        }  # fmt: skip
    if target == Target.ORDER:
        return {
            "heading": _("Import orders"), "list": "order-list", "sort": "-number", "begin": "order-import",
        }  # fmt: skip
    return {"heading": _("Import sites"), "list": "sites", "sort": "-added", "begin": "site-import"}


@require_http_methods(["GET", "POST"])
@writing
def begin(request: HttpRequest, target: str = Target.SITE) -> HttpResponse:
    """Choose a file."""
    problem = ""
    if request.method == "POST":
        file = request.FILES.get("file")
        if file is None:
            problem = _("Choose a file first.")
        elif (file.size or 0) > imports.MOST_BYTES:
            problem = _("The file is larger than %(most)s MiB: split it.") % {
                "most": imports.MOST_BYTES >> 20
            }
        else:
            try:
                batch = imports.upload(signed_in(request), file.name or "", file.read(), target)
                return redirect("import", key=batch.pk)
            except csvfiles.CsvError as error:
                problem = error.shown()
    fields = imports.IMPORTERS[target].fields.values()
    context = {"problem": problem, "fields": fields, "target": target, **_words(target)}
    return render(request, "outreach/import_begin.html", context, status=UNPROCESSABLE if problem else 200)


@require_http_methods(["GET", "POST"])
@writing
def show(request: HttpRequest, key: int) -> HttpResponse:
    """What the file would change; the mapping can be corrected, then it is imported."""
    batch = get_object_or_404(Spreadsheet, pk=key, person=signed_in(request))
    if batch.done_at is not None:
        return render(request, "outreach/import_done.html", {"batch": batch, **_words(batch.target)})
    chosen = _mapping(request) if request.method == "POST" else None
    if request.method == "POST" and request.POST.get("do") == "import" and chosen is not None:
        try:
            done = imports.run(signed_in(request), key, chosen)
        except csvfiles.CsvError as error:
            messages.error(request, error.shown())
        else:
            told = {"made": done.made, "changed": done.changed, "unchanged": done.unchanged}
            messages.success(
                request, _("Imported: %(made)s new, %(changed)s changed, %(unchanged)s as before.") % told
            )
            return redirect("import", key=key)
    found = imports.preview(batch, chosen)
    status = UNPROCESSABLE if request.method == "POST" and found.problems else 200
    return render(request, "outreach/import.html", _context(batch, found), status=status)


def _mapping(request: HttpRequest) -> dict[int, str]:
    """The mapping that the form says; a field that is chosen twice counts once."""
    mapping: dict[int, str] = {}
    for number in range(csvfiles.MOST_COLUMNS):
        name = request.POST.get(f"column-{number}", "")
        if name and name not in mapping.values():
            mapping[number] = name
    return mapping


def _context(batch: Spreadsheet, found: imports.Preview) -> dict[str, Any]:
    fields = imports.IMPORTERS[batch.target].fields
    choices = [*fields.items()]
    choices += [(f"custom.{each.key}", each.label) for each in custom.definitions(batch.target)]
    columns = [
        {
            "number": number,
            "title": title or _("(no name)"),
            "chosen": found.mapping.get(number, ""),
            "sample": [row[number] for row in found.sample if number < len(row) and row[number]],
        }
        for number, title in enumerate(found.header)
    ]
    return {
        "batch": batch,
        "found": found,
        "columns": columns,
        "choices": choices,
        "key_label": fields[found.key],
        "problems": found.problems[: imports.MOST_TOLD],
        "more_problems": max(0, len(found.problems) - imports.MOST_TOLD),
        "rows": found.records[:_SHOWN],
        **_words(batch.target),
    }
