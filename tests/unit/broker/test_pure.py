"""States, seals, claims, limits and settings, without anything around them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import jwt
import pytest
from guestpost_broker.claims import claim_name
from guestpost_broker.config import ConfigurationError, SealKey, load
from guestpost_broker.limits import RateLimit
from guestpost_broker.sealing import Grant, SealError, seal, unseal
from guestpost_broker.state import SECONDS, ConsentState, StateError, read, sign
from hypothesis import given
from hypothesis import strategies as st

KEY = b"k" * 32
OLD, NEW = SealKey("old", b"o" * 32), SealKey("new", b"n" * 32)
STATE = ConsentState("uid-1", "project", "mailbox", "https://acme.example")


def test_a_state_comes_back_as_it_was_signed() -> None:
    assert read(sign(STATE, KEY, time.time()), KEY) == STATE


def test_two_states_are_never_alike() -> None:
    now = time.time()
    assert sign(STATE, KEY, now) != sign(STATE, KEY, now)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "not.a.state",
        sign(STATE, b"x" * 32, time.time()),
        sign(STATE, KEY, time.time() - SECONDS - 60),
        jwt.encode({"sub": "uid-1", "aud": "guestpost-consent"}, KEY, algorithm="HS256"),
        jwt.encode({"sub": "uid-1", "aud": "guestpost-consent"}, None, algorithm="none"),
        jwt.encode(jwt.decode(sign(STATE, KEY, time.time()), KEY, ["HS256"], audience="guestpost-consent")
                   | {"purpose": "everything"}, KEY, algorithm="HS256"),
    ],
    ids=["empty", "garbage", "other key", "expired", "incomplete", "unsigned", "other purpose"],
)  # fmt: skip
def test_a_forged_or_expired_state_is_refused(forged: str) -> None:
    with pytest.raises(StateError):
        read(forged, KEY)


@given(st.text(max_size=80), st.text(max_size=200))
def test_a_sealed_grant_opens_for_its_tenant(sub: str, token: str) -> None:
    grant = Grant(sub, "project", token)
    assert unseal(seal(grant, "uid-1", [NEW, OLD]), "uid-1", [OLD, NEW]) == grant


@pytest.mark.promise("P1.1")
def test_a_sealed_grant_opens_for_nobody_else() -> None:
    sealed = seal(Grant("sub", "project", "1//secret"), "uid-1", [NEW])
    assert "secret" not in sealed
    for tenant, keys in (("uid-2", [NEW]), ("uid-1", [OLD]), ("uid-1", [SealKey("new", b"y" * 32)])):
        with pytest.raises(SealError):
            unseal(sealed, tenant, keys)


@given(st.text(max_size=100))
def test_garbage_is_no_sealed_grant(text: str) -> None:
    for candidate in (text, f"new.{text}"):
        with pytest.raises(SealError):
            unseal(candidate, "uid-1", [NEW])


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_breaks_the_seal(place: int, change: int) -> None:
    sealed = seal(Grant("sub", "project", "token"), "uid-1", [NEW])
    content = bytearray(base64.urlsafe_b64decode(sealed.partition(".")[2]))
    content[place % len(content)] ^= change
    with pytest.raises(SealError):
        unseal(f"new.{base64.urlsafe_b64encode(content).decode()}", "uid-1", [NEW])


def test_a_claims_name_is_stable_and_tells_nothing() -> None:
    name = claim_name("1234567890", KEY)
    assert name == claim_name("1234567890", KEY)
    assert len(name) == len("mailbox-") + 40
    assert "1234567890" not in name
    assert name != claim_name("1234567890", b"x" * 32)


def test_a_limit_refills_and_forgets_the_oldest() -> None:
    now = [0.0]
    limit = RateLimit(per_minute=60, burst=2, most_keys=2, clock=lambda: now[0])
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    now[0] = 1.0
    assert limit.allows("a")
    limit.allows("b")
    limit.allows("c")
    assert limit.allows("a"), "a was forgotten, so it begins anew"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "clients").write_text(json.dumps({"p": {"client_id": "id", "client_secret": "hush"}}))
    (tmp_path / "seal").write_text(json.dumps([{"id": "1", "key": base64.b64encode(b"s" * 32).decode()}]))
    (tmp_path / "key").write_bytes(b"k" * 32)
    return {
        "GOOGLE_CLIENTS_FILE": str(tmp_path / "clients"),
        "SEAL_KEYS_FILE": str(tmp_path / "seal"),
        "STATE_KEY_FILE": str(tmp_path / "key"),
        "CLAIM_KEY_FILE": str(tmp_path / "key"),
        "REDIRECT_URI": "https://broker.example/oauth/callback",
    }


def test_settings_are_read_and_never_shown(environment: dict[str, str]) -> None:
    config = load(environment)
    assert config.clients["p"].client_secret == "hush"
    assert config.token_url == "https://oauth2.googleapis.com/token"
    assert "hush" not in repr(config) + repr(config.clients) + repr(config.seal_keys)


@pytest.mark.parametrize(
    "missing", ["GOOGLE_CLIENTS_FILE", "SEAL_KEYS_FILE", "STATE_KEY_FILE", "REDIRECT_URI"]
)
def test_a_missing_setting_is_named(environment: dict[str, str], missing: str) -> None:
    del environment[missing]
    with pytest.raises(ConfigurationError, match=missing):
        load(environment)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("GOOGLE_CLIENTS_FILE", "not json"),
        ("GOOGLE_CLIENTS_FILE", '{"p": {"client_id": "id"}}'),
        ("SEAL_KEYS_FILE", "[]"),
        ("SEAL_KEYS_FILE", '[{"id": "1", "key": "c2hvcnQ="}]'),
        ("STATE_KEY_FILE", "short"),
    ],
)
def test_a_wrong_file_is_named_without_its_content(
    environment: dict[str, str], tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / "wrong").write_text(content)
    with pytest.raises(ConfigurationError) as problem:
        load({**environment, name: str(tmp_path / "wrong")})
    assert content not in str(problem.value) or content == "[]"
