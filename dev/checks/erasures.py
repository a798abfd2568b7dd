"""What tests of erasures look at: conditions, mailbox claims, volumes, receipts."""

from __future__ import annotations

from typing import Any

from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kinds import CLAIM, CONFIG_MAP, RECEIPT

Object = dict[str, Any]


def condition(tenant: Object, kind: str) -> Object:
    """One of its conditions."""
    found: Object = next(each for each in tenant["status"]["conditions"] if each["type"] == kind)
    return found


def claim(tenant: Object, name: str = "") -> Object:
    """The claim of a mailbox that a tenant holds."""
    metadata = tenant["metadata"]
    labels = {names.LABEL_TENANT: metadata["name"], names.LABEL_TENANT_UID: metadata["uid"]}
    return {
        "apiVersion": CLAIM.api_version,
        "kind": CLAIM.name,
        "metadata": {"name": f"mailbox-{name or claim_name(tenant)}", "labels": labels},
        "spec": {"tenant": {"name": metadata["name"], "uid": metadata["uid"]}},
    }


def claim_name(tenant: Object) -> str:
    """What a tenant's claim is called after its prefix."""
    return f"{int(tenant['metadata']['uid'][:8], 16):040x}"


def volume(name: str, namespace: str, policy: str = "Retain") -> Object:
    """A volume of a tenant's database, whose disk somebody has to remove."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "finalizers": ["example.com/disk"]},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": policy,
            "claimRef": {
                "namespace": namespace,
                "name": "db-1",
                "uid": "0b7c4d1e-0000-4000-8000-000000000000",
            },
            "csi": {"driver": "example.com", "volumeHandle": name},
        },
    }


async def receipt(admin: KubernetesCluster, tenant: Object) -> Object:
    """The statement of a tenant's receipt, its signature checked with the published keys."""
    found = await admin.get(RECEIPT, receipts.name(tenant["metadata"]["uid"])) or {}
    published = await admin.get(CONFIG_MAP, names.RECEIPT_KEYS, "guestpost-system") or {"data": {}}
    return receipts.verify(found, receipts.public_keys([pem.encode() for pem in published["data"].values()]))


def outcomes(stated: Object) -> dict[str, str]:
    """What a receipt states of each step."""
    return {each["step"]: each["outcome"] for each in stated["steps"]}


def removed(stated: Object) -> dict[str, int]:
    """How many of each kind a receipt says were there."""
    return {each["kind"]: each["count"] for each in stated["removed"]}
