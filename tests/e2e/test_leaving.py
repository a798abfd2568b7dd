"""A customer leaves: takes everything along, has it elsewhere, and nothing stays but a receipt."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import local_services
import pytest
from google_standin.testing import Control
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = 12


def mail(to: str, number: int) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = f"Bob {number} <bob{number}@site.example>", to
    message["Subject"] = f"Offer {number}, with a draft"
    message["Message-ID"] = f"<{uuid.uuid4().hex}@site.example>"
    message.set_content(
        f"Our price is {100 + number} USD. Zażółć gęślą jaźń.\nFrom here on it gets cheaper.\n"
    )
    message.add_attachment(
        os.urandom(50_000), maintype="application", subtype="pdf", filename=f"draft-{number}.pdf"
    )
    return message.as_bytes()


@pytest.fixture(scope="module")
def customer(platform: Platform, control: Control) -> Iterator[tuple[str, Person]]:
    """The owner of a tenant of its own, with mail; its name."""
    name = f"l{uuid.uuid4().hex[:8]}"
    owner = f"owner@{name}.example"
    control.account(owner, "Lea Owner")
    spec = {
        "owner": {"name": "Lea Owner", "email": owner},
        "region": "europe-west1",
        "googleProject": "guestpost-dev",
    }
    kind = {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant"}
    platform.apply_tenant({**kind, "metadata": {"name": name}, "spec": spec})
    url = platform.tenant_ready(name)["status"]["app"]["url"]
    person = Person(url, owner)
    journey.sign_in(person)
    journey.connect_mailbox(person)
    for number in range(MESSAGES):
        control.deliver(owner, mail(owner, number))
    until("the mail", lambda: len(journey.subjects(person)) == MESSAGES, seconds=60)
    yield name, person
    # What a failure left behind.
    if platform.kubectl("get", "gpt", name, "--ignore-not-found"):
        patch = {"spec": {"deletion": {"finalExport": "Skip"}}}
        platform.kubectl("patch", "gpt", name, "--type=merge", "-p", json.dumps(patch))
        platform.kubectl("delete", "gpt", name, "--timeout=180s")


def page(person: Person, path: str, words: str, seconds: float = 120) -> Any:
    """The page once it says something."""

    def there() -> Any:
        answer = person.get(path)
        return answer if words in " ".join(answer.text.split()) else None

    return until(f"{words!r} at {path}", there, seconds=seconds)


def zipped(answer: Any) -> bytes | None:
    content: bytes = answer.content
    return content if answer.headers["content-type"] == "application/zip" else None


def download(person: Person, shown: Any, folder: Path) -> Path:
    """The archive that a page offers, checked against the checksum that it shows."""
    [link] = {
        part.split('"')[0] for part in shown.text.split('href="')[1:] if "/archive" in part.split('"')[0]
    }
    # Its server begins to answer when the archive is complete.
    content = until("the archive", lambda: zipped(person.get(link)), seconds=30)
    assert f"<code>{hashlib.sha256(content).hexdigest()}</code>" in shown.text
    path = folder / "archive.zip"
    path.write_bytes(content)
    return path


def files(archive: Path) -> dict[str, Any]:
    """What the manifest says of each file: size, checksum, count."""
    manifest = json.loads(zipfile.ZipFile(archive).read("manifest.json"))
    return {each.pop("name"): each for each in manifest["files"]}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an empty CRM on this machine, with a database and keys of its own."""
    with local_services.postgres() as database:
        variables = local_services.crm_environment(database, tmp_path, "http://elsewhere.localhost", "none")
        yield {**os.environ, **variables, "PYTHONPATH": str(ROOT / "tenant_app")}


def crm(variables: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "guestpost_crm", *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def archive_volumes(platform: Platform, name: str) -> list[str]:
    """Claims of volumes that hold archives."""
    found = [each["metadata"]["name"] for each in platform.get("pvc", "-n", f"gpt-{name}")["items"]]
    return [each for each in found if each.startswith("archive-export-")]


def mailbox_file(taken: dict[str, Any]) -> str:
    [box] = [each for each in taken if each.startswith("mail/1-")]
    return box


@pytest.mark.promise("P9.1")
def test_everything_is_taken_along_and_is_the_same_elsewhere(
    customer: tuple[str, Person], elsewhere: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    name, person = customer
    person.submit(person.get("/data"), {}, action="/data/exports")
    archive = download(person, page(person, "/data", "Download the archive"), tmp_path)
    assert zipfile.ZipFile(archive).testzip() is None
    taken = files(archive)
    assert taken[mailbox_file(taken)]["count"] == MESSAGES
    assert archive_volumes(platform, name)

    crm(elsewhere, "migrate")
    crm(elsewhere, "import", str(archive))
    (tmp_path / "again").mkdir()
    crm(elsewhere, "export", str(tmp_path / "again"))
    assert files(tmp_path / "again/export.zip") == taken

    person.submit(person.get("/data"), {}, action="/delete")
    until("the archive's volume to go", lambda: not archive_volumes(platform, name), seconds=60)


@pytest.mark.promise("P9.1")
@pytest.mark.promise("P9.2")
def test_nothing_stays_but_a_receipt(
    customer: tuple[str, Person], platform: Platform, control: Control, tmp_path: Path
) -> None:
    name, person = customer
    uid = platform.get("gpt", name)["metadata"]["uid"]
    ask_and_take_back(person, platform, name)

    # Everything that was there is in the last export; the owner signs in anew for it.
    again = Person(person.base, person.email)
    page(again, "/", "This CRM is being erased")
    sign_in(again)
    last = download(again, page(again, "/", "Download the archive", seconds=180), tmp_path)
    taken = files(last)
    assert taken[mailbox_file(taken)]["count"] == MESSAGES
    assert json.loads(zipfile.ZipFile(last).read("manifest.json"))["tenant_uid"] == uid

    def gone() -> bool:
        return not platform.kubectl("get", "gpt", name, "--ignore-not-found")

    until("the tenant to be gone", gone, seconds=240)
    assert not platform.kubectl("get", "namespace", f"gpt-{name}", "--ignore-not-found")
    of_volumes = [each["spec"]["claimRef"]["namespace"] for each in platform.get("pv")["items"]]
    assert f"gpt-{name}" not in of_volumes
    claims = platform.get("mailboxclaims")["items"]
    assert uid not in {each["spec"]["tenant"]["uid"] for each in claims}
    usage = control.usage()
    assert usage["accounts"][person.email]["calls"].get("stop")
    assert person.email not in usage["watches"]
    assert person.email not in usage["grants"]

    told = verify(platform, uid)
    assert f"Downloaded {hashlib.sha256(last.read_bytes()).hexdigest()}" in told
    assert "NOT VERIFIED" not in told
    assert name not in told


def ask_and_take_back(person: Person, platform: Platform, name: str) -> None:
    """Ask for the erasure, take it back, and ask again with a grace period that a test can wait for."""
    wrong = person.submit(person.get("/data"), {"confirmed": "something"}, action="/data/erasure")
    assert wrong.status_code == 422
    person.submit(person.get("/data"), {"confirmed": name}, action="/data/erasure")
    page(person, "/data", "Everything here is erased after")
    person.submit(person.get("/data"), {}, action="/data/erasure/take-back")
    page(person, "/data", "I want this CRM to be erased")
    patch = {"spec": {"deletion": {"gracePeriodSeconds": 5}}}
    platform.kubectl("patch", "gpt", name, "--type=merge", "-p", json.dumps(patch))
    person.submit(person.get("/data"), {"confirmed": name}, action="/data/erasure")


def verify(platform: Platform, uid: str) -> str:
    """What the receipt states, checked by the command that anybody can run."""
    variables = {**os.environ, "KUBECONFIG": str(platform.kubeconfig), "PYTHONPATH": str(ROOT / "operator")}
    command = [sys.executable, "-m", "guestpost_operator", "verify-receipt", uid]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sign_in(person: Person) -> None:
    """To a CRM that shows nothing but its end, once the pod of before has ended."""

    def ended() -> bool:
        shown = person.get("/sign-in")
        if shown.status_code != 200:
            return bool(shown.status_code == 410)
        answer = person.submit(shown, {})
        if "Choose an account" in answer.text:
            answer = person.choose(answer)
        return bool(answer.status_code == 410)

    until("the end to be shown", ended, seconds=60)
