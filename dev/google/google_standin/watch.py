"""Watches: changes of a mailbox are published to a Pub/Sub topic.

https://developers.google.com/workspace/gmail/api/guides/push: at most one notification a second for
a user, surplus ones are dropped; a watch lasts seven days; the topic must let Gmail publish.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from google_standin.errors import ApiError
from google_standin.faults import Faults
from google_standin.store import Store

PUSH_ACCOUNT = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
_WEEK = 7 * 24 * 3600
_TOPIC = re.compile(r"^projects/([^/]+)/topics/[^/]+$")


@dataclass
class Watch:
    """One client's watch of one mailbox. `expires` in seconds since the epoch."""

    topic: str
    labels: frozenset[str]
    exclude: bool
    expires: float


class Watches:
    """All watches, and the way to Pub/Sub.

    Args:
        store: where mailboxes are.
        faults: what is to happen to the next notifications: lost, late, or several times.
        pubsub_host: `host:port` of Pub/Sub's stand-in or emulator; empty turns publishing off.
    """

    def __init__(self, store: Store, faults: Faults, pubsub_host: str) -> None:
        self._store = store
        self._faults = faults
        self._late: set[asyncio.Task[None]] = set()
        self._host = pubsub_host
        self._client: Any = None
        self._watches: dict[tuple[str, str], Watch] = {}
        self._last: dict[str, float] = {}
        self.per_second: float | None = 1.0
        self.published = 0
        self.dropped = 0

    def _publisher(self) -> Any:
        if self._client is None:
            import grpc
            from google.cloud import pubsub_v1
            from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

            transport = PublisherGrpcTransport(channel=grpc.insecure_channel(self._host))
            settings = pubsub_v1.types.BatchSettings(max_messages=1)
            self._client = pubsub_v1.PublisherClient(batch_settings=settings, transport=transport)
        return self._client

    async def start(self, email: str, client_id: str, project: str, body: dict[str, Any]) -> dict[str, str]:
        """Begin or renew a watch.

        Raises:
            ApiError: 400 for a topic that can't be, 403 when Gmail may not publish to it.
        """
        topic = str(body.get("topicName", ""))
        named = _TOPIC.match(topic)
        if not named or (project and named[1] != project):
            raise ApiError(400, f"Invalid topicName does not match projects/{project or '*'}/topics/*")
        present = self._watches.get((email, client_id))
        if present and present.topic != topic and present.expires > time.time():
            message = (
                "Only one user push notification client allowed per developer (call /stop then try again)"
            )
            raise ApiError(400, message, "failedPrecondition")
        if self._host:
            await asyncio.to_thread(self._check_topic, topic)
        expires = time.time() + _WEEK
        exclude = body.get("labelFilterBehavior", body.get("labelFilterAction", "")).lower() == "exclude"
        labels = frozenset(body.get("labelIds") or ())
        self._watches[(email, client_id)] = Watch(topic, labels, exclude, expires)
        await self._publish(email, topic)
        account = self._store.account(email)
        return {"historyId": str(account.history), "expiration": str(int(expires * 1000))}

    def stop(self, email: str, client_id: str) -> None:
        """End a watch; ending none is fine."""
        self._watches.pop((email, client_id), None)

    def active(self) -> dict[str, list[str]]:
        """Topics that are watched, by mailbox."""
        found: dict[str, list[str]] = {}
        for (email, _), watch in self._watches.items():
            if watch.expires > time.time():
                found.setdefault(email, []).append(watch.topic)
        return found

    def expire(self, email: str) -> None:
        """Let every watch of a mailbox end now, as after seven days."""
        for key, watch in self._watches.items():
            if key[0] == email.lower():
                watch.expires = 0

    def _check_topic(self, topic: str) -> None:
        from google.api_core.exceptions import GoogleAPICallError, NotFound

        prefix = f"Error sending test message to Cloud PubSub {topic} : "
        try:
            policy = self._publisher().get_iam_policy(request={"resource": topic}, timeout=5)
        except NotFound:
            name = topic.rpartition("/")[2]
            raise ApiError(404, f"{prefix}Resource not found (resource={name}).") from None
        except GoogleAPICallError as error:
            raise ApiError(503, f"{prefix}{error.message}") from error
        allowed = {"roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin"}
        if not any(item.role in allowed and PUSH_ACCOUNT in item.members for item in policy.bindings):
            raise ApiError(403, f"{prefix}User not authorized to perform this action.")

    async def changed(self, email: str, labels: tuple[str, ...]) -> None:
        """Tell every watcher of a mailbox that it has changed, unless it was told a moment ago."""
        for (who, _), watch in list(self._watches.items()):
            if who != email.lower() or watch.expires <= time.time():
                continue
            matches = not watch.labels or bool(watch.labels & set(labels)) != watch.exclude
            if not matches:
                continue
            now = time.monotonic()
            if self.per_second is not None and now - self._last.get(who, -1e9) < 1 / self.per_second:
                self.dropped += 1
                continue
            self._last[who] = now
            await self._notify(who, watch.topic)

    async def _notify(self, who: str, topic: str) -> None:
        """Publish a notification, or what the fault that was asked for makes of it."""
        fault = self._faults.take("notification", who)
        if fault is None:
            await self._publish(who, topic)
        elif fault.drop:
            self.dropped += 1
        else:
            # The id is that of now, so that one that comes late tells of what is known already.
            history = self._store.account(who).history
            for _ in range(fault.copies):
                task = asyncio.create_task(self._publish(who, topic, history, fault.latency))
                self._late.add(task)
                task.add_done_callback(self._late.discard)

    async def _publish(
        self, email: str, topic: str, history: int | None = None, latency: float = 0.0
    ) -> None:
        await asyncio.sleep(latency)
        if not self._host:
            return
        history = history or self._store.account(email).history
        data = json.dumps({"emailAddress": email, "historyId": history}).encode()
        try:
            future = self._publisher().publish(topic, data)
            await asyncio.to_thread(future.result, 5)
            self.published += 1
        except Exception:
            self.dropped += 1
