"""The tenant's key as its Secret holds it: plain, or wrapped by a key in Google's KMS.

See docs/decisions/keys.md.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import structlog

from guestpost_operator import credentials
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Keys, Tenant
from guestpost_operator.backends.errors import AlreadyExistsError, BackendError, ConflictError
from guestpost_operator.backends.kms import CryptoKey, KeyManagement
from guestpost_operator.lifecycle import problems
from guestpost_operator.lifecycle.memory import BlockedError, Memory
from guestpost_operator.settings import Config, GoogleProject, KeyKind
from guestpost_operator.status import Step, done

log = structlog.get_logger()

DECRYPTER = "roles/cloudkms.cryptoKeyDecrypter"
# Who reads what is encrypted: accounts in the tenant's namespace.
READERS = ("web", "sync", "export")


def key(name: str, tenant: Tenant) -> CryptoKey:
    """The key as wanted. Google never forgets its name, so the tenant's own is not part of it."""
    return CryptoKey(name=name, labels={"tenant-uid": tenant.uid, "managed-by": names.FIELD_MANAGER})


def policy(tenant: Tenant, project: GoogleProject) -> Mapping[str, frozenset[str]]:
    """Only this tenant's CRM opens what the key has sealed.

    https://cloud.google.com/iam/docs/principal-identifiers (a Kubernetes service account of a pool)
    """
    if not project.workload_identity_pool:
        return {}
    return {
        DECRYPTER: frozenset(names.principal(project.number, project.workload_identity_pool,
                                             tenant.namespace, account) for account in READERS)
    }  # fmt: skip


class TenantKeys:
    """Makes tenants' keys, and keeps what wraps them.

    Args:
        management: KMS.
        config: where new keys are wrapped, and by what.
    """

    def __init__(self, management: KeyManagement, config: Config) -> None:
        self._management = management
        self._config = config

    def to_announce(self, tenant: Tenant) -> Keys | None:
        """What the status has to say of a KMS key before it is made; None when it says all."""
        keys, status = self._config.tenants.keys, tenant.status.keys
        if status.kms_key or keys.kind == KeyKind.SECRET:
            return None
        name = names.kms_key(tenant.spec.google_project, tenant.spec.region, keys.key_ring, tenant.uid)
        return status.model_copy(update={"kms_key": name})

    async def step(self, tenant: Tenant, memory: Memory) -> Step:
        """See that the KMS key is there and who may use it, unless that was seen before."""
        if memory.kms_checked or not tenant.status.keys.kms_key:
            return done()
        try:
            await self.keep(tenant)
        except BlockedError as problem:
            return problem.step()
        except BackendError as error:
            return problems.failed("Namespace", error)
        memory.kms_checked = True
        return done()

    async def wrapped(self, tenant: Tenant) -> str:
        """A new tenant's key, wrapped for its Secret; empty where it is to be there as it is.

        Raises:
            BlockedError: the KMS key is somebody else's.
            BackendError: KMS does not answer as needed.
        """
        name = tenant.status.keys.kms_key
        if not name or self._config.tenants.keys.kind == KeyKind.SECRET:
            return ""
        await self.keep(tenant)
        sealed = await self._management.encrypt(name, credentials.tenant_key(), tenant.uid.encode())
        return f"{name}:{base64.b64encode(sealed).decode()}"

    async def keep(self, tenant: Tenant) -> None:
        """Have the KMS key there, with exactly the rights that it is to have.

        Raises:
            BlockedError: it is somebody else's.
            BackendError: KMS does not answer as needed.
        """
        name = tenant.status.keys.kms_key
        if not name:
            return
        wanted = key(name, tenant)
        found = await self._management.get_key(name)
        if found is None:
            await self._create(tenant, wanted)
        elif found.labels.get("tenant-uid") != tenant.uid:
            raise BlockedError(
                "KmsKeyTaken",
                f"{name} exists already and does not carry the label tenant-uid={tenant.uid}; "
                "it is not adopted.",
            )
        project = self._config.google_projects[name.split("/")[1]]
        rights = policy(tenant, project)
        if await self._management.get_policy(name) != rights:
            await self._management.set_policy(name, rights)
            log.info("rights of the KMS key set", key=name)

    async def _create(self, tenant: Tenant, wanted: CryptoKey) -> None:
        try:
            await self._management.create_key(wanted)
        except AlreadyExistsError:
            raise ConflictError(f"{wanted.name} was made a moment ago; it is looked at again") from None
        log.info("KMS key created", key=wanted.name)
