"""People of this tenant, those who are invited, and where each is signed in."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guestpost_crm.crypto import services as crypto

INVITED_FOR = dt.timedelta(days=14)


class Role(models.TextChoices):
    """What a person may do."""

    OWNER = "owner", _("Owner")
    MANAGER = "manager", _("Manager")
    MEMBER = "member", _("Member")
    READER = "reader", _("Read-only")
    # Somebody of the service, for as long as an approval lasts; no member of the team.
    SUPPORT = "support", _("Support")


class People(BaseUserManager["Person"]):
    """The table of people."""

    def get_by_natural_key(self, username: str | None) -> Person:
        """By the Google account's `sub`."""
        return self.get(sub=username)


class Person(AbstractBaseUser):
    """Somebody with a Google account, known by its `sub`, which never changes hands.

    Without a `language` pages are in the browser's, without a `time_zone` moments are in UTC.
    `mail_lost_links`: they are written to when a link of their orders is lost.
    """

    sub = models.CharField(max_length=255, unique=True)
    email = models.EmailField(max_length=320)
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.READER)
    is_active = models.BooleanField(default=True)
    language = models.CharField(max_length=10, blank=True)
    time_zone = models.CharField(max_length=60, blank=True)
    # The table's own default too: programs of the version before may write while this one starts.
    mail_lost_links = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "sub"
    REQUIRED_FIELDS = []
    objects = People()

    class Meta:
        db_table = "person"
        constraints = [
            models.UniqueConstraint(fields=["role"], condition=models.Q(role="owner"), name="one_owner")
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def may_write(self) -> bool:
        """Whether this person may send mail and change things."""
        return self.role not in (Role.READER, Role.SUPPORT)

    @property
    def may_manage(self) -> bool:
        """Whether this person may connect and disconnect mailboxes."""
        return self.role in (Role.OWNER, Role.MANAGER)

    def get_session_auth_hash(self) -> str:
        """What a session of this person has to hold: nothing of Django's key, which signs sessions anyway.

        With the key in it, an exchange of keys gives each session another name in the middle of a request:
        what the browser asks meanwhile is of nobody, and ending it by the name that was noted ends nothing.
        """
        return hashlib.sha256(self.password.encode()).hexdigest()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store; nobody has a password here."""
        if not self.password:
            self.set_unusable_password()
        super().save(*args, **kwargs)


def _in_time() -> dt.datetime:
    return timezone.now() + INVITED_FOR


class Invitation(models.Model):
    """An address that may sign in and becomes a member by it; it is used once."""

    email = models.EmailField(max_length=254, unique=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(default=_in_time)

    class Meta:
        db_table = "invitation"
        constraints = [
            models.CheckConstraint(condition=~models.Q(role="owner"), name="nobody_is_invited_as_owner")
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def expired(self) -> bool:
        """Whether it came too late."""
        return self.expires_at < timezone.now()


class SignIn(models.Model):
    """A session of a person: which browser, since when, seen when; ending it ends the session."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    agent = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "sign_in"

    def __str__(self) -> str:
        return f"sign-in {self.pk}"


class Authenticator(models.Model):
    """The secret of a person's authenticator app.

    Attributes:
        confirmed_at: since when it is asked for; None while it is being set up.
        last_step: the step whose code was taken last; none before it is taken again.
        wrong, locked_until: wrong codes in a row, and until when no code is taken.
    """

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="authenticator")
    secret = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0)
    wrong = models.PositiveSmallIntegerField(default=0)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "authenticator"

    def __str__(self) -> str:
        return f"authenticator of person {self.person_id}"

    def keep_secret(self, secret: str) -> None:
        """Set the secret; stored are only sealed bytes."""
        self.secret = crypto.encrypt(secret.encode(), f"authenticator/{self.person_id}")

    def open_secret(self) -> str:
        """The secret in base 32."""
        return crypto.decrypt(bytes(self.secret), f"authenticator/{self.person_id}").decode()


class RecoveryCode(models.Model):
    """A code that lets a person in once without their authenticator; only its digest is stored."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)

    class Meta:
        db_table = "recovery_code"
        constraints = [models.UniqueConstraint(fields=["person", "digest"], name="one_recovery_code")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
