"""The Pub/Sub stand-in, driven by Google's own client."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from google.api_core.exceptions import Aborted, AlreadyExists, NotFound
from google.cloud import pubsub_v1
from google.iam.v1 import policy_pb2
from google.protobuf import duration_pb2
from google_standin.pubsub import PubSub


@pytest.fixture(scope="module")
def pubsub() -> Iterator[PubSub]:
    with PubSub() as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic(pubsub: PubSub, name: str) -> str:
    path = f"projects/p/topics/{name}"
    pubsub.publisher().create_topic(request={"name": path, "labels": {"tenant": "acme"}})
    return path


def test_a_message_reaches_its_subscriber(pubsub: PubSub, topic: str, name: str) -> None:
    subscriber = pubsub.subscriber()
    subscription = f"projects/p/subscriptions/{name}"
    subscriber.create_subscription(
        request={
            "name": subscription,
            "topic": topic,
            "expiration_policy": {},
            "message_retention_duration": duration_pb2.Duration(seconds=600),
        }
    )
    received: list[bytes] = []
    arrived = threading.Event()

    def take(message: pubsub_v1.subscriber.message.Message) -> None:
        received.append(message.data)
        message.ack()
        arrived.set()

    pulling = subscriber.subscribe(subscription, callback=take)
    pubsub.publisher().publish(topic, b"hello").result(timeout=10)
    assert arrived.wait(10)
    pulling.cancel()
    assert received == [b"hello"]


def test_a_policy_is_kept_and_guarded_by_its_etag(pubsub: PubSub, topic: str) -> None:
    publisher = pubsub.publisher()
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=["serviceAccount:a@example.com"])
    written = publisher.set_iam_policy(
        request={"resource": topic, "policy": policy_pb2.Policy(bindings=[binding])}
    )
    assert publisher.get_iam_policy(request={"resource": topic}).bindings[0] == binding
    with pytest.raises(Aborted):
        publisher.set_iam_policy(request={"resource": topic, "policy": policy_pb2.Policy(etag=b"stale")})
    assert publisher.get_iam_policy(request={"resource": topic}).etag == written.etag


def test_a_policy_goes_with_its_topic(pubsub: PubSub, topic: str) -> None:
    publisher = pubsub.publisher()
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=["serviceAccount:a@example.com"])
    publisher.set_iam_policy(request={"resource": topic, "policy": policy_pb2.Policy(bindings=[binding])})
    publisher.delete_topic(request={"topic": topic})
    with pytest.raises(NotFound):
        publisher.get_iam_policy(request={"resource": topic})
    publisher.create_topic(request={"name": topic})
    assert not publisher.get_iam_policy(request={"resource": topic}).bindings


def test_a_subscription_outlives_its_topic_as_deleted(pubsub: PubSub, topic: str, name: str) -> None:
    subscriber = pubsub.subscriber()
    subscription = f"projects/p/subscriptions/{name}"
    subscriber.create_subscription(request={"name": subscription, "topic": topic})
    pubsub.publisher().delete_topic(request={"topic": topic})
    found = subscriber.get_subscription(request={"subscription": subscription})
    assert found.topic == "_deleted-topic_"


def test_what_is_published_before_anybody_pulls_is_kept(pubsub: PubSub, topic: str, name: str) -> None:
    subscriber = pubsub.subscriber()
    subscription = f"projects/p/subscriptions/{name}"
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "labels": {"tenant": "acme"}}
    )
    pubsub.publisher().publish(topic, b"early").result(timeout=10)
    found = subscriber.pull(request={"subscription": subscription, "max_messages": 10}, timeout=10)
    assert [each.message.data for each in found.received_messages] == [b"early"]
    assert subscriber.get_subscription(request={"subscription": subscription}).labels == {"tenant": "acme"}


def test_a_subscription_that_was_never_used_is_as_real_as_any(pubsub: PubSub, topic: str, name: str) -> None:
    subscriber = pubsub.subscriber()
    wanted = {"name": f"projects/p/subscriptions/{name}", "topic": topic}
    subscriber.create_subscription(request=wanted)
    with pytest.raises(AlreadyExists):
        subscriber.create_subscription(request=wanted)
    assert wanted["name"] in [each.name for each in subscriber.list_subscriptions(project="projects/p")]
    for again in (False, True):
        if again:
            subscriber.create_subscription(request=wanted)
        subscriber.delete_subscription(subscription=wanted["name"])
        with pytest.raises(NotFound):
            subscriber.get_subscription(subscription=wanted["name"])
    with pytest.raises(NotFound):
        subscriber.pull(subscription=wanted["name"], max_messages=1, timeout=10)
