"""Which stored revisions nobody needs any more: tenants and times in, what to do out. Pure.

See docs/decisions/pinned-revisions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """What to do about stored revisions, by id.

    Attributes:
        begin: nobody uses it from now on: that is written down.
        end: somebody uses it again: that is taken back.
        remove: nobody has used it for so long that it goes.
    """

    begin: frozenset[str] = frozenset()
    end: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


def used(bodies: Iterable[Mapping[str, Any]], newest: Mapping[str, str]) -> set[str]:
    """The revisions that tenants are rendered from, came from, or go to because a person says so.

    Args:
        bodies: all tenants, as the API server gives them.
        newest: version of the CRM → the newest stored revision that has it.
    """
    found = set()
    for body in bodies:
        spec, status = body.get("spec") or {}, body.get("status") or {}
        found |= {
            status.get("revision", ""),
            # Web and sync follow when the database is migrated.
            (status.get("app") or {}).get("revision", ""),
            # The way back: pinned to the version that it had.
            (status.get("release") or {}).get("previousRevision", ""),
            newest.get((spec.get("release") or {}).get("version", ""), ""),
        }
    return found - {""}


def judge(
    stored: Mapping[str, datetime | None], needed: Iterable[str], keep: timedelta, now: datetime
) -> Verdict:
    """What to do about each stored revision.

    Args:
        stored: id → since when it is written down that nobody uses it, None when it is not.
        needed: ids that are used, the current one included.
        keep: how long one is kept that nobody uses.
        now: the time.
    """
    idle = stored.keys() - set(needed)
    return Verdict(
        begin=frozenset(each for each in idle if stored[each] is None),
        end=frozenset(each for each in stored.keys() - idle if stored[each] is not None),
        remove=frozenset(each for each in idle if (since := stored[each]) and now - since >= keep),
    )
