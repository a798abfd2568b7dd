"""When an erasure that was asked for begins, and what each request is answered. Pure.

The customer's clock is the creation of the newest Erase that no CancelErasure follows: nothing has to be
remembered for it. Staff's is spec.deletion.requested, first seen at the time that the status says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guestpost_operator.api.conditions import condition, follow
from guestpost_operator.api.request import CANCEL, CONTACT, ERASE, Contact, Request
from guestpost_operator.api.tenant import DeletionStatus, Tenant
from guestpost_operator.revision import Object

CUSTOMER, STAFF = "Customer", "Staff"
ACCEPTED, REFUSED = "Accepted", "Refused"
# So long a refused request is kept, so that the customer can read why.
KEPT = dt.timedelta(days=1)


def asked(tenant: Tenant, requests: Sequence[Request], now: dt.datetime) -> DeletionStatus | None:
    """The erasure that is asked for, None when none is.

    Args:
        tenant: with what staff asks for, and since when.
        requests: all of the tenant's.
        now: for what is seen for the first time.
    """
    clocks: list[tuple[dt.datetime, str]] = []
    erase = _erase(tenant, requests)
    if erase is not None:
        clocks.append((moment(erase.created), CUSTOMER))
    if tenant.spec.deletion.requested:
        known = tenant.status.deletion
        seen = known.requested_at if known.requested_by == STAFF else ""
        clocks.append((moment(seen) if seen else now.replace(microsecond=0), STAFF))
    if not clocks:
        return None
    since, who = min(clocks)
    after = since + dt.timedelta(seconds=tenant.spec.deletion.grace_period_seconds)
    return DeletionStatus(
        requested_at=written(since),
        requested_by=who,
        final_export=final_export(tenant, requests),
        erase_after=written(after),
    )


def final_export(tenant: Tenant, requests: Sequence[Request]) -> str:
    """Whether a last export is wanted: Required or Skip."""
    erase = _erase(tenant, requests)
    return (erase.spec.final_export if erase else "") or tenant.spec.deletion.final_export


def contact(requests: Iterable[Request]) -> Contact | None:
    """Whom to write to, as the owner said last."""
    newest = in_force(requests, CONTACT)
    return newest.spec.contact if newest is not None else None


def _erase(tenant: Tenant, requests: Iterable[Request]) -> Request | None:
    """The Erase that is in force."""
    newest = in_force(_in_time(tenant, requests), ERASE, CANCEL)
    return newest if newest is not None and newest.spec.type == ERASE else None


def _in_time(tenant: Tenant, requests: Iterable[Request]) -> list[Request]:
    """Those that count: what comes after the erasure has begun changes nothing any more."""
    return [each for each in requests if not tenant.deleting or each.status.phase == ACCEPTED]


def in_force(requests: Iterable[Request], *types: str) -> Request | None:
    """The newest request of these types that was not refused."""
    found = [each for each in requests if each.spec.type in types and each.status.phase != REFUSED]
    return max(found, key=lambda each: (each.created, each.name), default=None)


@dataclass(frozen=True)
class Answer:
    """What a request is answered. `reason` is CamelCase, `message` for people."""

    phase: str
    reason: str
    message: str = ""
    erase_after: str = ""


def answers(tenant: Tenant, requests: Sequence[Request], clock: DeletionStatus | None) -> dict[str, Answer]:
    """The answer to each request that counts or has just been made in vain, by its name.

    Args:
        tenant: whose.
        requests: all of them.
        clock: the erasure that is asked for, if one is.
    """
    newest = _counting(_in_time(tenant, requests))
    found = {}
    for request in requests:
        if request.status.phase == REFUSED:
            # Said once, it stays said.
            continue
        if tenant.deleting and request.status.phase != ACCEPTED:
            message = "the erasure has begun; it cannot be taken back, and nothing else is done any more"
            found[request.name] = Answer(REFUSED, "ErasureBegun", message)
        elif request.name not in newest:
            # A later one took its place, and it is about to go.
            continue
        elif request.spec.type == ERASE and clock is None and not tenant.deleting:
            # It came while this pass was under way: the next one knows when it is due.
            continue
        elif request.spec.type == CANCEL and clock is not None:
            message = "the service itself asks for the erasure too, and only it can take that back"
            found[request.name] = Answer(ACCEPTED, "RequestedByStaff", message, clock.erase_after)
        else:
            found[request.name] = _accepted(tenant, request, clock)
    return found


def _accepted(tenant: Tenant, request: Request, clock: DeletionStatus | None) -> Answer:
    if request.spec.type != ERASE:
        return Answer(ACCEPTED, "Accepted")
    after = clock.erase_after if clock else request.status.erase_after
    if tenant.deleting:
        return Answer(ACCEPTED, "Erasing", "the tenant is being erased", after)
    if tenant.spec.deletion.protected:
        message = "the tenant is protected: nothing is erased until the service lifts the protection"
        return Answer(ACCEPTED, "Protected", message, after)
    return Answer(ACCEPTED, "GracePeriod", "it can be taken back until then", after)


def status(request: Request, answer: Answer, now: str) -> Object:
    """What has to be written into a request's status, empty when it says so already.

    Args:
        request: as last read.
        answer: to it.
        now: RFC 3339, for a condition whose status changed.
    """
    new: Object = {}
    if answer.phase != request.status.phase:
        new["phase"] = answer.phase
    if answer.erase_after != request.status.erase_after:
        new["eraseAfter"] = answer.erase_after or None
    wanted = [condition("Accepted", answer.phase == ACCEPTED, answer.reason, answer.message)]
    conditions = follow(request.status.conditions, wanted, request.generation, now)
    if conditions != request.status.conditions:
        new["conditions"] = [each.model_dump(by_alias=True) for each in conditions]
    return new


def stale(tenant: Tenant, requests: Sequence[Request], now: dt.datetime) -> list[Request]:
    """Requests that a later one took the place of, and those that were refused long ago."""
    in_time = _in_time(tenant, requests)
    counting = _counting(in_time)
    replaced = [each for each in in_time if each.name not in counting and each.status.phase != REFUSED]
    refused = [
        each for each in requests if each.status.phase == REFUSED and moment(each.created) + KEPT < now
    ]
    return [*replaced, *refused]


def _counting(requests: Iterable[Request]) -> set[str]:
    newest = (in_force(requests, ERASE, CANCEL), in_force(requests, CONTACT))
    return {each.name for each in newest if each is not None}


def moment(text: str) -> dt.datetime:
    """A time as the API writes it."""
    return dt.datetime.fromisoformat(text)


def written(value: dt.datetime) -> str:
    """A time as the API writes it: RFC 3339 in UTC, whole seconds."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
