"""What a receipt states, and that nobody changes it unseen."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from guestpost_operator import receipts
from guestpost_operator.api.tenant import DeletionStatus, Found, LastExport
from guestpost_operator.receipts import ReceiptError, SigningKey
from hypothesis import given
from hypothesis import strategies as st

STEPS = ("FinalExport", "Application", "Messaging")
RECORD = DeletionStatus(
    requested_at="2026-11-20T12:00:00Z",
    requested_by="Customer",
    started_at="2026-11-27T12:00:00Z",
    found=[Found(kind="Topic", count=1), Found(kind="PersistentVolume", count=2)],
    export=LastExport(outcome="Downloaded", sha256="0a" * 32),
)
KEY = SigningKey.generate()
KEYS = receipts.public_keys([KEY.public_pem()])


@pytest.fixture
def receipt(make_tenant: Any) -> dict[str, Any]:
    tenant = make_tenant()
    stated = receipts.statement(tenant, RECORD, STEPS, "2026-11-27T12:05:00Z", "1.0.0")
    return {"metadata": {"name": receipts.name(tenant.uid)}, "spec": KEY.sign(stated)}


@pytest.mark.promise("P9.2")
def test_a_receipt_tells_what_was_there_and_that_it_is_gone(receipt: Any, make_tenant: Any) -> None:
    stated = receipts.verify(receipt, KEYS)
    assert stated["verified"] is True
    assert stated["removed"] == [{"kind": "PersistentVolume", "count": 2}, {"kind": "Topic", "count": 1}]
    assert stated["finalExport"] == {"outcome": "Downloaded", "sha256": "0a" * 32}
    assert (stated["requestedBy"], stated["requestedAt"]) == ("Customer", "2026-11-20T12:00:00Z")


@pytest.mark.promise("P9.2")
def test_there_is_nothing_personal_in_it(receipt: Any, make_tenant: Any) -> None:
    tenant, text = make_tenant(), json.dumps(receipt)
    for personal in (tenant.name, tenant.spec.owner.name, tenant.spec.owner.email, "acme"):
        assert personal not in text


@pytest.mark.promise("P9.2")
def test_what_was_given_up_is_not_verified(make_tenant: Any) -> None:
    abandon = [{"step": "Messaging", "reason": "the project was shut down"}]
    record = RECORD.model_copy(update={"abandoned": ["Messaging", "FinalExport"], "export": None})
    stated = receipts.statement(make_tenant(deletion={"abandon": abandon}), record, STEPS, "x", "1.0.0")
    assert stated["verified"] is False
    assert stated["finalExport"] == {"outcome": "Abandoned"}
    assert [each["outcome"] for each in stated["steps"]] == ["NotVerified", "Verified", "NotVerified"]
    assert stated["steps"][2]["reason"] == "the project was shut down"


def test_who_asked_is_staff_unless_it_is_known_otherwise(make_tenant: Any) -> None:
    stated = receipts.statement(make_tenant(), DeletionStatus(started_at="x"), STEPS, "x", "1.0.0")
    assert stated["requestedBy"] == "Staff"
    assert "requestedAt" not in stated


CHANGES = [
    (("spec", "statement", "verified"), False),
    (("spec", "statement", "removed"), []),
    (("spec", "statement", "completedAt"), "2026-11-27T12:05:01Z"),
    (("spec", "statement", "tenantUID"), "0b7c4d1e-1111-4222-8333-444455556667"),
    (("spec", "signature", "value"), "A" * 86 + "=="),
]


@pytest.mark.promise("P9.2")
@pytest.mark.parametrize(("path", "value"), CHANGES, ids=str)
def test_a_change_is_seen(receipt: Any, path: tuple[str, ...], value: Any) -> None:
    place = receipt
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(ReceiptError, match="the signature does not hold"):
        receipts.verify(receipt, KEYS)


def test_another_name_is_seen(receipt: Any) -> None:
    receipt["metadata"]["name"] = "erasure-of-another"
    with pytest.raises(ReceiptError, match="but states the erasure of tenant"):
        receipts.verify(receipt, KEYS)


def test_another_key_is_seen(receipt: Any) -> None:
    other = receipts.public_keys([SigningKey.generate().public_pem()])
    with pytest.raises(ReceiptError, match="not among the trusted keys"):
        receipts.verify(receipt, other)


@pytest.mark.parametrize("missing", ["statement", "signature"])
def test_half_a_receipt_is_none(receipt: Any, missing: str) -> None:
    broken = copy.deepcopy(receipt)
    del broken["spec"][missing]
    with pytest.raises(ReceiptError, match="no whole ErasureReceipt"):
        receipts.verify(broken, KEYS)


def test_keys_are_read_back() -> None:
    assert SigningKey.load(KEY.private_pem()).id == KEY.id
    both = KEY.public_pem() + SigningKey.generate().public_pem()
    assert len(receipts.public_keys([both])) == 2
    for wrong in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(ReceiptError):
            receipts.public_keys([wrong])
    with pytest.raises(ReceiptError, match="PKCS #8"):
        SigningKey.load(b"none")


def test_openssl_checks_it_too(receipt: Any, tmp_path: Path) -> None:
    """Nobody has to trust this program: the bytes, the key and the signature are standard."""
    import base64

    (tmp_path / "statement").write_bytes(receipts.canonical(receipt["spec"]["statement"]))
    (tmp_path / "signature").write_bytes(base64.b64decode(receipt["spec"]["signature"]["value"]))
    (tmp_path / "key.pem").write_bytes(KEY.public_pem())
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in statement -sigfile signature"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified Successfully" in done.stdout, done.stderr


json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.text("abcXYZ", min_size=1), json_values, max_size=5))
def test_the_order_of_fields_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(list(value.items())))
    assert receipts.canonical(value) == receipts.canonical(turned)
    assert json.loads(receipts.canonical(value)) == value


@pytest.fixture
def files(receipt: Any, tmp_path: Path) -> Path:
    """A receipt and the keys, as a customer gets them."""
    import yaml

    (tmp_path / "receipt.yaml").write_text(yaml.safe_dump(receipt))
    (tmp_path / "keys.pem").write_bytes(KEY.public_pem())
    forged = copy.deepcopy(receipt)
    forged["spec"]["statement"]["finalExport"]["outcome"] = "Expired"
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    (tmp_path / "none.yaml").write_text("- not a receipt\n")
    return tmp_path


@pytest.mark.promise("P9.2")
@pytest.mark.parametrize(
    ("which", "code", "says"),
    [
        (["receipt.yaml"], 0, "genuine, signed with key"),
        (["receipt.yaml"], 0, "was there   2 PersistentVolume, 1 Topic"),
        (["forged.json"], 1, "NOT GENUINE: the signature does not hold"),
        (["none.yaml", "receipt.yaml"], 1, "genuine, signed with key"),
    ],
)
def test_the_command_needs_no_cluster(
    files: Path, capsys: Any, monkeypatch: Any, which: list[str], code: int, says: str
) -> None:
    import sys

    from guestpost_operator.__main__ import main

    arguments = [
        "x",
        "verify-receipt",
        "--keys",
        str(files / "keys.pem"),
        *(str(files / each) for each in which),
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert main() == code
    assert says in capsys.readouterr().out
