"""Settings, rings of keys, and reading them again when their files change."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from guestpost_broker.config import Config, ConfigurationError, load
from guestpost_broker.keys import KeysError, parse
from guestpost_broker.metrics import FILES_READ
from guestpost_broker.reloading import Reloader, renew_certificate
from structlog.testing import capture_logs


def key(identifier: str, byte: bytes = b"s", **more: str) -> dict[str, str]:
    return {"id": identifier, "key": base64.b64encode(byte * 32).decode(), **more}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "clients").write_text(json.dumps({"p": {"client_id": "id", "client_secret": "hush"}}))
    (tmp_path / "keys").write_text(json.dumps([key("1")]))
    (tmp_path / "claim").write_bytes(b"k" * 32)
    return {
        "GOOGLE_CLIENTS_FILE": str(tmp_path / "clients"),
        "SEAL_KEYS_FILE": str(tmp_path / "keys"),
        "STATE_KEYS_FILE": str(tmp_path / "keys"),
        "CLAIM_KEY_FILE": str(tmp_path / "claim"),
        "REDIRECT_URI": "https://broker.example/oauth/callback",
    }


def test_settings_are_read_and_never_shown(environment: dict[str, str]) -> None:
    config = load(environment)
    assert config.clients["p"].client_secret == "hush"
    assert config.token_url == "https://oauth2.googleapis.com/token"
    shown = repr(config) + repr(config.clients) + repr(config.seal_keys) + str(config.seal_keys.keys[0])
    assert "hush" not in shown
    assert "sss" not in shown


@pytest.mark.parametrize(
    "missing", ["GOOGLE_CLIENTS_FILE", "SEAL_KEYS_FILE", "STATE_KEYS_FILE", "CLAIM_KEY_FILE", "REDIRECT_URI"]
)
def test_a_missing_setting_is_named(environment: dict[str, str], missing: str) -> None:
    del environment[missing]
    with pytest.raises(ConfigurationError, match=missing):
        load(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIRECT_URI", "broker.example/oauth/callback"),
        ("REDIRECT_URI", "https://broker.example/elsewhere"),
        ("REPLICAS", "0"),
        ("REPLICAS", "two"),
        ("PORT", "70000"),
        ("GMAIL_PROJECT_UNITS_PER_MINUTE", "1.2e6"),
        ("GMAIL_UNITS_PER_MINUTE_BY_PROJECT", "[1]"),
        ("GMAIL_UNITS_PER_MINUTE_BY_PROJECT", '{"p": 0}'),
        ("GMAIL_UNITS_PER_MINUTE_BY_PROJECT", "{"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load({**environment, name: value})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("GOOGLE_CLIENTS_FILE", "not json"),
        ("GOOGLE_CLIENTS_FILE", '{"p": {"client_id": "id"}}'),
        ("SEAL_KEYS_FILE", "not json"),
        ("STATE_KEYS_FILE", '[{"id": "1", "key": "c2hvcnQ="}]'),
        ("CLAIM_KEY_FILE", "short"),
    ],
)
def test_a_wrong_file_is_named_without_its_content(
    environment: dict[str, str], tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / "wrong").write_text(content)
    with pytest.raises(ConfigurationError, match=r"wrong|CLAIM") as problem:
        load({**environment, name: str(tmp_path / "wrong")})
    assert content not in str(problem.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "at least one"),
        ({}, "at least one"),
        (["k1"], "an id, a key"),
        ([{"id": "1"}], "an id, a key"),
        ([key("1", until="x")], "and nothing else"),
        ([key("a.b")], "letters, digits"),
        ([key("1"), key("1")], "the same id"),
        ([{"id": "1", "key": "no base 64!"}], "key 1: write key in base 64"),
        ([{"id": "1", "key": "c2hvcnQ="}], "key 1 must have 32 bytes"),
        ([key("1", **{"from": "tomorrow"})], "key 1: write"),
        ([key("1", **{"from": "2026-11-24T18:00:00"})], "time zone"),
    ],
)
def test_what_is_no_ring_of_keys_is_told_in_words(content: Any, says: str) -> None:
    with pytest.raises(KeysError, match=says):
        parse(content)


def test_a_new_key_makes_when_its_time_has_come_and_is_known_at_once() -> None:
    ring = parse([key("2", **{"from": "1970-01-01T00:16:40Z"}), key("1")])
    assert [ring.newest(now).id for now in (999.0, 1000.0, 2000.0)] == ["1", "2", "2"]
    assert ring.named("2") is not None
    assert ring.named("3") is None


def test_some_key_always_makes() -> None:
    ring = parse([key("2", **{"from": "2100-01-01T00:00:00Z"}), key("1", **{"from": "2099-01-01T00:00:00Z"})])
    assert ring.newest(0.0).id == "1"


class Applied(list[Config]):
    """Settings that were put in force."""


def test_files_that_change_are_read_again(environment: dict[str, str]) -> None:
    applied = Applied()
    reloader = Reloader(environment, applied.append)
    reloader.look()
    assert applied == []
    Path(environment["SEAL_KEYS_FILE"]).write_text(json.dumps([key("2", b"t"), key("1")]))
    reloader.look()
    reloader.look()
    assert [[each.id for each in config.seal_keys.keys] for config in applied] == [["2", "1"]]


def value() -> float:
    return float(FILES_READ._value.get())


def test_a_broken_file_is_told_and_what_was_read_before_stays(environment: dict[str, str]) -> None:
    applied = Applied()
    reloader = Reloader(environment, applied.append)
    good = Path(environment["SEAL_KEYS_FILE"]).read_text()
    Path(environment["SEAL_KEYS_FILE"]).write_text("[half of")
    with capture_logs() as logged:
        reloader.look()
    assert (applied, value()) == ([], 0)
    assert "is not JSON" in logged[0]["problem"]
    assert "half of" not in str(logged)
    Path(environment["SEAL_KEYS_FILE"]).unlink()
    reloader.look()
    Path(environment["SEAL_KEYS_FILE"]).write_text(good.replace('"1"', '"3"'))
    reloader.look()
    assert (len(applied), value()) == (1, 1)


def certificate(folder: Path, name: str) -> tuple[str, str]:
    crt, private = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "1", "-subj", f"/CN={name}", "-out", str(crt), "-keyout", str(private)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(crt), str(private)


def shown(context: ssl.SSLContext) -> str:
    """The common name of the certificate that a client sees now."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(theirs, ours, server_side=True)
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    visitor = anybody.wrap_bio(ours, theirs)
    for side in (visitor, server, visitor):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = visitor.getpeercert(binary_form=True)
    assert found
    pem = ssl.DER_cert_to_PEM_cert(found)
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().rpartition("= ")[2].rpartition("=")[2].strip()


def test_a_renewed_certificate_is_shown_without_a_restart(
    environment: dict[str, str], tmp_path: Path
) -> None:
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*first)
    assert shown(context) == "first"
    renew_certificate(context, load({**environment, "TLS_CERT_FILE": second[0], "TLS_KEY_FILE": second[1]}))
    assert shown(context) == "second"
    with pytest.raises(ConfigurationError, match=r"first\.crt and .*second\.key"):
        renew_certificate(
            context, load({**environment, "TLS_CERT_FILE": first[0], "TLS_KEY_FILE": second[1]})
        )
    assert shown(context) == "second"
