"""People of this tenant."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


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
