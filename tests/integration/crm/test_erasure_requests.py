"""The owner asks for the erasure, takes it back, says whom to write to; what a CRM says that is erased."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from localkube.process import free_port
from tenant_plane import NAMESPACE, TenantPlane, until

DUE = "2026-12-01T10:00:00Z"


class Operator:
    """Answers as the operator does."""

    def __init__(self, plane: TenantPlane) -> None:
        self._plane = plane

    def requests(self) -> list[dict[str, Any]]:
        """What is asked for, the newest last."""
        found = json.loads(self._plane.act("get", "gpr", "-n", NAMESPACE, "-o", "json"))["items"]
        return sorted(found, key=lambda each: str(each["metadata"]["name"]))

    def answer(self, phase: str, reason: str, message: str = "", after: str = "") -> None:
        """Answer the newest, and remove those that it replaces."""
        *replaced, newest = self.requests()
        for each in replaced:
            self._plane.act("delete", "gpr", each["metadata"]["name"], "-n", NAMESPACE)
        condition = {
            "type": "Accepted",
            "status": "True" if phase == "Accepted" else "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-11-24T10:00:00Z",
        }
        status = {"phase": phase, "conditions": [condition]} | ({"eraseAfter": after} if after else {})
        self._plane.act(
            "patch", "gpr", newest["metadata"]["name"], "-n", NAMESPACE, "--subresource=status",
            "--type=merge", "-p", json.dumps({"status": status}),
        )  # fmt: skip


@pytest.fixture
def operator(in_cluster: Path, plane: TenantPlane) -> Operator:
    return Operator(plane)


def text(page: Any, address: str = "/data") -> str:
    return " ".join(page.get(address).content.decode().split())


def actions() -> set[str]:
    from guestpost_crm.audit.models import AuditEvent

    return set(AuditEvent.objects.values_list("action", flat=True))


@pytest.mark.promise("P9.2")
def test_the_owner_asks_sees_until_when_and_takes_it_back(page: Any, operator: Operator) -> None:
    assert "I want this CRM to be erased" in text(page)
    assert page.post("/data/erasure", {"confirmed": "acme", "last_export": "on"}).status_code == 302
    [asked] = operator.requests()
    assert asked["spec"] == {"type": "Erase"}
    assert "It is asked for" in text(page)
    operator.answer("Accepted", "GracePeriod", "it can be taken back until then", DUE)
    shown = text(page)
    assert "Everything here is erased after 1 December 2026, 10:00" in shown
    assert "I want this CRM to be erased" not in shown
    assert page.post("/data/erasure/take-back").status_code == 302
    assert operator.requests()[-1]["spec"] == {"type": "CancelErasure"}
    assert "It is being taken back" in text(page)
    operator.answer("Accepted", "Accepted")
    assert "I want this CRM to be erased" in text(page)
    assert {"erasure.requested", "erasure.taken-back"} <= actions()


@pytest.mark.promise("P9.2")
def test_only_the_name_confirms_and_what_was_typed_stays(page: Any, operator: Operator) -> None:
    for typed in ("", "ACME", "acme2", "delete"):
        answer = page.post("/data/erasure", {"confirmed": typed})
        assert answer.status_code == 422
        shown = answer.content.decode()
        assert f'value="{typed}"' in shown or not typed
        # The form stays open, and the other choice as it was made.
        assert "<details open>" in shown
        assert not re.search(r"name=.last_export.[^>]*checked", shown)
    assert operator.requests() == []


@pytest.mark.promise("P9.2")
def test_without_a_last_export_if_the_owner_wants_none(page: Any, operator: Operator) -> None:
    page.post("/data/erasure", {"confirmed": " acme "})
    [asked] = operator.requests()
    assert asked["spec"] == {"type": "Erase", "finalExport": "Skip"}


def test_what_stands_in_the_way_is_told(page: Any, operator: Operator) -> None:
    page.post("/data/erasure", {"confirmed": "acme"})
    operator.answer("Accepted", "Protected", "nothing is erased until the service lifts the protection", DUE)
    assert "until the service lifts the protection" in text(page)
    page.post("/data/erasure/take-back")
    operator.answer("Refused", "ErasureBegun", "the erasure has begun; it cannot be taken back")
    assert "The erasure has begun; it cannot be taken back" in text(page)


def test_what_the_service_asks_for_is_told_and_is_not_the_owners_to_take_back(
    page: Any, operator: Operator
) -> None:
    page.post("/data/erasure/take-back")
    operator.answer("Accepted", "RequestedByStaff", "only the service can take that back", DUE)
    shown = text(page)
    assert "The service erases this CRM after 1 December 2026" in shown
    assert "/data/erasure/take-back" not in shown


@pytest.mark.promise("P3.1")
def test_the_owner_says_whom_to_write_to(page: Any, operator: Operator) -> None:
    assert 'value="anna@acme.example"' in text(page)
    wrong = page.post("/data/contact", {"name": "Anna", "email": "no address"})
    assert wrong.status_code == 422
    assert 'value="no address"' in wrong.content.decode()
    assert (
        page.post("/data/contact", {"name": " Anna  Okafor ", "email": "a.okafor@acme.example"}).status_code
        == 302
    )
    [asked] = operator.requests()
    assert asked["spec"]["contact"] == {"name": "Anna Okafor", "email": "a.okafor@acme.example"}
    assert 'value="a.okafor@acme.example"' in text(page)
    assert "contact.changed" in actions()


@pytest.mark.promise("P3.1")
def test_a_contact_that_the_service_can_not_be_told_is_kept_as_it_was_typed(
    page: Any, environment_of: Callable[..., None]
) -> None:
    environment_of(KUBERNETES_API_URL="https://127.0.0.1:1")
    answer = page.post("/data/contact", {"name": "Anna Okafor", "email": "a.okafor@acme.example"})
    words = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "The service's control plane does not answer." in words
    assert 'value="a.okafor@acme.example"' in words


@pytest.mark.promise("P9.2")
def test_nobody_but_the_owner_asks(page: Any, owner: Any, operator: Operator) -> None:
    for role in ("manager", "member", "reader"):
        owner.role = role
        owner.save()
        for address in ("/data/erasure", "/data/erasure/take-back", "/data/contact"):
            assert page.post(address, {"confirmed": "acme"}).status_code == 403
    assert operator.requests() == []


@pytest.fixture
def environment_of(in_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    from guestpost_crm import environment

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        environment.current.cache_clear()

    yield change
    monkeypatch.undo()
    environment.current.cache_clear()


def test_everybody_is_told_when_everything_ends(
    page: Any, owner: Any, environment_of: Callable[..., None]
) -> None:
    assert "This CRM is erased after" not in text(page, "/team")
    environment_of(ERASE_AFTER=DUE)
    assert "This CRM is erased after 1 December 2026" in text(page, "/team")
    assert "See what you can do" in text(page, "/team")
    owner.role = "member"
    owner.save()
    assert "Its owner can tell you more" in text(page, "/team")


@pytest.mark.promise("P9.1")
@pytest.mark.promise("P9.2")
def test_while_it_is_erased_the_owner_gets_the_last_export_and_nobody_anything_else(
    page: Any, owner: Any, plane: TenantPlane, in_cluster: Path, environment_of: Callable[..., None]
) -> None:
    from django.test import Client
    from guestpost_crm.privacy import exports, kubernetes

    environment_of(
        CLOSING="leaving", SUSPEND_REASON="suspended as well", SUPPORT_CONTACT="help@guestpost.example"
    )
    kubernetes.create("tenantexports", "TenantExport", exports.FINAL, {"requestedBy": "Erasure"})
    for address in ("/", "/data", "/mailboxes", "/account"):
        answer = page.get(address)
        assert answer.status_code == 410
        assert "It is being started" in answer.content.decode()
        assert "help@guestpost.example" in answer.content.decode()
    assert page.post("/data/exports").status_code == 410
    process = subprocess.Popen(
        [sys.executable, "-m", "guestpost_crm", "export"], env={**os.environ, "EXPORT_NAME": exports.FINAL}
    )
    try:
        until(lambda: "Download the archive" in text(page, "/"), "the last export")
        archive = f"/data/exports/{exports.FINAL}/archive"
        answer = page.get(archive)
        assert answer.status_code == 200
        assert b"".join(answer.streaming_content)[:2] == b"PK"
        told = ("get", "gpx", exports.FINAL, "-n", NAMESPACE, "-o", "yaml")
        until(lambda: "downloadedAt" in plane.act(*told), "the download to be told")
        stranger = Client(headers={"host": "acme.localhost"})
        assert stranger.get("/").status_code == 410
        assert "I am the owner" in text(stranger, "/")
        assert stranger.get("/sign-in").status_code == 200
        assert stranger.get(archive).status_code == 302
        owner.role = "member"
        owner.save()
        assert "Download the archive" not in text(page, "/")
        assert page.get(archive).status_code == 403
        assert page.post("/sign-out").status_code == 302
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.promise("P9.2")
def test_a_closed_crm_says_so_with_nothing_of_its_tenant(
    crm_environment: dict[str, str], tmp_path: Path
) -> None:
    """No database, no key, no token: only what the operator leaves in the pod."""
    port = free_port()
    gone = dict.fromkeys(("DJANGO_SECRET_KEY_FILE", "TENANT_KEY_FILE", "BROKER_TOKEN_FILE"), "/nowhere")
    variables = {
        **os.environ,
        **gone,
        "DATABASE_URL": "postgresql://crm:$(DB_PASSWORD)@db-rw:5432/crm",
        "PORT": str(port),
        "METRICS_PORT": "0",
        "SUPPORT_CONTACT": "help@guestpost.example",
    }
    variables.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen([sys.executable, "-m", "guestpost_crm", "closed"], env=variables)
    try:

        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        until(ready, "the page")
        for address in ("/", "/threads/1", "/sign-in"):
            answer = httpx.get(f"http://127.0.0.1:{port}{address}", headers={"Host": "acme.localhost"})
            assert answer.status_code == 410
            assert "This CRM is closed" in answer.text
            assert "uid-of-acme" in answer.text
            assert "help@guestpost.example" in answer.text
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "Set-Cookie" not in answer.headers
        [sheet] = re.findall(r'href="([^"]+\.css)"', answer.text)
        assert httpx.get(f"http://127.0.0.1:{port}{sheet}").status_code == 200
    finally:
        process.terminate()
        process.wait(20)


def test_both_say_it_in_the_same_languages(crm: None) -> None:
    from django.conf import settings
    from guestpost_crm import closed_settings

    assert settings.LANGUAGES == closed_settings.LANGUAGES
    assert getattr(settings, "LOCALE_PATHS", []) == getattr(closed_settings, "LOCALE_PATHS", [])
