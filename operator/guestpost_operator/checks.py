"""Commands that look and tell: the guard before an uninstall, and the self-test of an installation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from guestpost_operator import render, revision
from guestpost_operator.api import names
from guestpost_operator.api.tenant import parse
from guestpost_operator.backends import election, kms
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.kinds import (
    ADMISSION_BINDING,
    ADMISSION_POLICY,
    CLAIM,
    CLUSTER_ROLE,
    CONFIG_MAP,
    EVENT,
    EXPORT,
    GRANT,
    NAMESPACE,
    OWNED,
    PERSISTENT_VOLUME,
    POD,
    RECEIPT,
    REQUEST,
    SECRET,
    TENANT,
    VOLUME_CLAIM,
    VOLUME_SNAPSHOT,
    VOLUME_SNAPSHOT_CONTENT,
    Kind,
)
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.settings import Config, KeyKind

SHOWN = 20
# What makes the release whole again after a refusal, as the chart says it: it knows release and revision.
RECOVER_VARIABLE = "RECOVER_WITH"
# The rights that the operator uses, by kind; the chart's RBAC grants just these. Owned objects are listed and
# watched; only those that are looked at one by one are also got.
_OWNED_VERBS = ("list", "watch", "create", "patch", "delete")
_GOT = (NAMESPACE, SECRET, CONFIG_MAP)
RIGHTS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    *((kind, ("get", *_OWNED_VERBS) if kind in _GOT else _OWNED_VERBS) for kind in OWNED),
    (TENANT, ("get", "list", "watch", "patch", "delete")),
    (CLAIM, ("list", "delete")),
    (EXPORT, ("list", "watch", "create")),
    (REQUEST, ("list", "watch", "delete")),
    (GRANT, ("list", "watch")),
    (RECEIPT, ("get", "create")),
    (VOLUME_SNAPSHOT, ("list", "delete")),
    (VOLUME_SNAPSHOT_CONTENT, ("list", "patch", "delete")),
    (POD, ("list", "delete")),
    (VOLUME_CLAIM, ("list", "delete")),
    (PERSISTENT_VOLUME, ("list", "patch")),
    (EVENT, ("create",)),
    (ADMISSION_POLICY, ("list",)),
    (ADMISSION_BINDING, ("list",)),
)


def _say(text: str) -> None:
    print(text, flush=True)  # the command's answer


async def guard_uninstall() -> int:
    """Refuse (1) while tenants exist: without the operator nobody could erase them."""
    cluster = await KubernetesCluster.connect()
    try:
        tenants = await cluster.find(TENANT)
    except NotFoundError:
        tenants = []
    finally:
        await cluster.close()
    if not tenants:
        _say("no tenants: uninstalling strands nothing")
        return 0
    named = ", ".join(sorted(each["metadata"]["name"] for each in tenants)[:SHOWN])
    more = f" and {len(tenants) - SHOWN} more" if len(tenants) > SHOWN else ""
    _say(
        f"{len(tenants)} tenants exist: {named}{more}. Uninstalling the operator now would leave their data "
        "and Google resources behind with nobody to erase them. Delete them first (kubectl delete gpt NAME), "
        "wait until they are gone, then uninstall again."
    )
    if recover := os.environ.get(RECOVER_VARIABLE):
        _say(f"Until then Helm takes the release for half uninstalled. To keep it: {recover}")
    return 1


async def self_test(config: Config) -> int:
    """Check what can be checked without changing anything; one line each. 1 when something is wrong."""
    cluster = await KubernetesCluster.connect()
    messaging = PubSub(timeout=10)
    keys = kms.CloudKms(timeout=10)
    try:
        problems = [
            *_templates(config),
            *await _rights(cluster, config.operator.namespace),
            *await _pubsub(config, messaging),
            *await _kms(config, keys),
        ]
    finally:
        keys.close()
        await messaging.close()
        await cluster.close()
    for problem in problems:
        _say(f"FAILED {problem}")
    _say("self-test failed" if problems else "self-test passed")
    return 1 if problems else 0


def _templates(config: Config) -> Iterable[str]:
    """Render a tenant of every plan and region."""
    current = revision.current(config)
    secrets = render.Credentials(
        uids=dict.fromkeys((names.SECRET_DATABASE, names.SECRET_KEYS, names.SECRET_WEB_TLS), "x"),
        web_certificate="",
    )
    for plan in config.tenants.plans:
        for region in config.tenants.regions:
            for project in config.google_projects:
                spec = {
                    "owner": {"name": "Self Test", "email": "self-test@example.com"},
                    "plan": plan,
                    "region": region,
                    "googleProject": project,
                }
                metadata = {
                    "name": "self-test",
                    "uid": "00000000-0000-0000-0000-000000000000",
                    "generation": 1,
                }
                try:
                    render.render(parse({"metadata": metadata, "spec": spec}), current, secrets, "")
                except (render.UnsatisfiableError, revision.RevisionError) as error:
                    yield f"templates: plan {plan}, region {region}, project {project}: {error}"
    _say(f"ok     templates: revision {current.id}")


async def _rights(cluster: KubernetesCluster, namespace: str) -> list[str]:
    """Ask the API server whether we may do what we do; our Lease is in our own namespace."""
    problems = []

    async def ask(kind: Kind, verb: str, subresource: str = "", **where: str) -> None:
        group = kind.api_version.rpartition("/")[0]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "group": group,
                    "resource": kind.plural,
                    "subresource": subresource,
                    "verb": verb,
                    **where,
                }
            },
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        try:
            answer = await cluster.request("POST", path, review)
        except BackendError as error:
            problems.append(f"rights: {error}")
            return
        if not answer["status"].get("allowed"):
            what = f"{kind.plural}/{subresource}" if subresource else kind.plural
            problems.append(f"rights: may not {verb} {what} in API group {group or 'core'!r}")

    needed = [(kind, verb) for kind, verbs in RIGHTS for verb in verbs]
    lease = {"namespace": namespace, "name": election.LEASE}
    await asyncio.gather(
        *(ask(kind, verb) for kind, verb in needed),
        ask(TENANT, "patch", "status"),
        ask(EXPORT, "patch", "status"),
        ask(REQUEST, "patch", "status"),
        ask(GRANT, "patch", "status"),
        *(ask(CLUSTER_ROLE, "bind", name=names.tenant_role(account)) for account in names.TENANT_ROLES),
        *(ask(election.KIND, verb, **lease) for verb in ("get", "update")),
        ask(election.KIND, "create", namespace=namespace),
    )
    if not problems:
        _say(f"ok     rights: {len(needed) + 10} checked")
    return problems


async def _pubsub(config: Config, messaging: PubSub) -> list[str]:
    """Ask each project for a topic that is not there: an honest "not found" proves the way and the rights."""
    problems = []
    for project in config.google_projects:
        try:
            await messaging.get_topic(names.topic(project, "self-test", "00000000"))
        except BackendError as error:
            problems.append(f"Pub/Sub of project {project}: {error}")
        else:
            _say(f"ok     Pub/Sub of project {project}")
    return problems


async def _kms(config: Config, keys: kms.CloudKms) -> list[str]:
    """Ask each key ring what we may do with its keys, if tenants' keys are there; opening is too much."""
    if config.tenants.keys.kind != KeyKind.KMS:
        return []
    problems = []
    for project in config.google_projects:
        for region in config.tenants.regions:
            ring = names.key_ring(project, region, config.tenants.keys.key_ring)
            try:
                granted = await keys.granted(ring, (*kms.RIGHTS, kms.TO_DECRYPT))
            except BackendError as error:
                problems.append(f"{ring}: {error}")
                continue
            wrong = [f"may not {right}" for right in kms.RIGHTS if right not in granted]
            if kms.TO_DECRYPT in granted:
                wrong.append(f"may {kms.TO_DECRYPT}, which opens every tenant's key: take it away")
            problems += [f"{ring}: {each}" for each in wrong]
            if not wrong:
                _say(f"ok     KMS {ring}")
    return problems
