"""The versions of the privacy policy. Continuing to use the CRM after one was shown is accepting it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from guestpost_crm.accounts.models import Person
from guestpost_crm.privacy.models import PolicyAcceptance


@dataclass(frozen=True)
class Policy:
    """One version.

    Attributes:
        version: counts from 1.
        effective: since when it holds.
        changes: what is new in it, for people; to be translated where it is shown.
    """

    version: int
    effective: dt.date
    changes: str


POLICIES = (
    Policy(1, dt.date(2026, 11, 24), gettext_noop("The first version.")),
    Policy(
        2,
        dt.date(2026, 11, 25),
        gettext_noop(
            "It says which numbers the people who run the service see: those of the usage page, no others."
        ),
    ),
)
CURRENT = POLICIES[-1]


def accepted(person: Person) -> bool:
    """Whether a person has accepted the version in force."""
    return PolicyAcceptance.objects.filter(person=person, version=CURRENT.version).exists()


def unseen(person: Person) -> list[Policy]:
    """The versions that a person has not accepted yet, the newest first."""
    known = set(PolicyAcceptance.objects.filter(person=person).values_list("version", flat=True))
    return [policy for policy in reversed(POLICIES) if policy.version not in known]


def accept(person: Person) -> None:
    """Record that a person accepts the version in force; once is enough."""
    PolicyAcceptance.objects.get_or_create(person=person, version=CURRENT.version)
