"""The tenant's keys are exchanged without an interruption: what earlier ones sealed and signed stays good."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OLD, NEW = b"k" * 32, b"n" * 32
Rotate = Callable[..., None]


def encoded(key: bytes) -> bytes:
    return base64.b64encode(key)


@pytest.fixture
def keys(crm: None, clean_crm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotate]:
    """Mounts the tenant's keys as a Secret does: the first is in use, the others were."""
    from guestpost_crm import environment
    from guestpost_crm.crypto.services import forget_keys

    path = tmp_path / "tenant-key"
    monkeypatch.setenv("TENANT_KEY_FILE", str(path))

    def mount(now: bytes, *before: bytes) -> None:
        path.write_bytes(encoded(now))
        Path(f"{path}-fallbacks").write_bytes(b"\n".join(map(encoded, before)))
        environment.current.cache_clear()
        forget_keys()

    mount(OLD)
    yield mount
    monkeypatch.undo()
    environment.current.cache_clear()
    forget_keys()


@pytest.mark.promise("P8.1")
def test_what_was_sealed_opens_in_every_stage_of_a_rotation(keys: Rotate) -> None:
    from guestpost_crm.crypto.models import DataKey
    from guestpost_crm.crypto.services import decrypt, encrypt, rewrap

    sealed = encrypt(b"a refresh token", "mailbox/1")
    for stage in ((OLD, NEW), (NEW, OLD)):
        keys(*stage)
        assert decrypt(sealed, "mailbox/1") == b"a refresh token"
    before = bytes(DataKey.objects.get().wrapped)
    assert rewrap() == 1
    assert bytes(DataKey.objects.get().wrapped) != before
    assert rewrap() == 0, "once is enough"
    # Programs that have not been replaced yet know the new key as their second.
    for stage in ((OLD, NEW), (NEW, OLD), (NEW,)):
        keys(*stage)
        assert decrypt(sealed, "mailbox/1") == b"a refresh token"
        assert decrypt(encrypt(b"more", "mailbox/2"), "mailbox/2") == b"more"


@pytest.mark.promise("P8.1")
def test_the_old_key_opens_nothing_any_more(keys: Rotate) -> None:
    from guestpost_crm.crypto.services import DecryptionError, decrypt, encrypt, rewrap

    sealed = encrypt(b"a refresh token", "mailbox/1")
    keys(NEW, OLD)
    rewrap()
    keys(OLD)
    with pytest.raises(DecryptionError):
        decrypt(sealed, "mailbox/1")


def test_a_key_that_is_missing_changes_nothing(keys: Rotate) -> None:
    from guestpost_crm.crypto.models import DataKey
    from guestpost_crm.crypto.services import DecryptionError, decrypt, encrypt, rewrap

    sealed = encrypt(b"a refresh token", "mailbox/1")
    before = bytes(DataKey.objects.get().wrapped)
    keys(NEW)
    with pytest.raises(DecryptionError, match="no key of this tenant"):
        rewrap()
    assert bytes(DataKey.objects.get().wrapped) == before
    keys(OLD)
    assert decrypt(sealed, "mailbox/1") == b"a refresh token"


@pytest.mark.promise("P8.1")
def test_a_session_of_before_is_still_one(
    crm_environment: dict[str, str], tmp_path: Path, owner: Any
) -> None:
    """Signed with the key of before; a web that was started with a new one takes it."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(owner.pk), owner.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    (tmp_path / "django").write_bytes(b"new" * 20)
    program = (
        "import django; django.setup(); from django.test import Client; "
        "from django.conf import settings as s; c = Client(headers={'host': 'acme.localhost'}); "
        f"c.cookies[s.SESSION_COOKIE_NAME] = {session.session_key!r}; print(c.get('/account').status_code)"
    )

    def status() -> str:
        environment = {**os.environ, **crm_environment, "PYTHONPATH": ":".join(sys.path)}
        environment["DJANGO_SECRET_KEY_FILE"] = str(tmp_path / "django")
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    (tmp_path / "django-fallbacks").write_bytes(Path(crm_environment["DJANGO_SECRET_KEY_FILE"]).read_bytes())
    assert status() == "200"
    (tmp_path / "django-fallbacks").unlink()
    assert status() == "302", "without it the session is none"


@pytest.mark.promise("P8.1")
def test_a_session_keeps_its_name_and_is_signed_anew(page: Any, owner: Any) -> None:
    """What a browser asks at the same time finds it, and ending it by the name that was noted ends it."""
    from django.conf import settings
    from django.contrib.sessions.models import Session
    from django.test import override_settings
    from django.utils import timezone
    from guestpost_crm.accounts import sessions, team
    from guestpost_crm.accounts.models import SignIn

    session = page.session
    session[sessions.SEEN] = timezone.now().isoformat()
    session.save()
    SignIn.objects.create(person=owner, session_key=session.session_key)
    with override_settings(SECRET_KEY="n" * 50, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert page.get("/account").status_code == 200
        assert [each.session_key for each in Session.objects.all()] == [session.session_key]
    with override_settings(SECRET_KEY="n" * 50, SECRET_KEY_FALLBACKS=[]):
        assert page.get("/account").status_code == 200
        assert team.end_sessions(owner) == 1
        assert page.get("/account").status_code == 302
