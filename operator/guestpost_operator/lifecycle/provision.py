"""One level-based pass: look at what is, make it what is wanted, tell what was found.

The order: namespace (its uid and the ids of what follows go into the status before they are used),
Secrets, then everything else at once, Pub/Sub beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from guestpost_operator import drift, render
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import (
    AlreadyExistsError,
    BackendError,
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from guestpost_operator.backends.kinds import (
    BACKEND_TLS_POLICY,
    CLUSTER,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    NAMESPACE,
    SECRET,
    SERVICE,
    VOLUME_CLAIM,
)
from guestpost_operator.inventory import Inventory, Key, Observed
from guestpost_operator.lifecycle.memory import BlockedError, Memory
from guestpost_operator.lifecycle.messaging import MessagingKeeper
from guestpost_operator.lifecycle.objects import Objects, applied_hash, key_of
from guestpost_operator.lifecycle.revisions import Revisions
from guestpost_operator.lifecycle.secrets import SECRETS, SecretKeeper
from guestpost_operator.revision import Object, Revision, RevisionError
from guestpost_operator.settings import Config
from guestpost_operator.status import WAITING, Facts, Step, done

log = structlog.get_logger()

DATABASE = Key(CLUSTER.name, "db")
WORKLOADS = (Key(DEPLOYMENT.name, "web"), Key(DEPLOYMENT.name, "sync"))
_APPLICATION_KINDS = frozenset(
    {DEPLOYMENT.name, SERVICE.name, INGRESS.name, HTTP_ROUTE.name, BACKEND_TLS_POLICY.name}
)

Announce = Callable[[Facts], Awaitable[Tenant]]


@dataclass(frozen=True)
class Surroundings:
    """What a pass needs to know besides the tenant.

    Attributes:
        hostname_owner: name of the tenant that holds a host name: the one that asked first.
        broker_ca: PEM of the CA that vouches for the consent broker.
        clock: monotonic seconds.
    """

    config: Config
    hostname_owner: Callable[[str], str | None]
    broker_ca: Callable[[], str]
    clock: Callable[[], float]


class Provisioner:
    """Brings one tenant to what its spec asks for."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        inventory: Inventory,
        objects: Objects,
        secrets: SecretKeeper,
        messaging: MessagingKeeper,
        revisions: Revisions,
        surroundings: Surroundings,
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._objects = objects
        self._secrets = secrets
        self._messaging = messaging
        self._revisions = revisions
        self._around = surroundings

    async def reconcile(self, tenant: Tenant, memory: Memory, announce: Announce) -> Facts:
        """One pass over one tenant. Repeating it changes nothing.

        Args:
            tenant: as last read.
            memory: what earlier passes found; changed in place.
            announce: writes facts into the status at once, before they are relied upon, and
                gives the tenant back with that status.

        Returns:
            What was found. Failures of parts are in there; they are not raised.

        Raises:
            BackendError: when the status could not be written, or nothing could be read.
        """
        try:
            revision = await self._revisions.of(tenant)
            self._check(tenant, revision)
            facts = Facts(
                revision=revision.id,
                url=render.url(tenant, revision),
                version=_version(revision.config["images"]["crm"]),
                topic=names.topic(tenant.spec.google_project, tenant.name, tenant.uid),
                subscription=names.subscription(tenant.spec.google_project, tenant.name, tenant.uid),
            )
            uid = await self._namespace(tenant, revision, memory)
        except render.UnsatisfiableError as problem:
            return Facts(problem=Step(done=False, reason=problem.reason, message=str(problem), stalled=True))
        except RevisionError as problem:
            return Facts(
                problem=Step(done=False, reason="RevisionUnusable", message=str(problem), stalled=True)
            )
        except BlockedError as problem:
            return Facts(problem=problem.step(), revision=tenant.status.revision)
        except BackendError as error:
            return Facts(namespace=_failed("Namespace", error), revision=tenant.status.revision)
        fresh = not tenant.status.messaging.topic
        facts = replace(facts, namespace_uid=uid)
        if _to_announce(tenant, facts):
            tenant = await announce(replace(facts, namespace=done()))
        messaging, parts = await asyncio.gather(
            self._keep_messaging(tenant, memory, fresh=fresh), self._keep_objects(tenant, revision, memory)
        )
        facts = replace(
            facts,
            messaging=messaging,
            namespace=parts["namespace"],
            database=parts.get("database", WAITING),
            application=parts.get("application", WAITING),
        )
        return await self._observe(tenant, facts, revision, memory)

    def _check(self, tenant: Tenant, revision: Revision) -> None:
        render.check(tenant, revision)
        if tenant.spec.google_project not in self._around.config.google_projects:
            raise render.UnsatisfiableError(
                "UnknownGoogleProject",
                f"spec.googleProject {tenant.spec.google_project!r} is not in the chart's values any more; "
                "put it back.",
            )
        hostname = render.hostname(tenant, revision)
        holder = self._around.hostname_owner(hostname)
        if holder not in (None, tenant.name):
            raise render.UnsatisfiableError(
                "HostnameTaken",
                f"{hostname} is held by the older tenant {holder}; set another spec.hostname in one of them.",
            )

    async def _namespace(self, tenant: Tenant, revision: Revision, memory: Memory) -> str:
        """The uid of the tenant's own namespace, made if it may be made."""
        key = Key(NAMESPACE.name, tenant.namespace)
        recorded = tenant.status.namespace.uid
        observed = self._inventory.objects(tenant.uid).get(key)
        if observed is None and not (recorded and tenant.has_data):
            observed_uid = await self._create_namespace(tenant, revision, memory)
        elif observed is None:
            observed_uid = await self._existing_namespace(tenant)
        elif observed.deleting:
            raise ConflictError(f"namespace {tenant.namespace} is being deleted, though its tenant is not")
        else:
            observed_uid = observed.uid
        if recorded and observed_uid != recorded and tenant.has_data:
            raise _namespace_lost(tenant)
        return observed_uid

    async def _create_namespace(self, tenant: Tenant, revision: Revision, memory: Memory) -> str:
        manifest = render.namespace(tenant, revision)
        try:
            created = await self._cluster.create(NAMESPACE, manifest)
        except AlreadyExistsError:
            return await self._existing_namespace(tenant)
        self._inventory.observe(created)
        memory.good[key_of(manifest)] = (applied_hash(manifest), drift.content_hash(created))
        log.info("namespace created", object=tenant.namespace)
        return str(created["metadata"]["uid"])

    async def _existing_namespace(self, tenant: Tenant) -> str:
        live = await self._cluster.get(NAMESPACE, tenant.namespace)
        if live is None:
            if tenant.has_data:
                raise _namespace_lost(tenant)
            raise ConflictError(f"namespace {tenant.namespace} appeared and went away again")
        metadata = live["metadata"]
        labels = metadata.get("labels") or {}
        ours = metadata["uid"] == tenant.status.namespace.uid
        if labels.get(names.LABEL_TENANT_UID) != tenant.uid and not ours:
            raise BlockedError("NamespaceTaken", _whose(tenant.namespace, labels))
        self._inventory.observe(live)
        return str(metadata["uid"])

    async def _keep_messaging(self, tenant: Tenant, memory: Memory, *, fresh: bool) -> Step:
        if memory.messaging_checked is not None:
            return done()
        project = self._around.config.google_projects[tenant.spec.google_project]
        try:
            await self._messaging.keep(tenant, project, fresh=fresh)
        except BlockedError as problem:
            return problem.step()
        except BackendError as error:
            return _failed("Messaging", error)
        memory.messaging_checked = self._around.clock()
        return done()

    async def _keep_objects(self, tenant: Tenant, revision: Revision, memory: Memory) -> dict[str, Step]:
        """Steps of namespace, database and application, as far as writing goes."""
        try:
            secrets = await self._secrets.keep(tenant, render.hostname(tenant, revision), memory)
            ca = self._around.broker_ca()
            hashes, manifests = self._render(tenant, revision, secrets, ca, memory)
            failed: dict[Key, BackendError] = {}
            if not self._objects.settled(tenant, hashes, memory):
                manifests = manifests or render.render(tenant, revision, secrets, ca)
                failed = await self._objects.keep(tenant, manifests, memory)
            secret_keys = (Key(SECRET.name, name) for name in SECRETS)
            failed |= await self._objects.prune(tenant, (*hashes, *secret_keys))
        except BlockedError as problem:
            return {"namespace": problem.step()}
        except RevisionError as problem:
            return {
                "namespace": Step(done=False, reason="RevisionUnusable", message=str(problem), stalled=True)
            }
        except BackendError as error:
            return {"namespace": _failed("Namespace", error)}
        steps = {"namespace": done(), "database": done(), "application": done()}
        for key, why in failed.items():
            steps[_part(key)] = _failed(f"{key.kind} {key.name}", why)
        return steps

    def _render(
        self, tenant: Tenant, revision: Revision, secrets: render.Credentials, ca: str, memory: Memory
    ) -> tuple[dict[Key, str], list[Object]]:
        """What each object's hash should be, and the manifests if they had to be rendered for it.

        Rendering is skipped when nothing that it reads has changed; the manifests are not kept.
        """
        volume = (render.database_size(tenant, revision), render.storage_class(tenant, revision))
        inputs = (revision.id, tenant.spec, volume, secrets, ca)
        manifests: list[Object] = []
        if memory.rendered is None or memory.rendered[0] != inputs:
            manifests = render.render(tenant, revision, secrets, ca)
            memory.rendered = (inputs, {key_of(each): applied_hash(each) for each in manifests})
        return memory.rendered[1], manifests

    async def _observe(self, tenant: Tenant, facts: Facts, revision: Revision, memory: Memory) -> Facts:
        """Add what the watches say about the workloads."""
        observed = self._inventory.objects(tenant.uid)
        cluster = observed.get(DATABASE)
        if facts.database.done:
            facts = replace(facts, database=_ready(cluster))
        if facts.application.done:
            not_ready = (step for step in (_ready(observed.get(key)) for key in WORKLOADS) if not step.done)
            facts = replace(facts, application=next(not_ready, done()))
        if not facts.database.done or cluster is None:
            return facts
        return replace(
            facts,
            database_facts={
                "name": DATABASE.name,
                "uid": cluster.uid,
                "size": render.database_size(tenant, revision),
                "storageClassName": render.storage_class(tenant, revision),
            },
            volumes=await self._volumes(tenant, cluster.uid, memory),
        )

    async def _volumes(self, tenant: Tenant, cluster_uid: str, memory: Memory) -> list[Object] | None:
        """The volumes that hold the data, so that erasure finds them even when they are retained."""
        if memory.volumes_read == cluster_uid:
            return None
        try:
            claims = await self._cluster.find(VOLUME_CLAIM, tenant.namespace)
        except BackendError as error:
            log.warning("volumes not read", error=str(error))
            return None
        memory.volumes_read = cluster_uid
        return [
            {"name": claim["spec"]["volumeName"], "claim": claim["metadata"]["name"]}
            for claim in sorted(claims, key=lambda claim: str(claim["metadata"]["name"]))
            if claim["spec"].get("volumeName")
        ]


def _ready(observed: Observed | None) -> Step:
    if observed is None:
        return Step(done=False, reason="Missing", message="not made yet")
    state = observed.readiness
    return Step(done=state.ready, reason=state.reason, message=state.message)


def _to_announce(tenant: Tenant, facts: Facts) -> bool:
    """Whether the status lacks what has to be in it before it is used."""
    status = tenant.status
    return (status.namespace.uid, status.messaging.topic, status.messaging.subscription, status.revision) != (
        facts.namespace_uid,
        facts.topic,
        facts.subscription,
        facts.revision,
    )


def _part(key: Key) -> str:
    if key == DATABASE:
        return "database"
    return "application" if key.kind in _APPLICATION_KINDS else "namespace"


def _failed(what: str, error: BackendError) -> Step:
    stalled = isinstance(error, RefusedError | InvalidError | NotFoundError)
    hint = ""
    if isinstance(error, NotFoundError):
        hint = "; is the API that serves it installed in this cluster?"
    elif isinstance(error, RefusedError):
        hint = "; the operator lacks a right, a quota is used up, or an admission policy says no"
    return Step(
        done=False, reason=error.reason, message=f"{what}: {error}{hint}", stalled=stalled, failed=True
    )


def _namespace_lost(tenant: Tenant) -> BlockedError:
    return BlockedError(
        "NamespaceLost",
        f"namespace {tenant.namespace} with uid {tenant.status.namespace.uid}, which held this tenant's "
        "data, is gone. "
        "No empty server is put in its place: restore a backup, or erase the tenant and make it again.",
    )


def _whose(namespace: str, labels: Mapping[str, str]) -> str:
    owner = labels.get(names.LABEL_TENANT)
    uid = labels.get(names.LABEL_TENANT_UID)
    if owner or uid:
        whose = f"belongs to tenant {owner or 'unknown'} with uid {uid or 'unknown'}"
    else:
        manager = labels.get(names.LABEL_MANAGED_BY)
        whose = f"was made by {manager}" if manager else "was made by somebody else"
    return (
        f"namespace {namespace} exists already and {whose}; it is not adopted. "
        "Rename or remove it, or give the tenant another name."
    )


def _version(image: str) -> str:
    """The tag of an image; its digest when it has no tag."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest[:19]
