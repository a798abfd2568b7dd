"""Who may use the topics and subscriptions of two tenants, read back from Pub/Sub byte for byte."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google.protobuf import text_format
from guestpost_operator import settings
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.lifecycle import messaging
from guestpost_operator.testing import PubSubStandin
from localkube import binaries

GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
TOPIC = f'bindings {{ role: "roles/pubsub.publisher" members: "{GMAIL}" }}'
SUBSCRIPTION = (
    'bindings {{ role: "roles/pubsub.subscriber" members: "principal://iam.googleapis.com/projects/123456789012/'
    'locations/global/workloadIdentityPools/acme-crm-prod.svc.id.goog/subject/ns/gpt-{}/sa/sync" }}'
)
# What each role lets one do: https://cloud.google.com/pubsub/docs/access-control
ROLES = {"roles/pubsub.publisher": {"publish"}, "roles/pubsub.subscriber": {"consume"}}


def identity(tenant: str, account: str) -> str:
    """A tenant's service account, as Google knows it."""
    return (
        SUBSCRIPTION.format(tenant)
        .partition('members: "')[2]
        .partition('"')[0]
        .replace("/sa/sync", f"/sa/{account}")
    )


@pytest.fixture
async def policies(
    tenants: dict[str, Tenant], config: settings.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, policy_pb2.Policy]]:
    """Policies by the resource's name, after the operator has made everything for both tenants."""
    binary = binaries.ensure("pubsub-standin")["pubsub-standin"]
    with PubSubStandin(binary, tmp_path / "pubsub.log") as standin:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standin.address)
        yield await made(tenants, config)


async def made(tenants: dict[str, Tenant], config: settings.Config) -> dict[str, policy_pb2.Policy]:
    """Have the operator make topics and subscriptions, and read their policies by Google's own client."""
    from google.cloud import pubsub_v1

    operator = PubSub()
    try:
        for tenant in tenants.values():
            project = config.google_projects[tenant.spec.google_project]
            await messaging.MessagingKeeper(operator).keep(tenant, project, fresh=True)
    finally:
        await operator.close()
    publisher = pubsub_v1.PublisherClient()
    names = [
        of(tenant).name for tenant in tenants.values() for of in (messaging.topic, messaging.subscription)
    ]
    return {name: publisher.get_iam_policy(request={"resource": name}) for name in names}


def content(policy: policy_pb2.Policy) -> bytes:
    """A policy as bytes, without the number of its version."""
    kept = policy_pb2.Policy()
    kept.CopyFrom(policy)
    kept.etag = b""
    return bytes(kept.SerializeToString(deterministic=True))


def wanted(text: str) -> bytes:
    return bytes(text_format.Parse(text, policy_pb2.Policy()).SerializeToString(deterministic=True))


def compare(policies: dict[str, policy_pb2.Policy], tenants: dict[str, Tenant]) -> None:
    expected = {}
    for name, tenant in tenants.items():
        expected[messaging.topic(tenant).name] = wanted(TOPIC)
        expected[messaging.subscription(tenant).name] = wanted(SUBSCRIPTION.format(name))
    assert {name: content(policy) for name, policy in policies.items()} == expected


@pytest.mark.promise("P2.2")
async def test_the_policies_are_these_byte_for_byte(
    policies: dict[str, policy_pb2.Policy], tenants: dict[str, Tenant]
) -> None:
    compare(policies, tenants)


@pytest.mark.promise("P2.2")
@pytest.mark.promise("P5.2")
async def test_each_identity_may_do_what_is_its_own_and_nothing_else(
    policies: dict[str, policy_pb2.Policy], tenants: dict[str, Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    identities = {
        "gmail": GMAIL,
        **{f"{name}/{account}": identity(name, account)
           for name in tenants for account in ("sync", "web", "export", "default", "db")},
        "everybody": "allUsers",
        "every account": "allAuthenticatedUsers",
        "a person": "user:sam@support.example",
        "the operator": identity("x", "operator").replace("gpt-x", "guestpost-system"),
    }  # fmt: skip
    may: set[tuple[str, str, str]] = set()
    tried = 0
    for (who, member), (name, policy), what in itertools.product(
        identities.items(), policies.items(), ("publish", "consume")
    ):
        tried += 1
        if any(member in each.members and what in ROLES[each.role] for each in policy.bindings):
            may.add((who, name, what))
    topics = {name: messaging.topic(tenant).name for name, tenant in tenants.items()}
    pulled = {name: messaging.subscription(tenant).name for name, tenant in tenants.items()}
    own = {("gmail", topic, "publish") for topic in topics.values()}
    own |= {(f"{name}/sync", subscription, "consume") for name, subscription in pulled.items()}
    with capsys.disabled():
        print(f" isolation.google: {len(may - own)} crossed / {tried} tried", end="")
    assert may == own


async def test_the_same_in_a_real_project(
    tenants: dict[str, Tenant], config: settings.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes two topics and subscriptions in a project of yours, reads their policies, and removes them."""
    project = os.environ.get("GUESTPOST_LIVE_PROJECT")
    if not project:
        pytest.skip(
            "not run: no real Google project; GUESTPOST_LIVE_PROJECT=<id> with your own credentials runs it"
        )
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    here = {name: replaced(tenant, project) for name, tenant in tenants.items()}
    config.google_projects[project] = config.google_projects["acme-crm-prod"]
    operator = PubSub()
    try:
        compare(await made(here, config), here)
    finally:
        for tenant in here.values():
            await operator.delete_subscription(messaging.subscription(tenant).name)
            await operator.delete_topic(messaging.topic(tenant).name)
        await operator.close()


def replaced(tenant: Tenant, project: str) -> Tenant:
    """The same tenant in another project."""
    changes: dict[str, Any] = {"google_project": project}
    return tenant.model_copy(update={"spec": tenant.spec.model_copy(update=changes)})
