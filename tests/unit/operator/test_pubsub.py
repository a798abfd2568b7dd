"""Pub/Sub as wanted, and what becomes of calls that are refused, fail or are never answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types
from guestpost_operator.backends import errors, pubsub
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.lifecycle import messaging
from guestpost_operator.settings import GoogleProject

PROJECT = GoogleProject(number="123456789012", workload_identity_pool="acme.svc.id.goog", client_id="client")


class Publisher:
    """Google's client as far as `get_topic` uses it: `answer` gives a topic, raises, or never returns."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    async def get_topic(self, topic: str, **_: Any) -> types.Topic:
        project = topic.split("/")[1]
        self.asked.append(project)
        answer = self.answers.get(project)
        if answer == "silence":
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return types.Topic(name=topic)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    made = Publisher()
    monkeypatch.setattr(PubSub, "_connect", lambda _: (made, made))
    monkeypatch.setattr(pubsub, "GRACE_SECONDS", 0)
    return made


def topic(project: str, number: int = 0) -> str:
    return f"projects/{project}/topics/gpt-{number}"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (exceptions.PermissionDenied("no"), errors.RefusedError),
        (exceptions.Unauthenticated("no"), errors.RefusedError),
        (exceptions.InvalidArgument("no"), errors.InvalidError),
        (exceptions.FailedPrecondition("not a permitted customer"), errors.InvalidError),
        (exceptions.ServiceUnavailable("no"), errors.UnavailableError),
        (exceptions.ResourceExhausted("no"), errors.UnavailableError),
        (exceptions.InternalServerError("no"), errors.UnavailableError),
        (exceptions.Aborted("no"), errors.ConflictError),
    ],
)
async def test_what_google_says_is_told(publisher: Publisher, said: Any, means: type[Exception]) -> None:
    # Over gRPC the code comes with the error.
    said._errors = (said,)
    publisher.answers["p"] = said
    with pytest.raises(errors.BackendError, match=f"Pub/Sub GetTopic: {said.message}") as found:
        await PubSub().get_topic(topic("p"))
    assert type(found.value) is means


async def test_absent_is_none(publisher: Publisher) -> None:
    publisher.answers["p"] = exceptions.NotFound("no")
    assert await PubSub().get_topic(topic("p")) is None


async def test_a_project_that_hangs_takes_nobodys_place(publisher: Publisher) -> None:
    client = PubSub(concurrency=2, timeout=0.2)
    publisher.answers["hangs"] = "silence"
    calls = [client.get_topic(topic("hangs", number)) for number in range(50)]
    async with asyncio.timeout(2):  # one after the other they would take five seconds
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in results} == {errors.UnavailableError}
    assert len(publisher.asked) == 2, "what had begun"
    assert "gave no answer in time for project hangs" in str(results[-1])
    assert (await client.get_topic(topic("well"))).name == topic("well")  # type: ignore[union-attr]


async def test_one_call_tries_again_and_the_others_follow(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(pubsub, "time", SimpleNamespace(monotonic=lambda: now, perf_counter=lambda: now))
    client = PubSub(timeout=0.05)
    publisher.answers["p"] = "silence"
    with pytest.raises(errors.UnavailableError):
        await client.get_topic(topic("p"))
    now += 1
    results = await asyncio.gather(*(client.get_topic(topic("p")) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, errors.UnavailableError) for each in results)
    assert len(publisher.asked) == 2, "the first, and one that tried"
    del publisher.answers["p"]
    now += 1
    await client.get_topic(topic("p"))
    await asyncio.gather(*(client.get_topic(topic("p")) for _ in range(3)))
    assert len(publisher.asked) == 6


async def test_a_refusal_is_an_answer(publisher: Publisher) -> None:
    """Only silence makes calls fail before they are made."""
    publisher.answers["p"] = exceptions.PermissionDenied("no")
    client = PubSub()
    for _ in range(3):
        with pytest.raises(errors.RefusedError):
            await client.get_topic(topic("p"))
    assert len(publisher.asked) == 3


@pytest.mark.promise("P2.2")
def test_only_gmail_publishes_and_only_the_tenants_sync_reads(make_tenant: Any) -> None:
    assert messaging.topic_policy(PROJECT) == {
        "roles/pubsub.publisher": {"serviceAccount:gmail-api-push@system.gserviceaccount.com"}
    }
    assert messaging.subscription_policy(make_tenant(), PROJECT) == {
        "roles/pubsub.subscriber": {
            "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
            "acme.svc.id.goog/subject/ns/gpt-acme/sa/sync"
        }
    }


def test_without_a_pool_nobody_is_let_in(make_tenant: Any) -> None:
    assert messaging.subscription_policy(make_tenant(), GoogleProject(client_id="client")) == {}


@pytest.mark.promise("P2.2")
def test_topic_and_subscription_are_the_least_that_works(make_tenant: Any) -> None:
    tenant = make_tenant(region="europe-west3")
    wanted = messaging.topic(tenant)
    assert wanted.regions == ("europe-west3",)
    assert not wanted.enforce_in_transit, "Gmail publishes from wherever it is"
    assert not wanted.retained
    pulled = messaging.subscription(tenant)
    assert (pulled.topic, pulled.retention_seconds) == (wanted.name, 600)
    assert not any((pulled.expires, pulled.dead_letters, pulled.pushes))
    labels = {"tenant": "acme", "tenant-uid": tenant.uid, "managed-by": "guestpost-operator"}
    assert wanted.labels == pulled.labels == labels


def test_what_is_sent_is_what_was_wanted(make_tenant: Any) -> None:
    sent = pubsub._subscription(messaging.subscription(make_tenant()))
    assert sent.message_retention_duration.total_seconds() == 600
    assert "expiration_policy" in sent, (
        "given, and without a time: never. Left out, Google would take 31 days"
    )
    assert not sent.expiration_policy.ttl
    assert not sent.retain_acked_messages
    assert not sent.dead_letter_policy.dead_letter_topic
    policy = pubsub._topic(messaging.topic(make_tenant())).message_storage_policy
    assert list(policy.allowed_persistence_regions) == ["europe-west1"]
    assert not policy.enforce_in_transit
