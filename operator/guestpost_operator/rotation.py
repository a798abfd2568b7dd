"""When a tenant's keys and passwords are exchanged, and how far that is. Pure. See docs/decisions/keys.md."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from guestpost_operator.api import names
from guestpost_operator.api.tenant import Keys, Tenant

# As much of the annotation as the status keeps.
REQUEST_SIZE = 64
# A tenant's turn on the schedule is open for this part of the time between two, and at least so long: an
# operator that was away misses none, and one whose schedule is new does not begin with the whole fleet.
WINDOW_PART, LEAST_WINDOW = 30, dt.timedelta(hours=3)


class Stage(StrEnum):
    """How far an exchange is.

    Attributes:
        INTRODUCED: every program knows the new keys, and uses the old ones.
        SWITCHED: every program uses the new keys and the other login; the old keys still open and verify.
        ROTATED: the old ones are gone.
    """

    INTRODUCED = "Introduced"
    SWITCHED = "Switched"
    ROTATED = "Rotated"


# Which stages may come before each, as the Secret tells them.
BEFORE = {
    Stage.INTRODUCED: ("", Stage.ROTATED),
    Stage.SWITCHED: (Stage.INTRODUCED,),
    Stage.ROTATED: (Stage.SWITCHED,),
}


@dataclass(frozen=True)
class Policy:
    """When to exchange.

    Attributes:
        every: the time between two exchanges of a tenant; zero for none but those that are asked for.
        overlap: how long the old keys still verify: as long as a session of the CRM may last.
    """

    every: dt.timedelta = dt.timedelta()
    overlap: dt.timedelta = dt.timedelta(hours=12)


@dataclass(frozen=True)
class Next:
    """The stage to go to now, if any, and seconds until time alone brings another one."""

    stage: Stage | None = None
    wait: float | None = None


def following(tenant: Tenant, now: dt.datetime, policy: Policy) -> Next:
    """What comes next for a tenant, whatever else holds it up."""
    keys = tenant.status.keys
    if keys.stage == Stage.INTRODUCED:
        return Next(Stage.SWITCHED)
    if keys.stage == Stage.SWITCHED:
        left = (_moment(keys.since) + policy.overlap - now).total_seconds()
        return Next(wait=left) if left > 0 else Next(Stage.ROTATED)
    if asked(tenant) not in ("", keys.requested) or _due(tenant, now, policy.every):
        return Next(Stage.INTRODUCED)
    return Next()


def asked(tenant: Tenant) -> str:
    """The exchange that a person asks for."""
    return tenant.annotations.get(names.ANNOTATION_ROTATE, "")[:REQUEST_SIZE]


def reached(tenant: Tenant, stage: Stage, now: dt.datetime) -> Keys:
    """What the status says when a stage is reached."""
    keys = tenant.status.keys
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    if keys.stage == stage:
        return keys
    changes = {"stage": stage.value, "since": moment}
    if stage == Stage.INTRODUCED:
        changes["requested"] = asked(tenant) or keys.requested
    elif stage == Stage.ROTATED:
        changes["rotated_at"] = moment
    elif keys.stage == Stage.INTRODUCED:
        # Only of what came before it is known that the other login is good.
        changes["login"] = other(keys.login)
    return keys.model_copy(update=changes)


def other(login: str) -> str:
    """The login of PostgreSQL that is not in use."""
    return names.LOGIN if login == names.OTHER_LOGIN else names.OTHER_LOGIN


def _due(tenant: Tenant, now: dt.datetime, every: dt.timedelta) -> bool:
    """Whether its turn has come: each tenant has its own, so that a fleet never rotates at once."""
    period = every.total_seconds()
    if not period:
        return False
    phase = int.from_bytes(hashlib.sha256(tenant.uid.encode()).digest()[:8]) % int(period)
    since = (now.timestamp() - phase) % period
    window = max(period / WINDOW_PART, LEAST_WINDOW.total_seconds())
    last = _moment(tenant.status.keys.rotated_at or tenant.created)
    return since < window and (now - last).total_seconds() > period / 2


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
