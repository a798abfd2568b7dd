"""What the ends of two lifecycles are compared by: everything but names, times, keys and versions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from guestpost_operator.backends.kinds import ASKED
from operator_script import settled

Object = dict[str, Any]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)
# Of services.
ADDRESS = re.compile(r"\b10\.96\.\d+\.\d+\b")
SIGNATURE = re.compile(r'(?<="signature": ")[^"]+')
VERSION = re.compile(r"\b1\.0\.\d+\b")
# Bookkeeping, and a hash of it.
VOLATILE = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences",
)  # fmt: skip


def without_chance(found: Object, new: str) -> Object:
    """Names, times and versions replaced by what stands for them.

    Args:
        found: what there is at an end.
        new: the CRM's version that the operator is configured with.
    """
    text = json.dumps(found, sort_keys=True)
    for pattern, word in ((PEM, "PEM"), (ADDRESS, "ADDRESS"), (SIGNATURE, "SIGNATURE")):
        text = pattern.sub(word, text)
    text = VERSION.sub(lambda match: "NEW" if match.group() == new else "OLD", text)
    result: Object = json.loads(settled(TIME.sub("TIME", text)))
    return result


def plain(obj: Object) -> Object:
    """An object without bookkeeping; of its status the phases, and what conditions say, in whatever words."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in VOLATILE}
    kept = {
        key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")
    }
    kept["metadata"] = metadata
    kind = obj.get("kind", "")
    if kind in {each.name for each in ASKED} | {"GuestPostTenant"}:
        status = dict(obj.get("status") or {})
        conditions = status.pop("conditions", ())
        kept["status"] = status
        kept["conditions"] = {each["type"]: [each["status"], each["reason"]] for each in conditions}
    return kept


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Where two ends differ, in words."""
    told = []
    for key in sorted(found.keys() | wanted.keys()):
        ours, theirs = found.get(key), wanted.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            told.append(f"{key}: {{{differences(ours, theirs)}}}")
        else:
            told.append(f"{key} is {json.dumps(ours)[:300]}, without faults {json.dumps(theirs)[:300]}")
    return "; ".join(told)
