"""People of this tenant, those who are invited, and where each is signed in."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

INVITED_FOR = dt.timedelta(days=14)


class Role(models.TextChoices):
    """What a person may do."""

    OWNER = "owner", "Owner"
    MANAGER = "manager", "Manager"
    MEMBER = "member", "Member"
    READER = "reader", "Read-only"


class People(BaseUserManager["Person"]):
    """The table of people."""

    def get_by_natural_key(self, username: str | None) -> Person:
        """By the Google account's `sub`."""
        return self.get(sub=username)


class Person(AbstractBaseUser):
    """Somebody with a Google account, known by its `sub`, which never changes hands."""

    sub = models.CharField(max_length=255, unique=True)
    email = models.EmailField(max_length=320)
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.READER)
    is_active = models.BooleanField(default=True)
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
        return self.role != Role.READER

    @property
    def may_manage(self) -> bool:
        """Whether this person may connect and disconnect mailboxes."""
        return self.role in (Role.OWNER, Role.MANAGER)

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
