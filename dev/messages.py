"""Finds the CRM's texts, keeps the catalogues of its other languages, makes what programs read of them.

make messages        write them; what is new stands there without a translation
dev/messages.py --check    say what is untranslated, unsure, left over or not made; exits with 1 then
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tenant_app" / "guestpost_crm"
LOCALES = PACKAGE / "web" / "locale"
# Dates and tools would make every run a change.
_NOISE = re.compile(r'^"(?:POT-Creation-Date|PO-Revision-Date|X-Generator): .*\\n"\n', re.MULTILINE)


def languages() -> list[str]:
    """The languages besides English."""
    return sorted(each.name for each in LOCALES.iterdir() if each.is_dir())


def extract(package: Path) -> None:
    """Bring the catalogues of a copy of the package, or of itself, up to date with its code."""
    sys.path[:0] = [str(ROOT / "dev" / "checks"), str(ROOT / "tenant_app")]
    os.environ["DJANGO_SETTINGS_MODULE"] = "crm_settings_for_checks"
    import django
    from django.conf import settings
    from django.core.management import call_command

    locales = package / LOCALES.relative_to(PACKAGE)
    settings.LOCALE_PATHS = [str(locales)]
    django.setup()
    # Texts are looked for below the folder that we are in.
    os.chdir(package)
    call_command(
        "makemessages", locale=languages(), no_location=True, no_obsolete=True, verbosity=0,
        ignore_patterns=["migrations/*"],
    )  # fmt: skip
    for catalogue in locales.glob("*/LC_MESSAGES/django.po"):
        text = catalogue.read_text(encoding="utf-8")
        catalogue.write_text(_NOISE.sub("", text), encoding="utf-8")


def compiled(catalogue: Path) -> bytes:
    """What programs read of a catalogue; msgfmt also checks that the places for values agree."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "django.mo"
        subprocess.run(["msgfmt", "--check-format", "-o", target, catalogue], check=True)
        return target.read_bytes()


def entries(catalogue: Path) -> Iterator[tuple[str, list[str], bool]]:
    """The texts of a catalogue: the text, its translations, whether somebody has to look at them."""
    for block in catalogue.read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if match := re.match(r'(msg\w+(?:\[\d\])?) (".*")$', line):
                name, value = match[1], match[2]
                fields[name] = ast.literal_eval(value)
            elif line.startswith('"'):
                fields[name] += ast.literal_eval(line)
        if fields.get("msgid"):
            translations = [value for key, value in fields.items() if key.startswith("msgstr")]
            yield fields["msgid"], translations, "fuzzy" in (block.partition("\nmsg")[0])


def problems() -> Iterator[str]:
    """What is wrong with the catalogues that are here."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "guestpost_crm"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        extract(package)
        fresh = package / LOCALES.relative_to(PACKAGE)
        for language in languages():
            place = Path(language) / "LC_MESSAGES" / "django.po"
            known = {text for text, _translations, _unsure in entries(LOCALES / place)}
            for text, translations, unsure in entries(fresh / place):
                if text not in known or not all(translations):
                    yield f"{language}: untranslated: {text!r}"
                elif unsure:
                    yield f"{language}: fuzzy: {text!r}"
            for text in known - {text for text, _translations, _unsure in entries(fresh / place)}:
                yield f"{language}: nobody says this any more: {text!r}"
            made = (LOCALES / place).with_suffix(".mo")
            if not made.exists() or made.read_bytes() != compiled(LOCALES / place):
                yield f"{language}: {made.name} is not what its catalogue says: run make messages"


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = list(problems())
        for each in found:
            print(each, file=sys.stderr)
        return 1 if found else 0
    extract(PACKAGE)
    for language in languages():
        catalogue = LOCALES / language / "LC_MESSAGES" / "django.po"
        catalogue.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = [text for text, translations, _unsure in entries(catalogue) if not all(translations)]
        print(f"{language}: {len(missing)} untranslated", *(f"  {text!r}" for text in missing), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
