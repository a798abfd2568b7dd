"""States, seals, claims and limits, without anything around them."""

from __future__ import annotations

import base64
import time

import jwt
import pytest
from guestpost_broker.claims import claim_name
from guestpost_broker.keys import Key, KeyRing
from guestpost_broker.limits import Rate, RateLimit
from guestpost_broker.sealing import Grant, Holder, SealError, UnknownKeyError, key_of, seal, unseal
from guestpost_broker.state import SECONDS, ConsentState, StateError, read, sign
from hypothesis import given
from hypothesis import strategies as st

KEY = b"k" * 32
OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
RING, BOTH = KeyRing((Key("k1", KEY),)), KeyRing((NEW, OLD))
STATE = ConsentState("uid-1", "project", "mailbox", "https://acme.example")
MINE = Holder("uid-1", "1001")
GRANT = Grant("project", "1//secret")


def test_a_state_comes_back_as_it_was_signed() -> None:
    assert read(sign(STATE, RING, time.time()), RING) == STATE


def test_two_states_are_never_alike() -> None:
    now = time.time()
    assert sign(STATE, RING, now) != sign(STATE, RING, now)


def claims() -> dict[str, object]:
    signed = sign(STATE, RING, time.time())
    found: dict[str, object] = jwt.decode(signed, KEY, ["HS256"], audience="guestpost-consent")
    return found


def forged(claims: dict[str, object], key: bytes | None = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not.a.state",
        sign(STATE, KeyRing((Key("k1", b"x" * 32),)), time.time()),
        sign(STATE, KeyRing((Key("k2", KEY),)), time.time()),
        sign(STATE, RING, time.time() - SECONDS - 60),
        jwt.encode(claims(), KEY, algorithm="HS256"),
        forged({"sub": "uid-1", "aud": "guestpost-consent"}),
        forged(claims(), None, "none"),
        forged(claims(), KEY * 2, "HS512"),
        forged(claims() | {"purpose": "everything"}),
        forged(claims() | {"aud": "somebody-else"}),
    ],
    ids=["empty", "garbage", "other key", "unknown key", "expired", "no key named", "incomplete", "unsigned",
         "other algorithm", "other purpose", "other audience"],
)  # fmt: skip
def test_a_forged_or_expired_state_is_refused(text: str) -> None:
    with pytest.raises(StateError):
        read(text, RING)


def test_a_state_signed_with_the_key_before_is_still_read() -> None:
    signed = sign(STATE, KeyRing((OLD,)), time.time())
    assert read(signed, BOTH) == STATE
    assert jwt.get_unverified_header(sign(STATE, BOTH, time.time()))["kid"] == "new"


@given(st.text(max_size=80), st.text(max_size=200))
def test_a_sealed_grant_opens_for_its_mailbox(sub: str, token: str) -> None:
    grant, holder = Grant("project", token), Holder("uid-1", sub)
    assert unseal(seal(grant, holder, BOTH, 0.0), holder, KeyRing((OLD, NEW))) == grant


def test_the_newest_key_seals_and_the_old_one_opens() -> None:
    before = seal(GRANT, MINE, KeyRing((OLD,)), 0.0)
    assert key_of(before) == "old"
    assert key_of(seal(GRANT, MINE, BOTH, 0.0)) == "new"
    assert unseal(before, MINE, BOTH) == GRANT


@pytest.mark.promise("P1.1")
def test_a_sealed_grant_opens_for_nobody_else() -> None:
    sealed = seal(GRANT, MINE, KeyRing((NEW,)), 0.0)
    assert "secret" not in sealed
    other_key = KeyRing((Key("new", b"y" * 32),))
    for holder, ring in ((Holder("uid-2", "1001"), BOTH), (Holder("uid-1", "1002"), BOTH), (MINE, other_key)):
        with pytest.raises(SealError) as refused:
            unseal(sealed, holder, ring)
        assert not isinstance(refused.value, UnknownKeyError)


def test_a_seal_whose_key_is_missing_is_not_called_a_forgery() -> None:
    """Its holder must not throw the token away because a broker has not read the key yet."""
    with pytest.raises(UnknownKeyError):
        unseal(seal(GRANT, MINE, KeyRing((NEW,)), 0.0), MINE, KeyRing((OLD,)))


@given(st.text(max_size=60), st.text(max_size=60))
def test_parts_of_a_holder_do_not_run_into_each_other(uid: str, sub: str) -> None:
    sealed = seal(GRANT, Holder(uid, sub), BOTH, 0.0)
    for other in (Holder(uid + sub[:1], sub[1:]), Holder(uid[:-1], uid[-1:] + sub)):
        if other != Holder(uid, sub):
            with pytest.raises(SealError):
                unseal(sealed, other, BOTH)


@given(st.text(max_size=100))
def test_garbage_is_no_sealed_grant(text: str) -> None:
    for candidate in (text, f"new.{text}"):
        with pytest.raises(SealError):
            unseal(candidate, MINE, BOTH)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_breaks_the_seal(place: int, change: int) -> None:
    sealed = seal(GRANT, MINE, BOTH, 0.0)
    content = bytearray(base64.urlsafe_b64decode(sealed.partition(".")[2]))
    content[place % len(content)] ^= change
    with pytest.raises(SealError):
        unseal(f"new.{base64.urlsafe_b64encode(content).decode()}", MINE, BOTH)


def test_a_seal_under_another_keys_name_does_not_open() -> None:
    sealed = seal(GRANT, MINE, BOTH, 0.0)
    with pytest.raises(SealError):
        unseal(f"old.{sealed.partition('.')[2]}", MINE, BOTH)


def test_a_claims_name_is_stable_and_tells_nothing() -> None:
    name = claim_name("1234567890", KEY)
    assert name == claim_name("1234567890", KEY)
    assert len(name) == len("mailbox-") + 40
    assert "1234567890" not in name
    assert name != claim_name("1234567890", b"x" * 32)


def test_a_limit_says_how_long_to_wait_and_forgets_the_oldest() -> None:
    now = [0.0]
    limit = RateLimit(Rate(per_minute=30, burst=2), most_keys=2, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(3)] == [0, 0, 2]
    now[0] = 2.0
    assert (limit.wait("a"), limit.take("a"), limit.take("a")) == (0, 0, 2)
    limit.take("b")
    limit.take("c")
    assert limit.take("a") == 0, "a was forgotten, so it begins anew"


def test_asking_how_long_to_wait_takes_nothing() -> None:
    limit = RateLimit(Rate(per_minute=1, burst=1), clock=lambda: 0.0)
    assert [limit.wait("a") for _ in range(5)] == [0] * 5
    assert (limit.take("a"), limit.take("a")) == (0, 60)
