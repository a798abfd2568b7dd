"""The second login of PostgreSQL works as the first: what it makes belongs to the first, and either goes on.

The roles are made as CloudNativePG makes what the operator declares: manifests/database.yaml.j2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import local_services
import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with a database of `app`, which `app_b` may act as; the address of its superuser."""
    try:
        with local_services.postgres() as address:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("CREATE ROLE app LOGIN")
                connection.execute("CREATE ROLE app_b LOGIN IN ROLE app")
                connection.execute("CREATE DATABASE tenant OWNER app")
            yield address
    except local_services.MissingPostgresError as missing:
        pytest.skip(str(missing))


def address(server: str, login: str) -> str:
    """As the operator renders DATABASE_URL for a login."""
    acting = "&options=-c%20role%3Dapp" if login == "app_b" else ""
    return server.replace("crm@/crm", f"{login}@/tenant") + acting


def migrate(server: str, login: str, folder: Path) -> str:
    """Run the real program."""
    variables = local_services.crm_environment(
        address(server, login), folder, "http://acme.localhost", "none"
    )
    done = subprocess.run(
        [sys.executable, "-m", "guestpost_crm", "migrate"],
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT / "tenant_app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.promise("P8.1")
def test_what_the_second_login_makes_belongs_to_the_first(server: str, tmp_path: Path) -> None:
    assert "Applying" in migrate(server, "app_b", tmp_path)
    with psycopg.connect(server.replace("@/crm", "@/tenant")) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert owners == [("app",)]
    assert "No migrations to apply" in migrate(server, "app", tmp_path)
    for login in ("app", "app_b"):
        with psycopg.connect(address(server, login)) as connection:
            connection.execute("INSERT INTO data_key (wrapped, created_at) VALUES ('x', now())")
            connection.execute("ALTER TABLE data_key ADD COLUMN IF NOT EXISTS extra int")
            [(session, acting)] = connection.execute("SELECT session_user, current_user").fetchall()
            assert (session, acting) == (login, "app")


def test_the_second_login_cannot_give_itself_more(server: str) -> None:
    with (
        psycopg.connect(address(server, "app_b")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SET ROLE crm")
