"""The terminal of an approved Shell: the programs as in their pod, a pseudo-terminal, a real database."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from terminal import PATIENCE, Terminal

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = (sys.executable, "-m", "guestpost_crm")


@pytest.fixture
def access(owner: Any) -> Any:
    """A Shell that the owner has approved for an hour."""
    from django.utils import timezone
    from guestpost_crm.support.models import SupportAccess

    now = timezone.now()
    return SupportAccess.objects.create(
        tenant="uid-of-acme",
        grant="grant-1",
        name="ticket-1",
        subject="sam@support.example",
        reason="Ticket 4711",
        level="Shell",
        seconds=3600,
        asked_at=now,
        decision="Approved",
        given_level="Shell",
        decided_by=owner,
        decided_at=now,
        expires_at=now + dt.timedelta(hours=1),
    )


@pytest.fixture
def reading_account(crm: None) -> Iterator[None]:
    """What the operator has CloudNativePG run when it makes a tenant's database."""
    from django.db import connection

    documents = yaml.safe_load_all((ROOT / "tests/unit/operator/golden/ingress.yaml").read_text())
    [cluster] = [each for each in documents if each["kind"] == "Cluster"]
    with connection.cursor() as cursor:
        for statement in cluster["spec"]["bootstrap"]["initdb"]["postInitApplicationSQL"]:
            cursor.execute(statement)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA support_access CASCADE")
        cursor.execute("DROP OWNED BY support; DROP ROLE support")


class Pod:
    """The programs of the two containers, and people who exec into one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.terminals: list[Terminal] = []
        self.recorder_environment = {**os.environ, "SUPPORT_GRANT": "grant-1", "SUPPORT_FOLDER": str(folder)}

    def start(self, program: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*PROGRAM, program], env=environment)
        self.running.append(process)
        return process

    def begin(self) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        """Recorder and terminal; the terminal has no variable of the CRM."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        least = {"PATH": path, "PYTHONPATH": str(ROOT / "tenant_app"), "TENANT_NAME": "acme"}
        least["SUPPORT_FOLDER"] = str(self.folder)
        return self.start("support-recorder", self.recorder_environment), self.start(
            "support-terminal", least
        )

    def exec(self) -> Terminal:
        wait((self.folder / "terminal.sock").exists, "the terminal")
        return self.come_in()

    def come_in(self) -> Terminal:
        made = Terminal([*PROGRAM, "support-shell"], self.recorder_environment)
        self.terminals.append(made)
        return made

    def stop(self) -> None:
        for terminal in self.terminals:
            terminal.close()
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def wait(met: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def pod(crm: None, tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    made.stop()


@pytest.mark.promise("P6.1")
@pytest.mark.usefixtures("reading_account")
def test_what_is_typed_and_shown_is_on_the_customers_page(access: Any, pod: Pod, page: Any) -> None:
    pod.begin()
    sam = pod.exec()
    sam.read_until("support@acme")
    sam.type("echo one-$((1 + 1))")
    sam.read_until("one-2")
    sam.type("guestpost-crm support-query 'SELECT email FROM person'")
    sam.read_until("anna@acme.example")
    sam.type("guestpost-crm support-query 'DELETE FROM person'; echo refused-$?")
    sam.read_until("refused-1")
    sam.type("stty -echo; echo done-$((2 + 1))")
    sam.read_until("done-3")
    sam.type(": what the screen does not show; echo seen-$((3 + 1))")
    sam.read_until("seen-4")
    # No variable of the CRM is there: neither keys nor the database's own password.
    sam.type("stty echo; env | cut -d= -f1 | sort | paste -sd, ; echo end-$((4 + 1))")
    shown = sam.read_until("end-5")
    assert "DATABASE_URL" not in shown
    assert "KEY" not in shown
    sam.type("exit 3")
    assert sam.process.wait(PATIENCE) == 3
    [session] = access.shells.all()
    wait(lambda: access.shells.filter(ended_at=None).count() == 0, "its end")
    text = page.get(f"/support/terminals/{session.pk}").content.decode()
    for said in ("one-2", "anna@acme.example", "what the screen does not show", "exit 3"):
        assert said in text, said
    assert "\x1b" not in text
    assert f"/support/terminals/{session.pk}" in page.get(f"/support/{access.pk}").content.decode()
    audit = page.get("/audit").content.decode()
    assert "support.shell-began" in audit
    assert "support.shell-ended" in audit


@pytest.mark.promise("P6.1")
@pytest.mark.usefixtures("reading_account")
def test_ending_it_ends_an_open_terminal_and_the_databases_account(access: Any, pod: Pod, page: Any) -> None:
    from django.db import connection

    def account() -> tuple[bool, Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT rolpassword IS NOT NULL, rolvaliduntil FROM pg_authid WHERE rolname = 'support'"
            )
            return cursor.fetchone()

    recorder, terminal = pod.begin()
    sam = pod.exec()
    sam.read_until("support@acme")
    assert account() == (True, access.expires_at)
    begin = time.monotonic()
    page.post(f"/support/{access.pk}/end")
    assert recorder.wait(PATIENCE) == 0
    assert sam.process.wait(PATIENCE) is not None
    assert terminal.wait(PATIENCE) == 0
    assert time.monotonic() - begin < 10
    assert account()[0] is False
    assert not (pod.folder / "database.env").exists()
    assert access.shells.get().ended_at is not None
    assert pod.start("support-recorder", pod.recorder_environment).wait(PATIENCE) == 1


@pytest.mark.promise("P6.1")
def test_time_ends_it_and_without_an_approval_there_is_nothing(access: Any, pod: Pod) -> None:
    from django.utils import timezone
    from guestpost_crm.support.models import SupportAccess

    recorder, terminal = pod.begin()
    sam = pod.exec()
    # A server whose database is older than such accounts: the terminal is there all the same.
    sam.read_until("support@acme")
    SupportAccess.objects.update(expires_at=timezone.now() + dt.timedelta(seconds=1))
    assert recorder.wait(PATIENCE) == 0
    assert terminal.wait(PATIENCE) == 0
    sam.process.wait(PATIENCE)
    refused = pod.come_in()
    refused.read_until("its time is over")
    assert refused.process.wait(PATIENCE) == 1
    SupportAccess.objects.update(given_level="Browse", expires_at=timezone.now() + dt.timedelta(hours=1))
    assert pod.start("support-recorder", pod.recorder_environment).wait(PATIENCE) == 1


@pytest.mark.promise("P6.1")
@pytest.mark.usefixtures("reading_account")
def test_the_databases_account_reads_and_only_the_crm_opens_it(crm_environment: Any) -> None:
    host = crm_environment["DATABASE_URL"].rpartition("host=")[2]
    with psycopg.connect(host=host, dbname="crm", user="support", autocommit=True) as support:
        assert support.execute("SELECT count(*) FROM person").fetchone()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            support.execute("DELETE FROM person")
        support.execute("SET default_transaction_read_only = off")
        for statement in (
            "DELETE FROM person",
            "CREATE TABLE eve (name text)",
            "SELECT support_access.open('x', 'infinity')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                support.execute(statement)


def test_what_moves_a_cursor_is_left_out_of_a_transcript(crm: None) -> None:
    from guestpost_crm.support.transcript import plain

    assert plain("\x1b[1;32mgreen\x1b[0m\r\nnext") == "green\nnext"
    assert plain("\x1b]0;a title\x07text") == "text"
    assert plain("lx\b \bs\r\n") == "ls\n"
    assert plain("first\rsecond") == "first\nsecond"
    assert plain("a\x00b\x1b(Bc") == "abc"


def test_operator_and_crm_sign_and_check_the_same_words(crm: None) -> None:
    from guestpost_crm.support import signing
    from guestpost_operator import support
    from guestpost_operator.api.grant import Approval

    given = {"decision": "Approved", "level": "Shell", "decidedAt": "x", "expiresAt": "2026-11-24T13:00:00Z"}
    ours = signing.statement("tenant", "grant", "Shell", given["expiresAt"])
    assert ours == support.statement("tenant", "grant", Approval.model_validate(given))
