"""What of a tenant matters to a pass, and what of a status to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator.api import names
from guestpost_operator.api.conditions import Type


def requested(body: Mapping[str, Any]) -> str | None:
    """What a person wrote to have everything looked at now."""
    value: str | None = (body["metadata"].get("annotations") or {}).get(names.ANNOTATION_REQUESTED)
    return value


def relevant(body: Mapping[str, Any]) -> tuple[object, ...]:
    """What a pass depends on; our own status writes come back unchanged and cause none."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        names.FINALIZER in (metadata.get("finalizers") or ()),
        annotations.get(names.ANNOTATION_PAUSED),
        annotations.get(names.ANNOTATION_REQUESTED),
        annotations.get(names.ANNOTATION_ROTATE),
        body.get("status"),
    )


def is_news(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether people and alerts wait for the change, or it must be written before it is acted upon."""

    def truths(each: Mapping[str, Any]) -> dict[str, str]:
        found = {condition["type"]: condition["status"] for condition in each.get("conditions", ())}
        return {
            kind: found.get(kind, "")
            for kind in (Type.READY, Type.STALLED, Type.PAUSED, Type.UPGRADE_BLOCKED, Type.DELETION_BLOCKED)
        }

    told = ("observedGeneration", "deletion", "contact", "keys")
    return truths(old) != truths(new) or any(old.get(each) != new.get(each) for each in told)
