"""Sites from a spreadsheet: columns guessed and corrected, every line checked, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from lxml import html

GOOD = (
    "Website;DR;Monthly traffic;Guest post price;Link type;Client tier\r\n"
    "https://www.one.example/;54;12.5k;€1.200;dofollow;A\r\n"
    "müller.example;;;;;\r\n"
)


def upload(page: Any, content: str | bytes, name: str = "sites.csv") -> Any:
    file = BytesIO(content.encode() if isinstance(content, str) else content)
    file.name = name
    return page.post("/sites/import", {"file": file})


def test_a_file_is_previewed_and_imported_by_two_clicks(make: Any, page: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.models import CustomField, Site, Spreadsheet

    CustomField.objects.create(target="site", key="tier", label="Client tier")
    address = upload(page, GOOD).url
    text = page.get(address).content.decode()
    assert "one.example" in text
    assert not Site.objects.exists()
    mapping = {"column-0": "domain", "column-1": "dr", "column-2": "traffic", "column-3": "price"}
    mapping |= {"column-4": "link_policy", "column-5": "custom.tier"}
    for number, name in enumerate(mapping.values()):
        assert f'name="column-{number}"' in text
        assert f'<option value="{name}" selected>' in text
    answer = page.post(address, {**mapping, "do": "import"}, follow=True)
    assert "Imported: 2 new, 0 changed, 0 as before." in answer.content.decode()
    site = Site.objects.get(domain="one.example")
    assert (site.dr, site.traffic, site.price, site.currency) == (54, 12_500, Decimal(1200), "EUR")
    assert (site.link_policy, site.custom) == ("dofollow", {"tier": "A"})
    assert Site.objects.filter(domain="xn--mller-kva.example").exists()
    assert Spreadsheet.objects.get().content == ""
    assert AuditEvent.objects.get(action="import.done").detail == {"made": 2, "changed": 0}
    again = page.post(address, {**mapping, "do": "import"}, follow=True)
    assert again.status_code == 200
    assert Site.objects.count() == 2


def test_each_wrong_line_is_told_with_its_number_and_nothing_is_imported(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Site

    make.site("known.example", dr=1)
    content = (
        "domain,dr,price,currency,link policy,do not contact,traffic,turnaround days\n"
        "good.example,10,100,USD,dofollow,no,1000,5\n"
        "not a domain,10,100,USD,dofollow,no,1000,5\n"
        "\n"
        "known.example,101,cheap,XYZ,maybe,perhaps,many,1000\n"
        "good.example,11,,,,,,\n"
    )
    address = upload(page, content).url
    text = page.get(address).content.decode()
    for line, told in (
        (3, "“not a domain” is not a domain"),
        (5, "“101” is more than 100."),
        (5, "“cheap” is not an amount"),
        (5, "“XYZ” is no currency"),
        (5, "“maybe” is not dofollow, nofollow or sponsored."),
        (5, "“perhaps” is neither yes nor no."),
        (5, "“many” is no number."),
        (5, "“1000” is more than 999."),
        (6, "good.example stands in line 2 already."),
    ):
        assert told in text, (line, told)
        place = text.index(told)
        row = text.rfind("<tr", 0, place)
        assert str(line) in text[row:place], (line, told)
    names = content.splitlines()[0].split(",")
    fields = [name.replace(" ", "_") for name in names]
    mapping = {f"column-{number}": name for number, name in enumerate(fields)}
    answer = page.post(address, {**mapping, "do": "import"})
    assert answer.status_code == 422
    assert "Some lines are wrong. Nothing was imported." in answer.content.decode()
    assert [site.dr for site in Site.objects.all()] == [1]


def test_a_mapping_that_was_corrected_is_kept_and_used(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Site

    address = upload(page, "A,B\none.example,Travel\n").url
    text = page.get(address).content.decode()
    assert "selected>Domain" not in text
    answer = page.post(address, {"column-0": "domain", "column-1": "niche", "do": "preview"})
    assert '<option value="niche" selected>' in answer.content.decode()
    page.post(address, {"column-0": "domain", "column-1": "niche", "do": "import"})
    assert Site.objects.get().niche == "Travel"


def test_an_empty_cell_leaves_what_is_there(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Site

    make.site("known.example", dr=40, niche="Travel", notes="ours")
    address = upload(page, "domain,dr,niche\nknown.example,,Food\n").url
    answer = page.post(
        address, {"column-0": "domain", "column-1": "dr", "column-2": "niche", "do": "import"}, follow=True
    )
    assert "0 new, 1 changed, 0 as before" in answer.content.decode()
    site = Site.objects.get()
    assert (site.dr, site.niche, site.notes) == (40, "Food", "ours")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no rows below its heading"),
        (b"domain\n", "no rows below its heading"),
        (b"domain\n" + b"x.example\n" * 20_002, "More than 20,000 rows"),
        (("a," * 120 + "b\n1,2\n").encode(), "at most 100 are read"),
        (b'domain\n"' + b"x" * 200_000 + b'"\n', "Line 2"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(page: Any, content: bytes, told: str) -> None:
    from guestpost_crm.outreach.models import Spreadsheet

    answer = upload(page, content)
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert not Spreadsheet.objects.exists()


def test_a_file_that_is_too_large_is_refused_unread(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm.outreach.services import imports

    monkeypatch.setattr(imports, "MOST_BYTES", 1 << 20)
    answer = upload(page, b"x" * ((1 << 20) + 1))
    assert "The file is larger than 1 MiB: split it." in answer.content.decode()
    assert "Choose a file first." in page.post("/sites/import").content.decode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_whatever_spreadsheets_write_is_read(page: Any, encoding: str) -> None:
    from guestpost_crm.outreach.models import Site

    address = upload(page, "domain\tniche\r\none.example\tCafé\r\n".encode(encoding)).url
    page.post(address, {"column-0": "domain", "column-1": "niche", "do": "import"})
    assert Site.objects.get().niche == "Café"


def test_what_is_exported_comes_back_as_it_was(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import CustomField, Site

    CustomField.objects.create(target="site", key="since", label="Since", kind="date")
    values = {
        "niche": "-Travel, “far”",
        "language": "German",
        "dr": 40,
        "da": 41,
        "traffic": 12_345,
        "price": Decimal("1200.50"),
        "currency": "EUR",
        "turnaround_days": 7,
        "link_policy": "sponsored",
        "max_links": 2,
        "notes": '=SUM(A1)\n"quoted"',
        "do_not_contact": True,
        "custom": {"since": "2026-01-31"},
    }
    make.site("one.example", **values)
    content = b"".join(page.get("/sites/export").streaming_content)
    Site.objects.all().delete()
    text = page.get(address := upload(page, content).url).content.decode()
    [form] = [each for each in html.fromstring(text).forms if "column-0" in each.fields]
    chosen = {name: value for name, value in form.form_values() if name.startswith("column-")}
    page.post(address, {**chosen, "do": "import"})
    site = Site.objects.get()
    assert {name: getattr(site, name) for name in values} == values


def test_nobody_sees_the_file_of_somebody_else(
    page: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    address = upload(page, GOOD).url
    assert browser(person("manager")).get(address).status_code == 404
    reader = browser(person("reader"))
    assert reader.get(address).status_code == 403
    assert upload(reader, GOOD).status_code == 403


def test_a_large_file_is_imported_in_a_number_of_queries_that_does_not_grow(
    make: Any, member: Any, django_queries: Callable[..., Any]
) -> None:
    from guestpost_crm.outreach.services import imports

    def queries(rows: int) -> int:
        lines = "".join(f"s{rows}x{number}.example,{number % 100}\n" for number in range(rows))
        batch = imports.upload(member, "x.csv", f"domain,dr\n{lines}".encode())
        with django_queries() as found:
            imports.run(member, batch.pk, {0: "domain", 1: "dr"})
        return len(found)

    assert queries(400) == queries(10)
