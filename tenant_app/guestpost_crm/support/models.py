"""What the service asked for, what the customer decided, and what was typed and shown in terminals."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guestpost_crm.environment import current


class Level(models.TextChoices):
    """How far somebody of the service may come in; each includes those before it."""

    BROWSE = "Browse", _("Look at the CRM's pages")
    SHELL = "Shell", _("Look at the pages, and read the database in a terminal")


class Decision(models.TextChoices):
    """What the customer said."""

    NONE = "", _("Not decided")
    APPROVED = "Approved", _("Approved")
    DENIED = "Denied", _("Denied")


class Accesses(models.QuerySet["SupportAccess"]):
    """Selections of what was asked for."""

    def of_this_server(self) -> Accesses:
        """Without what came with an archive from elsewhere: nobody comes in by that."""
        return self.filter(tenant=current().tenant_uid)

    def waiting(self) -> Accesses:
        """What the customer has not decided about."""
        return self.of_this_server().filter(decision=Decision.NONE, withdrawn_at=None)

    def active(self) -> Accesses:
        """What lets somebody in now."""
        approved = self.of_this_server().filter(
            decision=Decision.APPROVED, revoked_at=None, withdrawn_at=None
        )
        return approved.filter(expires_at__gt=timezone.now())

    def unfinished(self) -> Accesses:
        """What is waiting and what is active; `state` tells which."""
        active = models.Q(decision=Decision.APPROVED, revoked_at=None, expires_at__gt=timezone.now())
        return self.of_this_server().filter(models.Q(decision=Decision.NONE) | active, withdrawn_at=None)


class SupportAccess(models.Model):
    """One SupportGrant. What the customer decided counts as it stands here; the API server is told of it.

    Attributes:
        tenant: uid of the tenant that it was asked of.
        grant: uid of the SupportGrant.
        name: of the SupportGrant.
        subject: whom it is for.
        level, seconds: what is asked for.
        given_level, expires_at: what the customer gave.
        told: whether the API server knows what stands here.
        problem: why it can't be told, for people.
    """

    tenant = models.CharField(max_length=64)
    grant = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=63)
    subject = models.CharField(max_length=254)
    reason = models.CharField(max_length=500)
    level = models.CharField(max_length=10, choices=Level.choices)
    seconds = models.PositiveIntegerField()
    asked_at = models.DateTimeField()
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.NONE, blank=True)
    given_level = models.CharField(max_length=10, choices=Level.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, db_index=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    told = models.BooleanField(default=True)
    problem = models.CharField(max_length=500, blank=True)

    objects = Accesses.as_manager()

    class Meta:
        db_table = "support_access"
        ordering = ("-asked_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name} for {self.subject}"

    @property
    def is_active(self) -> bool:
        """Whether it lets somebody in now."""
        return self.state == "active"

    @property
    def state(self) -> str:
        """waiting, active, denied, revoked, withdrawn or expired."""
        if self.withdrawn_at:
            return "withdrawn"
        if self.decision != Decision.APPROVED:
            return "denied" if self.decision else "waiting"
        if self.revoked_at:
            return "revoked"
        if self.tenant != current().tenant_uid or not self.expires_at:
            return "expired"
        return "active" if self.expires_at > timezone.now() else "expired"

    @property
    def asked_for(self) -> dt.timedelta:
        """The time that is asked for."""
        return dt.timedelta(seconds=self.seconds)


class ShellSession(models.Model):
    """One terminal that somebody opened: who is in the access, when is here, and what in its pieces."""

    access = models.ForeignKey(SupportAccess, on_delete=models.PROTECT, related_name="shells")
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "support_shell_session"
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"terminal {self.pk}"


class Kind(models.TextChoices):
    """Which way a piece of a terminal went."""

    SHOWN = "shown", _("Shown")
    TYPED = "typed", _("Typed")


class ShellPiece(models.Model):
    """A piece of what a terminal showed, or of what was typed: a screen can be told not to show that."""

    session = models.ForeignKey(ShellSession, on_delete=models.CASCADE, related_name="pieces")
    index = models.PositiveIntegerField()
    kind = models.CharField(max_length=5, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField()

    class Meta:
        db_table = "support_shell_piece"
        ordering = ("session", "index")
        constraints = [models.UniqueConstraint(fields=["session", "index"], name="piece_in_its_place")]

    def __str__(self) -> str:
        return f"piece {self.index} of {self.session_id}"
