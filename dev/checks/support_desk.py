"""What staff and customer do about SupportGrants of a tenant, and what is seen of them."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guestpost_operator import support
from guestpost_operator.api import names
from guestpost_operator.api.grant import Approval
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kinds import GRANT, JOB, NAMESPACE, NETWORK_POLICY, ROLE_BINDING, SECRET


class Desk:
    """What staff and customer do about grants of one tenant, and what is seen of it."""

    def __init__(self, admin: KubernetesCluster, tenants: Any, tenant: dict[str, Any]) -> None:
        self.admin, self._tenants = admin, tenants
        self.tenant = tenant
        self.namespace = f"gpt-{tenant['metadata']['name']}"

    async def ask(self, name: str = "ticket-1", level: str = "Shell") -> dict[str, Any]:
        """As staff does."""
        spec = {"subject": "sam@support.example", "reason": "Ticket 4711: no new mail.", "level": level}
        body = {
            "apiVersion": GRANT.api_version,
            "kind": GRANT.name,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        return await self.admin.create(GRANT, body)

    async def key(self) -> Ed25519PrivateKey:
        """What the tenant's web has, and nobody else."""
        secret = await self.admin.get(SECRET, names.SECRET_KEYS, self.namespace, whole=True) or {}
        text = base64.b64decode(secret["data"]["approval-key"])
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text))

    async def approve(
        self, grant: dict[str, Any], seconds: int = 3600, key: Ed25519PrivateKey | None = None, **changes: str
    ) -> None:
        """As the tenant's web does when its owner says yes."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        given = {
            "decision": "Approved",
            "level": "Shell",
            "decidedAt": now.isoformat().replace("+00:00", "Z"),
            "expiresAt": (now + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z"),
            **changes,
        }
        statement = support.statement(
            self.tenant["metadata"]["uid"], grant["metadata"]["uid"], Approval.model_validate(given)
        )
        signature = (key or await self.key()).sign(statement)
        given["signature"] = base64.b64encode(signature).decode()
        await self.write(grant, approval=given)

    async def write(self, grant: dict[str, Any], **status: Any) -> None:
        """Write fields of a grant's status."""
        metadata = grant["metadata"]
        await self.admin.merge_status(GRANT, metadata["name"], self.namespace, metadata["uid"], status)

    async def wait(self, grant: dict[str, Any], phase: str) -> dict[str, Any]:
        """The grant once it is in a phase."""

        async def so() -> dict[str, Any] | None:
            found = await self.admin.get(GRANT, grant["metadata"]["name"], self.namespace)
            return found if ((found or {}).get("status") or {}).get("phase") == phase else None

        found: dict[str, Any] = await self._tenants.eventually(so, f"phase {phase}")
        return found

    async def parts(self, job: str) -> set[str]:
        """What there is of a Shell."""
        found = set()
        for kind in (JOB, ROLE_BINDING, NETWORK_POLICY):
            for each in await self.admin.find(kind, self.namespace):
                if each["metadata"]["name"].startswith(job) and "deletionTimestamp" not in each["metadata"]:
                    found.add(f"{kind.name} {each['metadata']['name'].removeprefix(job)}".strip())
        namespace = await self.admin.get(NAMESPACE, self.namespace) or {"metadata": {}}
        notes = namespace["metadata"].get("annotations", {})
        if subject := notes.get(f"shell.guestpostcrm.com/{job}"):
            found.add(f"mark for {subject}")
        return found

    async def wait_parts(self, job: str, wanted: set[str]) -> None:
        """Wait until just this is there of a Shell."""

        async def so() -> bool:
            return await self.parts(job) == wanted

        await self._tenants.eventually(so, f"{wanted} of {job}")


ALL = {"Job", "RoleBinding", "NetworkPolicy", "NetworkPolicy -database", "mark for sam@support.example"}


def job_of(grant: dict[str, Any]) -> str:
    """Name of the Job of a grant's Shell."""
    return f"support-{grant['metadata']['uid'][:8]}"
