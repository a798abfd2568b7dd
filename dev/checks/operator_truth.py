"""What must be so of a tenant, read from the API server and from Pub/Sub, whatever its status says."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from erasures import claim_name
from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kinds import (
    CLAIM,
    CLUSTER,
    CONFIG_MAP,
    DEPLOYMENT,
    EXPORT,
    GRANT,
    JOB,
    NAMESPACE,
    NETWORK_POLICY,
    OWNED,
    RECEIPT,
    REQUEST,
    ROLE_BINDING,
    Kind,
)
from guestpost_operator.backends.pubsub import PubSub, Subscription, Topic
from guestpost_operator.states import HIBERNATION
from guestpost_operator.testing import Write
from operator_fixtures import CONFIG, PROJECT

Object = dict[str, Any]

RUNNING, SUSPENDED, HIBERNATED = "Running", "Suspended", "Hibernated"
REASON = "The invoice of May is open"
# What the operator keeps for itself, and for all.
OWN_NAMESPACE = "guestpost-system"


@dataclass
class Life:
    """One tenant, as people mean it to be.

    Attributes:
        seen: it was well once, so it has what a customer needs to ask for something.
        ill: its web never becomes available.
        slow: nobody looks at its workloads for now.
        damaged: somebody has damaged it since it last rested, so what its status says may be late.
        erased: its erasure was asked for.
    """

    name: str
    uid: str
    state: str
    owner: str = "Anna Reyes"
    plan: str = "Starter"
    seen: bool = False
    ill: bool = False
    slow: bool = False
    damaged: bool = False
    erased: bool = False
    exports: list[str] = field(default_factory=list)
    grants: dict[str, Object] = field(default_factory=dict, repr=False)
    revoked: set[str] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        """Of the tenant."""
        return names.namespace(self.name)

    @property
    def own(self) -> set[str]:
        """Names of everything outside of its namespace that is its own."""
        claims = f"mailbox-{claim_name({'metadata': {'uid': self.uid}})}"
        return {self.name, self.namespace, claims, receipts.name(self.uid)}


class Truth:
    """Looks at what there is.

    Args:
        admin: a client of its own.
        pubsub: another one.
    """

    def __init__(self, admin: KubernetesCluster, pubsub: PubSub) -> None:
        self._admin, self._pubsub = admin, pubsub

    async def untrue(self, life: Life) -> str:
        """Why a tenant is not as it was meant to be, "" when it is."""
        web, sync = [await self._admin.get(DEPLOYMENT, each, life.namespace) for each in ("web", "sync")]
        database = await self._admin.get(CLUSTER, "db", life.namespace)
        if web is None or sync is None or database is None:
            return "web, sync or database are missing"
        return _unlike(life, web, sync, database) or await self._unheard(life)

    async def _unheard(self, life: Life) -> str:
        topic, subscription = messaging(life)
        if await self._pubsub.get_topic(topic) is None:
            return "the topic is missing"
        read = await self._pubsub.get_subscription(subscription)
        return "" if read is not None and read.topic == topic else "the subscription is missing"

    async def unanswered(self, life: Life) -> str:
        """Which export or grant is not answered yet."""
        for name in life.exports if life.state != HIBERNATED else ():
            made = await self._admin.get(EXPORT, name, life.namespace)
            if made is None or made.get("status", {}).get("phase") not in {"Complete", "Expired"}:
                return f"export {name} to be complete"
        for name in life.grants:
            made = await self._admin.get(GRANT, name, life.namespace)
            wanted = "Revoked" if name in life.revoked else "Active"
            if made is None or made.get("status", {}).get("phase") != wanted:
                return f"grant {name} to be {wanted}"
            shell = made["spec"]["level"] == "Shell" and wanted == "Active" and life.state != HIBERNATED
            if (await self._shell(life, made) > 0) != shell:
                return f"the terminal of grant {name} {'to be there' if shell else 'to end'}"
        return ""

    async def _shell(self, life: Life, grant: Object) -> int:
        """How many objects of a terminal there are."""
        job = f"support-{grant['metadata']['uid'][:8]}"
        lists = [await self._admin.find(kind, life.namespace) for kind in (JOB, ROLE_BINDING, NETWORK_POLICY)]
        return sum(each["metadata"]["name"].startswith(job) for found in lists for each in found)

    async def orphans(self, life: Life) -> list[str]:
        """What is left of a tenant that is gone, in Kubernetes and in Pub/Sub, besides its receipt."""
        selector = f"{names.LABEL_TENANT_UID}={life.uid}"
        kinds = [kind for kind in OWNED if not kind.optional or kind is CLUSTER]
        lists = [await self._admin.find(kind, None, selector) for kind in (*kinds, CLAIM)]
        left = [f"{each['kind']} {each['metadata']['name']}" for found in lists for each in found]
        for kind in (EXPORT, REQUEST, GRANT):
            asked = await self._admin.find(kind, life.namespace)
            left += [f"{kind.name} {each['metadata']['name']}" for each in asked]
        topic, subscription = messaging(life)
        left += [topic] if await self._pubsub.get_topic(topic) else []
        left += [subscription] if await self._pubsub.get_subscription(subscription) else []
        if life.seen:
            receipt = await self._admin.get(RECEIPT, receipts.name(life.uid))
            if receipt is None or receipt["spec"]["statement"]["verified"] is not True:
                left.append(f"no receipt, or none that is verified: {receipt}")
        return left


class Strangers:
    """What is nobody's of ours, though its names look like it; nothing of it may change.

    Args:
        admin: a client of its own.
        pubsub: another one.
    """

    def __init__(self, admin: KubernetesCluster, pubsub: PubSub) -> None:
        self._admin, self._pubsub = admin, pubsub

    async def make(self) -> None:
        """Make them."""
        self._stranger = f"gpt-{uuid.uuid4().hex[:8]}-stranger"
        await self._admin.create(NAMESPACE, body(NAMESPACE, {"name": self._stranger}))
        metadata = {"name": "trust", "namespace": self._stranger}
        await self._admin.create(CONFIG_MAP, body(CONFIG_MAP, metadata))
        self._topic = f"projects/{PROJECT}/topics/{self._stranger}"
        subscription = self._topic.replace("/topics/", "/subscriptions/")
        await self._pubsub.create_topic(Topic(name=self._topic, labels={}, regions=("europe-west1",)))
        await self._pubsub.create_subscription(Subscription(name=subscription, topic=self._topic, labels={}))
        self._before = await self._seen()

    async def _seen(self) -> tuple[object, ...]:
        found = await self._admin.get(CONFIG_MAP, "trust", self._stranger)
        namespace = await self._admin.get(NAMESPACE, self._stranger)
        subscription = self._topic.replace("/topics/", "/subscriptions/")
        return (
            found and (found["metadata"]["uid"], found["metadata"]["resourceVersion"]),
            namespace and namespace["metadata"]["uid"],
            await self._pubsub.get_topic(self._topic),
            await self._pubsub.get_subscription(subscription),
        )

    async def untouched(self) -> bool:
        """Whether all is as it was made."""
        return self._before == await self._seen()

    async def remove(self) -> None:
        """Remove them."""
        await self._admin.delete(NAMESPACE, self._stranger, None, None)


def body(kind: Kind, metadata: Object, spec: Object | None = None) -> Object:
    """An object as it is sent."""
    made = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
    return made if spec is None else {**made, "spec": spec}


def messaging(life: Life) -> tuple[str, str]:
    """Full names of a tenant's topic and subscription."""
    return names.topic(PROJECT, life.name, life.uid), names.subscription(PROJECT, life.name, life.uid)


def belongs(write: Write, life: Life) -> bool:
    """Whether what was written is a tenant's, or tells of it."""
    event = write.what.endswith(" events") and write.name.startswith(f"{life.name}.")
    return write.namespace == life.namespace or event or (not write.namespace and write.name in life.own)


def of_its_own(write: Write) -> bool:
    """Whether it is what the operator keeps for itself."""
    return write.namespace == OWN_NAMESPACE


def _unlike(life: Life, web: Object, sync: Object, database: Object) -> str:
    """What runs otherwise than it was asked for."""
    wanted = {RUNNING: (1, 1, "off"), SUSPENDED: (1, 0, "off"), HIBERNATED: (0, 0, "on")}[life.state]
    asleep = database["metadata"]["annotations"].get(HIBERNATION)
    found = (web["spec"]["replicas"], sync["spec"]["replicas"], asleep)
    if found != wanted:
        return f"it runs {found} and not {wanted}"
    for each in (web, sync):
        status = each.get("status") or {}
        behind = status.get("observedGeneration") != each["metadata"]["generation"]
        if behind or status.get("availableReplicas", 0) != each["spec"]["replicas"]:
            return f"{each['metadata']['name']} is not available: {status}"
    [container] = web["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    if environment.get("OWNER_NAME") != life.owner:
        return f"the owner is {environment.get('OWNER_NAME')}"
    if (environment.get("SUSPEND_REASON") == REASON) != (life.state == SUSPENDED):
        return f"the web says {environment.get('SUSPEND_REASON')}"
    size = CONFIG["tenants"]["plans"][life.plan]["database"]["storage"]
    if database["spec"]["storage"]["size"] != size:
        return f"the database has {database['spec']['storage']['size']} and not {size}"
    return ""
