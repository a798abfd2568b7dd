"""Who is let in: decided from the grant, the customer's signature and the clock alone."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guestpost_operator import credentials as secrets
from guestpost_operator import render, revision, support
from guestpost_operator.api import names
from guestpost_operator.api.grant import Approval, Grant, parse
from guestpost_operator.states import Wanted
from guestpost_operator.status import Step
from guestpost_operator.support import Place, Shell, Verdict
from hypothesis import given
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent / "golden"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
TENANT_UID, UID = "tenant-uid", "0a1b2c3d-1111-4222-8333-444455556666"
NOW = dt.datetime(2026, 11, 24, 12, 30, tzinfo=dt.UTC)
DECIDED, EXPIRES = "2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z"
PLACE = Place(TENANT_UID, KEY.public_key())


def signature(
    key: Ed25519PrivateKey = KEY, tenant: str = TENANT_UID, grant: str = UID, **approval: str
) -> str:
    said = Approval.model_validate(approved(signature="", **approval))
    return base64.b64encode(key.sign(support.statement(tenant, grant, said))).decode()


def approved(**changes: str) -> dict[str, str]:
    given = {"decision": "Approved", "level": "Shell", "decidedAt": DECIDED, "expiresAt": EXPIRES}
    return given | {key: value for key, value in changes.items() if value or key == "signature"}


def grant(approval: dict[str, str] | None = None, **status: Any) -> Grant:
    metadata = {"name": "ticket-4711", "namespace": "gpt-acme", "uid": UID, "generation": 1}
    spec = {
        "subject": "sam@support.example",
        "level": "Shell",
        "reason": "Ticket 4711",
        "durationSeconds": 3600,
    }
    return parse(
        {"metadata": metadata, "spec": spec, "status": status | ({"approval": approval} if approval else {})}
    )


def decided(each: Grant, place: Place = PLACE, now: dt.datetime = NOW) -> Verdict:
    [verdict] = support.decide([each], place, now)
    return verdict


SIGNED = approved(signature=signature())


@pytest.mark.promise("P6.1")
def test_who_has_not_been_approved_is_not_let_in() -> None:
    assert (decided(grant()).phase, decided(grant()).shell) == ("Requested", None)
    denied = decided(grant({"decision": "Denied", "decidedAt": DECIDED}))
    assert (denied.phase, denied.shell) == ("Denied", None)


@pytest.mark.promise("P6.1")
def test_an_approved_shell_is_there_for_its_person_and_time() -> None:
    verdict = decided(grant(SIGNED))
    assert verdict.phase == "Active"
    assert verdict.shell == Shell("support-0a1b2c3d", UID, "sam@support.example", 3600, EXPIRES)
    assert verdict.ends == dt.datetime(2026, 11, 24, 13, tzinfo=dt.UTC)


def test_browsing_needs_no_pod() -> None:
    verdict = decided(grant(approved(level="Browse", signature=signature(level="Browse"))))
    assert (verdict.phase, verdict.shell) == ("Active", None)


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize(
    "forged",
    [
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "not base64"},
        {"signature": signature(Ed25519PrivateKey.from_private_bytes(b"x" * 32))},
        {"signature": signature(tenant="another")},
        {"signature": signature(grant="another")},
        {"signature": signature(level="Browse")},
        {"signature": signature(), "expiresAt": "2026-11-24T13:00:01Z"},
    ],
    ids=["zeros", "no base64", "another key", "another tenant", "another grant", "for less", "for longer"],
)
def test_what_the_tenants_web_has_not_signed_lets_nobody_in(forged: dict[str, str]) -> None:
    verdict = decided(grant(approved(**forged)))
    assert (verdict.phase, verdict.reason, verdict.shell) == ("Refused", "NotSigned", None)


def test_without_a_key_nothing_is_signed() -> None:
    assert decided(grant(SIGNED), Place(TENANT_UID, None)).phase == "Refused"


@pytest.mark.promise("P6.1")
def test_an_end_is_an_end() -> None:
    assert decided(grant(SIGNED, revokedAt=DECIDED)).phase == "Revoked"
    assert decided(grant(SIGNED), now=dt.datetime(2026, 11, 24, 13, tzinfo=dt.UTC)).phase == "Expired"
    written = {"shell": {"job": "support-0a1b2c3d"}}
    assert support.still(grant(SIGNED, **written), NOW) is not None
    assert support.still(grant(SIGNED), NOW) is None, "not written down yet"
    assert support.still(grant(SIGNED, revokedAt=DECIDED, **written), NOW) is None
    assert support.still(grant(SIGNED, **written), NOW + dt.timedelta(hours=1)) is None


def test_a_tenant_that_rests_has_no_terminal() -> None:
    verdict = decided(grant(SIGNED), Place(TENANT_UID, KEY.public_key(), rests=True))
    assert (verdict.phase, verdict.shell, verdict.waits) == ("Active", None, "the tenant hibernates")


@given(st.booleans(), st.booleans(), st.integers(-7200, 7200), st.sampled_from(["", SIGNED["signature"]]))
def test_nobody_is_in_without_a_signed_approval_in_its_time(
    revoked: bool, written: bool, seconds: int, given: str
) -> None:
    now = NOW + dt.timedelta(seconds=seconds)
    status = {"revokedAt": DECIDED} if revoked else {}
    status |= {"shell": {"job": "support-0a1b2c3d"}, "phase": "Active"} if written else {}
    verdict = decided(grant(approved(signature=given), **status), now=now)
    inside = bool(given) and not revoked and now < dt.datetime(2026, 11, 24, 13, tzinfo=dt.UTC)
    assert (verdict.shell is not None) == inside == (verdict.phase == "Active")
    told = support.status(verdict, None, "2026-11-24T12:30:00Z")
    if not inside and written:
        assert told["shell"] is None
        assert told["phase"] != "Active"


def test_what_is_said_already_is_not_written_again() -> None:
    verdict = decided(grant(SIGNED))
    ready = Step(done=True, reason="Running", message=support.how(verdict.grant))
    told = support.status(verdict, ready, "2026-11-24T12:30:00Z")
    assert told["phase"] == "Active"
    assert told["shell"] == {"job": "support-0a1b2c3d"}
    assert [(each["type"], each["status"]) for each in told["conditions"]] == [
        ("Active", "True"),
        ("ShellReady", "True"),
    ]
    assert "kubectl exec -it -n gpt-acme job/support-0a1b2c3d -c recorder" in told["conditions"][1]["message"]
    again = decided(grant(SIGNED, **told))
    assert support.status(again, ready, "2026-11-24T12:40:00Z") == {}


@pytest.mark.promise("P6.1")
def test_the_public_half_of_the_key_stands_beside_the_private_one() -> None:
    secret = secrets.keys("gpt-acme", {})
    raw = base64.b64decode(base64.b64decode(secret["data"]["approval-key"]))
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    assert (
        secret["metadata"]["annotations"][names.ANNOTATION_APPROVAL_KEY] == base64.b64encode(public).decode()
    )


def test_a_shell_is_as_reviewed(make_tenant: Any, configure: Any, credentials: Any) -> None:
    """Golden file; UPDATE_GOLDEN=1 writes it. A tenant without a Shell has nothing of it."""
    import os

    config = revision.current(configure())
    shell = Shell("support-0a1b2c3d", UID, "sam@support.example", 3600, EXPIRES)
    without = render.render(make_tenant(), config, credentials, "")
    manifests = render.render(make_tenant(), config, credentials, "", Wanted(shells=(shell,)))
    [namespace] = [each for each in manifests if each["kind"] == "Namespace"]
    assert namespace["metadata"]["annotations"]["shell.guestpostcrm.com/support-0a1b2c3d"] == shell.subject
    known = {(each["kind"], each["metadata"]["name"]) for each in without}
    assert not [name for _, name in known if name.startswith(support.PREFIX)]
    made = [each for each in manifests if (each["kind"], each["metadata"]["name"]) not in known]
    text = yaml.safe_dump_all(made, width=120, sort_keys=False)
    path = GOLDEN / "support.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.promise("P6.1")
def test_the_person_sees_neither_keys_nor_tokens(make_tenant: Any, configure: Any, credentials: Any) -> None:
    shell = Shell("support-0a1b2c3d", UID, "sam@support.example", 3600, EXPIRES)
    manifests = render.render(
        make_tenant(), revision.current(configure()), credentials, "", Wanted(shells=(shell,))
    )
    [job] = [each for each in manifests if each["kind"] == "Job"]
    pod = job["spec"]["template"]["spec"]
    assert pod["activeDeadlineSeconds"] == 3600
    assert pod["automountServiceAccountToken"] is False
    [inside] = [each for each in pod["containers"] if each["name"] == "shell"]
    assert {each["name"] for each in inside["volumeMounts"]} == {"shell-tmp", "db-ca", "support"}
    assert not [
        each
        for each in inside["env"]
        if "valueFrom" in each or "KEY" in each["name"] or "URL" in each["name"]
    ]
