"""What the CRM needs from outside: read once, named when missing, and all of it documented."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from guestpost_crm.environment import Environment, SettingError, database, load, secret

ROOT = Path(__file__).resolve().parents[3]
NEEDED = {
    setting.name.upper(): "x"
    for setting in fields(Environment)
    if setting.default is MISSING and setting.name != "public_url"
} | {"PUBLIC_URL": "https://acme.example"}


def documented() -> dict[str, str]:
    """Each variable of the table with the text of its row."""
    rows = {}
    for line in (ROOT / "docs/configuration.md").read_text(encoding="utf-8").splitlines():
        names = re.findall(r"`([A-Z_]+)`", line.split("|")[1]) if line.startswith("| `") else []
        rows.update(dict.fromkeys(names, line))
    return rows


def test_every_variable_is_documented_and_none_besides() -> None:
    foreign = {"PUBSUB_EMULATOR_HOST"}  # read by Google's library
    assert set(documented()) == {setting.name.upper() for setting in fields(Environment)} | foreign


def test_the_table_says_which_are_needed_and_the_defaults_of_the_others() -> None:
    for setting in fields(Environment):
        row = documented()[setting.name.upper()]
        assert (row.split("|")[2].strip() == "yes") == (setting.default is MISSING), setting.name
        if setting.default not in (MISSING, ""):
            default = setting.default
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert re.search(rf"default `?{re.escape(shown)}\b", row), row


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_missing_variable_is_named(name: str) -> None:
    without = {key: value for key, value in NEEDED.items() if key != name}
    with pytest.raises(SettingError, match=f"^{name} is not set: see docs/configuration.md$"):
        load(without)


def test_a_number_must_be_one() -> None:
    with pytest.raises(SettingError, match="PORT must be a number"):
        load({**NEEDED, "PORT": "https"})


@pytest.mark.parametrize("address", ["acme.example", "ftp://acme.example", "https://"])
def test_the_public_address_must_be_one_of_the_web(address: str) -> None:
    with pytest.raises(SettingError, match="PUBLIC_URL must be an address such as"):
        load({**NEEDED, "PUBLIC_URL": address})


def test_secrets_come_from_files_and_are_never_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(SettingError, match=r"TENANT_KEY_FILE: .* is empty"):
        secret(str(empty), "TENANT_KEY_FILE")
    with pytest.raises(SettingError, match=r"TENANT_KEY_FILE: can't read .*: No such file"):
        secret(str(tmp_path / "none"), "TENANT_KEY_FILE")


def test_a_database_address_becomes_django_settings() -> None:
    found = database("postgresql://u%40x:p%2Fw@db:5433/crm?sslmode=verify-full&sslrootcert=/ca.crt")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("u@x", "p/w", "db", "5433")
    assert found["OPTIONS"]["sslmode"] == "verify-full"
    assert found["OPTIONS"]["options"] == "-c jit=off"
    more = database("postgresql://db/crm?options=-c%20search_path%3Dx")
    assert more["OPTIONS"]["options"] == "-c jit=off -c search_path=x"


@pytest.mark.parametrize("address", ["", "mysql://db/crm", "postgresql://db"])
def test_another_database_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(SettingError, match="DATABASE_URL must be postgresql://"):
        database(address)


MAIL = {"SMTP_HOST": "mail.example", "SMTP_FROM": "CRM <crm@mail.example>"}


def test_a_mail_server_is_optional_and_its_settings_fit_together() -> None:
    assert load(NEEDED).smtp_host == ""
    assert load({**NEEDED, **MAIL}).smtp_security == "starttls"
    for wrong, named in (
        ({"SMTP_FROM": ""}, "SMTP_FROM must be the address"),
        ({"SMTP_FROM": "nobody"}, "SMTP_FROM must be the address"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY must be starttls, tls or none"),
        ({"SMTP_SECURITY": "none", "SMTP_USER": "x"}, "would send the password"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT must be a number"),
    ):
        with pytest.raises(SettingError, match=named):
            load({**NEEDED, **MAIL, **wrong})
