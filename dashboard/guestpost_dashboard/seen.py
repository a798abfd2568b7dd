"""What somebody saw of a tenant when they decided about it, and whether it is still so. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.calls import Call

Object = dict[str, Any]


class OvertakenError(Exception):
    """Somebody else has changed what a job would overwrite; nothing was written.

    Attributes:
        before: what was seen of the spec.
        now: the same as it is.
    """

    def __init__(self, before: Object, now: Object) -> None:
        super().__init__("somebody has changed it since you looked; nothing was written")
        self.before = before
        self.now = now


@dataclass(frozen=True)
class Seen:
    """What was seen; what is empty was not looked at.

    Attributes:
        uid: of the tenant.
        generation: of its spec.
        spec: what a job overwrites of it, None where that is not known.
    """

    uid: str = ""
    generation: int = 0
    spec: Object | None = None

    def __str__(self) -> str:
        """As a page carries it."""
        return json.dumps({"uid": self.uid, "spec": self.spec})

    def is_another(self, tenant: Mapping[str, Any]) -> bool:
        """Whether another tenant has the name now."""
        return bool(self.uid) and tenant["metadata"].get("uid") != self.uid

    def require(self, tenant: Mapping[str, Any], call: Call, concerns: Sequence[str]) -> None:
        """See to it that a call overwrites only what was seen.

        Args:
            tenant: as it is now.
            call: what a job comes to with it.
            concerns: keys of the spec that the job overwrites.

        Raises:
            OvertakenError: it would overwrite something else.
        """
        if not concerns or is_so(call, tenant):
            return
        now = part(tenant, concerns)
        generation = tenant["metadata"].get("generation")
        if self.spec is not None and now != self.spec:
            raise OvertakenError({"spec": self.spec}, {"spec": now})
        if self.generation and generation != self.generation:
            raise OvertakenError({}, {"spec": now})


def of(tenant: Mapping[str, Any], concerns: Sequence[str]) -> Seen:
    """What a page shows of a tenant to who decides about a job that overwrites some of it."""
    return Seen(str(tenant["metadata"].get("uid", "")), spec=part(tenant, concerns))


def read(text: str) -> Seen:
    """What a page carried; nothing was seen where it carried nothing."""
    try:
        said = json.loads(text)
    except ValueError:
        return Seen()
    if not isinstance(said, dict):
        return Seen()
    spec = said.get("spec")
    return Seen(str(said.get("uid") or ""), spec=spec if isinstance(spec, dict) else None)


def part(tenant: Mapping[str, Any], concerns: Sequence[str]) -> Object:
    """Some of a spec."""
    spec = tenant.get("spec") or {}
    return {key: spec[key] for key in concerns if key in spec}


def is_so(call: Call, tenant: Mapping[str, Any]) -> bool:
    """Whether a tenant's spec is already what a call would make of it: whoever did it, nothing is lost."""
    wanted = call.body.get("spec")
    return call.kind == TENANT and wanted is not None and _holds(wanted, tenant.get("spec") or {})


def _holds(patch: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Whether a merge patch changes nothing."""
    return all(
        _holds(value, there.get(key) or {}) if isinstance(value, Mapping) else there.get(key) == value
        for key, value in patch.items()
    )
