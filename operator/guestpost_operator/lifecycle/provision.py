"""One level-based pass: look at what is, make it what is wanted, tell what was found.

The order: namespace (its uid and the ids of what follows go into the status before they are used),
Secrets, then everything else at once, Pub/Sub beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from guestpost_operator import render, states, steps
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.backends.kinds import SECRET, VOLUME_CLAIM
from guestpost_operator.exports import PREFIX, Run
from guestpost_operator.inventory import Inventory, Key
from guestpost_operator.keeping import fingerprint
from guestpost_operator.lifecycle import problems
from guestpost_operator.lifecycle.memory import BlockedError, Memory
from guestpost_operator.lifecycle.messaging import MessagingKeeper
from guestpost_operator.lifecycle.namespaces import Namespaces
from guestpost_operator.lifecycle.objects import Objects, applied_hash, key_of
from guestpost_operator.lifecycle.revisions import Revisions
from guestpost_operator.lifecycle.rollouts import Turn
from guestpost_operator.lifecycle.rotation import Rotation
from guestpost_operator.lifecycle.secrets import SECRETS, SecretKeeper
from guestpost_operator.lifecycle.tenantkeys import TenantKeys
from guestpost_operator.revision import Object, Revision, RevisionError
from guestpost_operator.settings import Config
from guestpost_operator.states import DATABASE, Wanted
from guestpost_operator.status import WAITING, Facts, Step, done
from guestpost_operator.support import PREFIX as SHELLS
from guestpost_operator.support import Shell

log = structlog.get_logger()
# What is made because somebody asks for it: where it can't be made, that is told there.
ASKED = (PREFIX, SHELLS)
# Whose step a line of the log is about; it holds for what is logged within the block.
_step = structlog.contextvars.bound_contextvars

Announce = Callable[[Facts], Awaitable[Tenant]]


@dataclass(frozen=True)
class Surroundings:
    """What a pass needs to know besides the tenant.

    Attributes:
        hostname_owner: name of the tenant that holds a host name: the one that asked first.
        turn: which revision a tenant gets now.
        broker_ca: PEM of the CA that vouches for the consent broker.
        exports: those of a tenant that have a volume.
        shells: terminals of support that are open to somebody.
        clock: monotonic seconds.
    """

    config: Config
    hostname_owner: Callable[[str], str | None]
    turn: Callable[[Tenant], Turn]
    broker_ca: Callable[[], str]
    exports: Callable[[Tenant], tuple[Run, ...]]
    shells: Callable[[Tenant], tuple[Shell, ...]]
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
        keys: TenantKeys,
        rotation: Rotation,
        messaging: MessagingKeeper,
        revisions: Revisions,
        surroundings: Surroundings,
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._objects = objects
        self._namespaces = Namespaces(cluster, inventory)
        self._secrets = secrets
        self._keys = keys
        self._rotation = rotation
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
            memory.new_namespace = False
            turn = self._around.turn(tenant)
            revision, blocked = await self._revision(tenant, turn)
            app = await self._app(tenant, revision)
            facts = Facts(
                revision=revision.id,
                url=render.url(tenant, revision),
                version=app.version,
                app_revision=app.id,
                upgrade_blocked=blocked,
                upgrading=app.id != revision.id or turn.moving,
                topic=names.topic(tenant.spec.google_project, tenant.name, tenant.uid),
                subscription=names.subscription(tenant.spec.google_project, tenant.name, tenant.uid),
            )
            with _step(step="namespace"):
                uid = await self._namespaces.keep(tenant, revision, memory)
        except render.UnsatisfiableError as problem:
            return Facts(problem=Step(done=False, reason=problem.reason, message=str(problem), stalled=True))
        except RevisionError as problem:
            return Facts(
                problem=Step(done=False, reason="RevisionUnusable", message=str(problem), stalled=True)
            )
        except BlockedError as problem:
            return Facts(problem=problem.step(), revision=tenant.status.revision)
        except BackendError as error:
            return Facts(namespace=problems.failed("Namespace", error), revision=tenant.status.revision)
        fresh = not tenant.status.messaging.topic
        facts = replace(facts, namespace_uid=uid, keys=self._keys.to_announce(tenant))
        if _to_announce(tenant, facts):
            tenant = await announce(replace(facts, namespace=done()))
        messaging, parts = await self._keep_parts(tenant, revision, app, memory, fresh=fresh)
        facts = replace(
            facts,
            messaging=messaging,
            namespace=await self._keys.step(tenant, memory)
            if parts["namespace"].done
            else parts["namespace"],
            database=parts.get("database", WAITING),
            application=parts.get("application", WAITING),
            asked={name: step for name, step in parts.items() if name.startswith(ASKED)},
        )
        return await self._rotate(tenant, await self._observe(tenant, facts, revision, memory))

    async def _rotate(self, tenant: Tenant, facts: Facts) -> Facts:
        """Go on with an exchange of the tenant's keys, if one is under way or due."""
        running = [run for run in self._around.exports(tenant) if run.runs] or self._around.shells(tenant)
        settled = (
            all(step.done for _, step in facts.parts())
            and not facts.upgrading
            and not running
            and states.serves(tenant, self._inventory.objects(tenant.uid))
        )
        try:
            with _step(step="rotation"):
                turn = await self._rotation.turn(tenant, settled=settled)
        except BlockedError as problem:
            return replace(facts, namespace=problem.step())
        return replace(facts, keys=turn.keys, again=turn.again)

    async def keep(self, tenant: Tenant, memory: Memory, now: Wanted) -> dict[str, Step]:
        """Make the tenant's objects what an erasure wants of them, as far as writing goes.

        Args:
            tenant: that is being erased.
            memory: of the tenant.
            now: who runs.

        Returns:
            What could not be made, and what could, by part.

        Raises:
            UnsatisfiableError: the plan or region of the tenant is not known.
            RevisionError: what the tenant is rendered from is gone.
            BackendError: when that could not be read.
        """
        revision = await self._revisions.get(tenant.status.revision or self._revisions.current.id)
        return await self._keep_objects(tenant, revision, await self._app(tenant, revision), memory, now)

    async def _revision(self, tenant: Tenant, turn: Turn) -> tuple[Revision, tuple[str, str] | None]:
        """The revision that is in force from now on, and why it is not the one whose turn it is."""
        revision = await self._revisions.get(turn.revision)
        if turn.revision == tenant.status.revision:
            self._check(tenant, revision)
            return revision, turn.blocked
        try:
            self._check(tenant, revision)
        except render.UnsatisfiableError as problem:
            other = tenant.status.revision or self._revisions.current.id
            if other == turn.revision:
                raise
            # It runs as well as ever where it is; a new tenant takes what has what it asks for.
            revision = await self._revisions.get(other)
            self._check(tenant, revision)
            return revision, (problem.reason, str(problem)) if tenant.status.revision else None
        return revision, turn.blocked

    async def _app(self, tenant: Tenant, revision: Revision) -> Revision:
        """The revision that web and sync are rendered from: the old one until the database is migrated."""
        runs = tenant.status.app.revision
        if runs in ("", revision.id):
            return revision
        try:
            before = await self._revisions.get(runs)
        except RevisionError as error:
            log.warning("revision of the app is lost, it goes over at once", error=str(error))
            return revision
        same = before.config["images"]["crm"] == revision.config["images"]["crm"]
        if same or states.migrated(self._inventory.objects(tenant.uid), revision.id):
            return revision
        return before

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

    async def _keep_parts(
        self, tenant: Tenant, revision: Revision, app: Revision, memory: Memory, *, fresh: bool
    ) -> tuple[Step, dict[str, Step]]:
        """Pub/Sub and the objects: side by side, unless what rests has to wake in order."""
        if not states.wakes(tenant, self._inventory.objects(tenant.uid)):
            return await asyncio.gather(
                self._keep_messaging(tenant, memory, fresh=fresh),
                self._keep_objects(tenant, revision, app, memory, self._wanted(tenant, revision, app)),
            )
        # What was right when it went to rest may not be right any more.
        memory.messaging_checked = None
        messaging = await self._keep_messaging(tenant, memory, fresh=fresh)
        now = self._wanted(tenant, revision, app, messaging=messaging.done)
        return messaging, await self._keep_objects(tenant, revision, app, memory, now)

    def _wanted(self, tenant: Tenant, revision: Revision, app: Revision, *, messaging: bool = True) -> Wanted:
        observed = self._inventory.objects(tenant.uid)
        now = states.wanted(tenant, observed, messaging=messaging, migrated=app.id == revision.id)
        if tenant.status.app.revision != app.id and states.migrated(observed, revision.id):
            # Web and sync go over in this pass; until the status says so, the Job is the proof.
            now = replace(now, migrate=True)
        return replace(
            now,
            exports=self._around.exports(tenant),
            shells=self._around.shells(tenant),
            erase_after=tenant.status.deletion.erase_after,
        )

    async def _keep_messaging(self, tenant: Tenant, memory: Memory, *, fresh: bool) -> Step:
        if memory.messaging_checked is not None:
            return done()
        project = self._around.config.google_projects[tenant.spec.google_project]
        try:
            with _step(step="messaging"):
                await self._messaging.keep(tenant, project, fresh=fresh)
        except BlockedError as problem:
            return problem.step()
        except BackendError as error:
            return problems.failed("Messaging", error)
        memory.messaging_checked = self._around.clock()
        return done()

    async def _keep_objects(
        self, tenant: Tenant, revision: Revision, app: Revision, memory: Memory, now: Wanted
    ) -> dict[str, Step]:
        """Steps of namespace, database and application, as far as writing goes."""
        try:
            with _step(step="credentials"):
                secrets = await self._secrets.keep(tenant, render.hostname(tenant, revision), memory)
            ca = self._around.broker_ca()
            hashes, manifests = self._render(tenant, revision, secrets, ca, now, app, memory)
            failed: dict[Key, BackendError | BlockedError] = {}
            if not self._objects.settled(tenant, hashes, memory):
                manifests = manifests or render.render(tenant, revision, secrets, ca, now, app)
                with _step(step="objects"):
                    failed = await self._objects.keep(tenant, manifests, memory)
            secret_keys = (Key(SECRET.name, name) for name in SECRETS)
            with _step(step="prune"):
                failed |= await self._objects.prune(tenant, (*hashes, *secret_keys))
        except BlockedError as problem:
            return {"namespace": problem.step()}
        except RevisionError as problem:
            return {
                "namespace": Step(done=False, reason="RevisionUnusable", message=str(problem), stalled=True)
            }
        except BackendError as error:
            return {"namespace": problems.failed("Namespace", error)}
        parts = {"namespace": done(), "database": done(), "application": done()}
        for key, why in failed.items():
            # An export that can't be made is told in its own status, and its tenant runs as well as ever.
            parts[key.name if key.name.startswith(ASKED) else problems.part(key)] = problems.failed(
                f"{key.kind} {key.name}", why
            )
        return parts

    def _render(
        self,
        tenant: Tenant,
        revision: Revision,
        secrets: render.Credentials,
        ca: str,
        now: Wanted,
        app: Revision,
        memory: Memory,
    ) -> tuple[Mapping[Key, bytes], list[Object]]:
        """What each object's hash should be, and the manifests if they had to be rendered for it.

        Rendering is skipped when nothing that it reads has changed; the manifests are not kept.
        """
        volume = (render.database_size(tenant, revision), render.storage_class(tenant, revision))
        inputs = fingerprint(revision.id, app.id, tenant.spec, volume, secrets, ca, now)
        manifests: list[Object] = []
        if memory.inputs != inputs:
            manifests = render.render(tenant, revision, secrets, ca, now, app)
            memory.render(inputs, {key_of(each): applied_hash(each) for each in manifests})
        return memory.rendered, manifests

    async def _observe(self, tenant: Tenant, facts: Facts, revision: Revision, memory: Memory) -> Facts:
        """Add what the watches say about the workloads."""
        observed = self._inventory.objects(tenant.uid)
        cluster = observed.get(DATABASE)
        migrated = facts.app_revision == facts.revision
        now = states.wanted(tenant, observed, messaging=facts.messaging.done, migrated=migrated)
        if facts.database.done:
            facts = replace(facts, database=steps.database(tenant, observed))
        if facts.application.done:
            facts = replace(facts, application=steps.application(tenant, observed, now))
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


def _to_announce(tenant: Tenant, facts: Facts) -> bool:
    """Whether the status lacks what has to be in it before it is used."""
    status = tenant.status
    if facts.keys is not None:
        return True
    return (status.namespace.uid, status.messaging.topic, status.messaging.subscription, status.revision) != (
        facts.namespace_uid,
        facts.topic,
        facts.subscription,
        facts.revision,
    )
