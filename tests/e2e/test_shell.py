"""Support at a terminal in a customer's server: let in by the owner, recorded, and ended by the owner."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until
from terminal import Terminal

SUBJECT = "sam@support.example"
PROGRAM = ("guestpost-crm", "support-shell")


@pytest.fixture
def owner(tenant: Any) -> Person:
    found = Person(tenant.url, tenant.owner)
    journey.sign_in(found)
    return found


@pytest.fixture
def job(platform: Platform, tenant: Any, owner: Person) -> Iterator[str]:
    """Of a Shell that staff asked for and the owner approved; it runs."""
    where = ("-n", f"gpt-{tenant.name}")
    name = f"ticket-{uuid.uuid4().hex[:8]}"
    grant = {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "SupportGrant",
        "metadata": {"name": name},
        "spec": {"subject": SUBJECT, "reason": "Ticket 4711: no new mail.", "level": "Shell"},
    }
    platform.kubectl("create", *where, "-f", "-", stdin=json.dumps(grant))

    def asked() -> Any:
        page = owner.get("/support")
        return page if "/decide" in page.text else None

    page = until("the request", asked, seconds=60)
    owner.submit(page, {"answer": "approve", "level": "Shell"}, action="/decide")

    def open_now() -> str | None:
        status = platform.get("supportgrant", name, *where)["status"]
        truths = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return str(status["shell"]["job"]) if truths.get("ShellReady") == "True" else None

    yield until("the Shell", open_now, seconds=90)
    platform.kubectl("delete", "supportgrant", name, *where)


@pytest.fixture
def exec_in(platform: Platform, tenant: Any) -> Iterator[Callable[[str], Terminal]]:
    """The subject at a terminal, as the grant's condition says the command."""
    made: list[Terminal] = []

    def come_in(job: str) -> Terminal:
        command = [
            str(platform.kubectl_path), "exec", "-it", f"--as={SUBJECT}", "-n", f"gpt-{tenant.name}",
            f"job/{job}", "-c", "recorder", "--", *PROGRAM,
        ]  # fmt: skip
        made.append(Terminal(command, {**os.environ, "KUBECONFIG": str(platform.kubeconfig)}))
        return made[-1]

    yield come_in
    for each in made:
        each.close()


@pytest.mark.promise("P6.1")
def test_a_shell_reads_is_recorded_and_ends_when_the_owner_ends_it(
    platform: Platform, tenant: Any, owner: Person, job: str, exec_in: Callable[[str], Terminal]
) -> None:
    sam = exec_in(job)
    sam.read_until(f"support@{tenant.name}")
    sam.type("guestpost-crm support-query 'SELECT email FROM person'")
    sam.read_until(tenant.owner)
    sam.type("guestpost-crm support-query 'DELETE FROM person'; echo refused-$?")
    sam.read_until("refused-1")
    sam.type("ls /etc/guestpost; echo listed-$?")
    assert "keys" not in sam.read_until("listed-0")

    seen = owner.get("/support")
    owner.submit(seen, {}, action="/end")
    assert sam.process.wait(30) != 0

    def gone() -> bool:
        pods = platform.get("pods", "-n", f"gpt-{tenant.name}", "-l", f"guestpostcrm.com/support={job}")
        return not pods["items"]

    until("the pod to go", gone, seconds=60)
    assert "DELETE FROM person" in terminal_of(owner)


def terminal_of(owner: Person) -> str:
    """What the owner finds about the newest terminal."""
    access = owner.get("/support").text.partition('href="/support/')[2].partition('"')[0]
    terminal = (
        owner.get(f"/support/{access}").text.partition('href="/support/terminals/')[2].partition('"')[0]
    )
    return owner.get(f"/support/terminals/{terminal}").text


@pytest.mark.promise("P6.1")
def test_nobody_else_comes_in_and_no_other_way(platform: Platform, tenant: Any, job: str) -> None:
    sam = f"--as={SUBJECT}"
    for container, command, why in (
        # The administrator of the cluster.
        ("recorder", ("--", *PROGRAM), "has no approved SupportGrant"),
        ("recorder", (sam, "--", "sh", "-c", "id"), "this terminal is recorded"),
        ("shell", (sam, "--", "sh", "-c", "id"), "this terminal is recorded"),
    ):
        with pytest.raises(RuntimeError, match=why):
            platform.kubectl("exec", "-n", f"gpt-{tenant.name}", f"job/{job}", "-c", container, *command)
