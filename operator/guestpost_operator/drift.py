"""Whether an object in the cluster still is what was applied. Pure.

Two questions, since one comparison cannot answer both:

- `contains`: does the object hold every value that is rendered? (the API server adds defaults)
- `foreign_fields`: has somebody else added fields that are not rendered? The API server keeps that
  book itself, in `metadata.managedFields`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from guestpost_operator.api import names

Object = dict[str, Any]

# An empty map or a selector means "exactly this": one more label selects other pods.
EXACT_MAPS = frozenset(
    {
        "selector",
        "podSelector",
        "namespaceSelector",
        "matchLabels",
        "nodeSelector",
        "hard",
        "data",
        "limits",
        "requests",
    }
)
QUANTITY_PARENTS = frozenset(
    {
        "hard",
        "limits",
        "requests",
        "default",
        "defaultRequest",
        "max",
        "min",
        "storage",
        "resources",
        "emptyDir",
    }
)
_SUFFIXES = {
    "m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "P": Decimal(10**15), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip

# What changes without the content changing. Controllers' own notes are not content either.
_VOLATILE_METADATA = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink")
_CONTROLLER_ANNOTATIONS = ("deployment.kubernetes.io/revision",)

# Controllers that may write to the main resource of our objects.
_CONTROLLERS = frozenset({"kube-controller-manager", "cloudnative-pg", "manager"})


def rendered_hash(manifest: Mapping[str, Any]) -> str:
    """Hash of a rendered manifest, in hexadecimal digits: changes whenever rendering gives anything else."""
    return _digest(manifest).hex()


def content_hash(obj: Mapping[str, Any]) -> bytes:
    """Hash of an object without status, bookkeeping and controllers' notes."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _VOLATILE_METADATA}
    annotations = metadata.get("annotations")
    if annotations and any(key in annotations for key in _CONTROLLER_ANNOTATIONS):
        kept = {key: value for key, value in annotations.items() if key not in _CONTROLLER_ANNOTATIONS}
        metadata["annotations"] = kept
        if not kept:
            del metadata["annotations"]
    content = {
        key: value for key, value in obj.items() if key not in {"status", "metadata", "kind", "apiVersion"}
    }
    return _digest({**content, "metadata": metadata})


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()[:12]


def quantity(text: Any) -> Decimal | None:
    """A Kubernetes quantity as a number, None when it is none ("500m" = 0.5, "1Gi" = 1073741824)."""
    text = str(text)
    number = text.rstrip("mkKMGTPi")
    try:
        return Decimal(number) * _SUFFIXES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None


def contains(live: Any, wanted: Any, key: str = "", parent: str = "") -> bool:
    """Whether `live` holds every value of `wanted`.

    Maps may hold more, unless they are selectors and the like, or `wanted` is empty. Lists are the
    same length; their items are matched by `name` where they have one, else by place. Quantities
    are compared as numbers, for the API server rewrites them.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            # The API server leaves empty maps out, but no selector and an empty one are opposites.
            return not wanted and live is None and not key.lower().endswith("selector")
        if (not wanted or key in EXACT_MAPS) and live.keys() - wanted.keys():
            return False
        return all(contains(live.get(name), value, name, key) for name, value in wanted.items())
    if isinstance(wanted, list):
        return _contains_list(live, wanted, key, parent)
    if live is None:
        return bool(wanted == "")  # the API server leaves empty strings out
    return bool(live == wanted) or (bool({key, parent} & QUANTITY_PARENTS) and _same_quantity(live, wanted))


def _same_quantity(live: Any, wanted: Any) -> bool:
    number = quantity(wanted)
    return number is not None and number == quantity(live)


def _contains_list(live: Any, wanted: Sequence[Any], key: str, parent: str) -> bool:
    if not wanted and live is None:
        return True
    if not isinstance(live, list) or len(live) != len(wanted):
        return False
    if all(isinstance(item, Mapping) and "name" in item for item in (*live, *wanted)):
        by_name = {item["name"]: item for item in live}
        return all(contains(by_name.get(item["name"]), item, key, parent) for item in wanted)
    return all(contains(mine, item, key, parent) for mine, item in zip(live, wanted, strict=True))


def as_begun(manifest: Object, live: Mapping[str, Any]) -> Object:
    """A Job's manifest with the pods that it was begun with, for the API server lets nobody change them.

    What is rendered otherwise meanwhile is for the next one: an export or a terminal ends as it began.
    """
    return {**manifest, "spec": {**manifest["spec"], "template": live["spec"]["template"]}}


def foreign_fields(obj: Mapping[str, Any]) -> list[str]:
    """Managers other than ours and the controllers that own content fields of this object."""
    return sorted(
        {
            str(entry.get("manager"))
            for entry in obj["metadata"].get("managedFields") or ()
            if _is_foreign(entry)
        }
    )


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    return (
        not entry.get("subresource")
        and entry.get("manager") not in _CONTROLLERS
        and entry.get("manager") != names.FIELD_MANAGER
        and any(field != "f:metadata" for field in entry.get("fieldsV1") or ())
    )


def needs_take_over(obj: Mapping[str, Any]) -> bool:
    """Whether applying alone would leave fields behind: strangers', or ours from creating by POST."""
    return any(
        _is_foreign(entry)
        or (
            entry.get("manager") == names.FIELD_MANAGER
            and entry.get("operation") == "Update"
            and not entry.get("subresource")
        )
        for entry in obj["metadata"].get("managedFields") or ()
    )


def take_over(obj: Mapping[str, Any]) -> list[Object]:
    """ManagedFields in which strangers' fields are ours, so that applying removes what isn't rendered.

    The same that `csaupgrade` of client-go does for client-side appliers:
    https://pkg.go.dev/k8s.io/client-go/util/csaupgrade
    """
    kept: list[Object] = []
    union: Object = {}
    for entry in obj["metadata"].get("managedFields") or ():
        mine = entry.get("manager") == names.FIELD_MANAGER and not entry.get("subresource")
        if mine or _is_foreign(entry):
            _merge(union, entry.get("fieldsV1") or {})
        else:
            kept.append(dict(entry))
    ours: Object = {
        "manager": names.FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": obj["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": union,
    }
    return [ours, *kept]


def _merge(target: Object, source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping):
            if isinstance(target.get(key), dict):
                _merge(target[key], value)
            else:
                target[key] = copy.deepcopy(value)
        else:
            target.setdefault(key, value)
