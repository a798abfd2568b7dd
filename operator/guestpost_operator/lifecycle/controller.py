"""Which tenant is looked at, and when. One pass per tenant at a time; one bad tenant holds up no other.

Fed by kopf (tenants) and by the watches (owned objects); both only say "look again". See
docs/decisions/reconcile.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from guestpost_operator import metrics, status
from guestpost_operator.api import names
from guestpost_operator.api.tenant import InvalidTenantError, Tenant, parse
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, InvalidError, NotFoundError, RefusedError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.inventory import Inventory, version_of
from guestpost_operator.lifecycle import finalizer, news
from guestpost_operator.lifecycle.entry import Entry, status_of
from guestpost_operator.lifecycle.exports import Exports
from guestpost_operator.lifecycle.hostnames import Hostnames
from guestpost_operator.lifecycle.provision import Provisioner
from guestpost_operator.lifecycle.queue import Queue
from guestpost_operator.lifecycle.reporter import Reporter
from guestpost_operator.lifecycle.requests import Requests
from guestpost_operator.lifecycle.support import Grants
from guestpost_operator.revision import Object
from guestpost_operator.status import Facts, Step

log = structlog.get_logger()

FIRST_BACKOFF = 0.5
MAX_BACKOFF = 300.0
# Progress that is no news for alerts is written at most this often.
PROGRESS_SECONDS = 3.0
# So long kopf has for its finalizer; it may have many tenants to begin with.
FINALIZER_SECONDS = 30.0


@dataclass(frozen=True)
class Wishes:
    """What people ask for inside tenants' namespaces."""

    exports: Exports
    grants: Grants
    requests: Requests


class Controller:
    """Runs passes over tenants.

    Args:
        cluster: where tenants are.
        provisioner: does one pass.
        reporter: writes statuses and events.
        inventory: what the watches know.
        hostnames: who holds which, kept true here.
        wishes: keeps what is asked for inside tenants' namespaces.
        concurrency: tenants at work at the same time.
        resync: seconds between looks at everything, Pub/Sub included.
        hostname_of: the host name that a tenant asks for.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        provisioner: Provisioner,
        reporter: Reporter,
        inventory: Inventory,
        hostnames: Hostnames,
        wishes: Wishes,
        concurrency: int,
        resync: float,
        hostname_of: Callable[[Tenant], str],
    ) -> None:
        self._cluster = cluster
        self._provisioner = provisioner
        self._reporter = reporter
        self._inventory = inventory
        self._hostnames = hostnames
        self._wishes = wishes
        self._concurrency = concurrency
        self._resync = resync
        self._hostname_of = hostname_of
        self._entries: dict[str, Entry] = {}
        self._by_namespace: dict[str, str] = {}
        self._queue = Queue()
        self._workers: list[asyncio.Task[None]] = []

    # -- What is known

    def saw(self, body: Mapping[str, Any]) -> None:
        """Take note of a tenant as kopf read it; look at it if anything that matters changed."""
        uid = body["metadata"]["uid"]
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = Entry.of(body)
            self._by_namespace[names.namespace(body["metadata"]["name"])] = uid
            self._claim_hostname(entry)
            # Before we work, all of them are due; later it is a new one.
            self.look(uid, due=not self._workers)
            return
        if version_of(body["metadata"]) <= version_of(entry.body["metadata"]):
            return
        relevant = news.relevant(body) != news.relevant(entry.body)
        if news.requested(body) != news.requested(entry.body):
            entry.memory.forget_checks()
        entry.body = body
        if relevant:
            self._claim_hostname(entry)
            entry.failures = 0
            self.look(uid)

    def gone(self, uid: str) -> None:
        """Forget a tenant that does not exist any more."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            if entry.wake is not None:
                entry.wake.cancel()
            namespace = names.namespace(entry.body["metadata"]["name"])
            if self._by_namespace.get(namespace) == uid:
                del self._by_namespace[namespace]
        for waiting in self._hostnames.release(uid):
            self.look(waiting)
        self._inventory.forget_tenant(uid)

    def bodies(self) -> Iterable[Object]:
        """All tenants, as last read."""
        return [entry.body for entry in self._entries.values()]

    def _claim_hostname(self, entry: Entry) -> None:
        """Note which host name a tenant asks for now; those who wait for the one before are looked at."""
        try:
            tenant = parse(entry.body)
        except InvalidTenantError:
            return
        for uid in self._hostnames.claim(tenant, self._hostname_of(tenant)):
            self.look(uid)

    @contextlib.asynccontextmanager
    async def taken(self, body: Mapping[str, Any]) -> AsyncIterator[Entry]:
        """Hold a tenant so that no pass runs over it, from now on until it is forgotten."""
        entry = self._entries.setdefault(body["metadata"]["uid"], Entry.of(body))
        entry.erasing = True
        async with entry.lock:
            yield entry

    # -- When to look

    def look(self, uid: str, delay: float = 0, *, due: bool = False) -> None:
        """Have a pass over a tenant; many calls become one pass.

        Args:
            uid: the tenant's.
            delay: seconds until then.
            due: nothing has changed, it is only time: what has changed goes before it.
        """
        entry = self._entries.get(uid)
        if entry is None:
            return
        loop = asyncio.get_running_loop()
        if delay > 0:
            moment = loop.time() + delay
            if entry.wake is not None and not entry.wake.cancelled() and entry.wake.when() <= moment:
                return
            if entry.wake is not None:
                entry.wake.cancel()
            entry.wake = loop.call_at(moment, self._wake, uid)
            return
        self._queue.put(uid, changed=not due)
        metrics.QUEUE.set(len(self._queue))

    def look_into(self, namespace: str) -> None:
        """Have a pass over the tenant of a namespace, in which somebody asks for something."""
        uid = self._by_namespace.get(namespace)
        if uid is not None:
            self.look(uid)

    def start(self) -> None:
        """Begin to work, in tasks of the running loop."""
        self._workers = [
            asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._concurrency)
        ]

    async def stop(self) -> None:
        """End the workers; a pass that is cut short is repeated by the next start."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _wake(self, uid: str) -> None:
        entry = self._entries.get(uid)
        if entry is not None:
            entry.wake = None
            self.look(uid, due=True)

    # -- The work

    async def _work(self) -> None:
        while True:
            uid = await self._queue.take()
            metrics.QUEUE.set(len(self._queue))
            entry = self._entries.get(uid)
            if entry is None:
                continue
            if entry.lock.locked():
                # A pass is under way: another one after it, without a worker waiting for it.
                self.look(uid, delay=0.2)
                continue
            async with entry.lock:
                await self._pass(uid, entry)

    async def _pass(self, uid: str, entry: Entry) -> None:
        if entry.wake is not None:
            # This pass decides anew when to look again.
            entry.wake.cancel()
            entry.wake = None
        begin = time.perf_counter()
        metrics.IN_PROGRESS.inc()
        name = entry.body["metadata"]["name"]
        structlog.contextvars.bind_contextvars(tenant=name, step="provision")
        result = "error"
        try:
            if entry.doubtful(self._resync) and await self._vanished(entry):
                result = "gone"
                return
            result, again = await self._reconcile(entry)
            entry.failures = 0 if result != "failed" else entry.failures + 1
            self.look(uid, delay=again if result != "failed" else max(again, backoff(entry.failures)))
        except BackendError as error:
            entry.failures += 1
            entry.missed = isinstance(error, NotFoundError)
            wait = max(error.retry_after or 0, backoff(entry.failures))
            log.warning("pass failed", reason=error.reason, error=str(error), again_in=round(wait, 1))
            self.look(uid, delay=wait)
        except InvalidTenantError as error:
            log.warning("tenant cannot be read", error=str(error))
            self.look(uid, delay=MAX_BACKOFF)
        except Exception:
            # A bug must not end the worker: the others go on, this one is tried again.
            entry.failures += 1
            log.exception("pass broke")
            self.look(uid, delay=backoff(entry.failures))
        finally:
            metrics.IN_PROGRESS.dec()
            metrics.RECONCILES.labels(result).inc()
            metrics.RECONCILE_SECONDS.observe(time.perf_counter() - begin)
            structlog.contextvars.unbind_contextvars("tenant", "step")

    async def _reconcile(self, entry: Entry) -> tuple[str, float]:
        """Result of the pass, and seconds until the next look."""
        tenant = parse(entry.body)
        if entry.erasing or tenant.deleting:
            return "skipped", self._jittered()
        if names.FINALIZER not in tenant.finalizers:
            # Nothing is made that nobody would remove.
            return await self._guard(entry)
        entry.unguarded = None
        if tenant.paused:
            await self._write(entry, status.paused(tenant, status_of(entry), now()), urgent=True)
            return "paused", self._jittered()
        if entry.outdated(self._resync):
            entry.memory.forget_checks()

        clock, contact = self._wishes.requests.clock(tenant), self._wishes.requests.contact(tenant)
        tenant = tenant.asked_to_go(clock)

        wanted = {"spec": tenant.spec, "generation": tenant.generation}

        def latest() -> Tenant:
            # A spec that was changed meanwhile is the next pass's: nothing was found about it yet.
            return parse(entry.body).model_copy(update=wanted)

        async def announce(facts: Facts) -> Tenant:
            facts = replace(facts, deletion=clock, contact=contact)
            await self._write(entry, status.announced(latest(), facts, status_of(entry), now()), urgent=True)
            return latest()

        facts = await self._provisioner.reconcile(tenant, entry.memory, announce)
        facts = replace(facts, deletion=clock, contact=contact)
        new = status.of(latest(), facts, status_of(entry), now())
        written = await self._write(entry, new, urgent=False)
        tenant = parse(entry.body)
        times = (
            await self._wishes.exports.settle(tenant, facts.asked, entry.memory),
            await self._wishes.grants.settle(tenant, facts.asked, entry.memory),
            await self._wishes.requests.settle(tenant, clock),
            facts.again,
        )
        later = min((each for each in times if each is not None), default=math.inf)
        failed = facts.problem is not None or any(step.failed for _, step in facts.parts())
        if not written:
            return "waiting", PROGRESS_SECONDS
        if failed:
            return "failed", 0.0
        return "ok", min(later, self._jittered())

    async def _vanished(self, entry: Entry) -> bool:
        """Forget a tenant that is not there any more: nobody tells of what goes while kopf does not watch."""
        metadata = entry.body["metadata"]
        entry.missed = False
        live = await self._cluster.get(TENANT, metadata["name"])
        if live is not None and live["metadata"]["uid"] == metadata["uid"]:
            return False
        self.gone(metadata["uid"])
        return True

    async def _guard(self, entry: Entry) -> tuple[str, float]:
        """Leave our finalizer to kopf; when that takes too long, put it there, or say why it is refused."""
        entry.unguarded = entry.unguarded or time.monotonic()
        left = entry.unguarded + FINALIZER_SECONDS - time.monotonic()
        if left > 0:
            return "skipped", left
        try:
            entry.answered(await finalizer.add(self._cluster, entry.body))
        except (RefusedError, InvalidError) as error:
            log.warning("finalizer refused", error=str(error))
            message = (
                f"the API server refuses the finalizer {names.FINALIZER}, and nothing is made or changed "
                f"without it, for nobody would erase it: {error}"
            )
            problem = Step(done=False, reason="FinalizerRefused", message=message, stalled=True)
            new = status.of(parse(entry.body), Facts(problem=problem), status_of(entry), now())
            await self._write(entry, new, urgent=True)
            return "failed", 0.0
        return "skipped", 0.0

    async def _write(self, entry: Entry, new: Object, *, urgent: bool) -> bool:
        """Write the status if it changed.

        Returns:
            False when it has to be looked at again: put off, as mere progress soon after the last; or more is
            there than was known, such as a write of ours whose answer was lost.
        """
        old = status_of(entry)
        changes = status.patch(old, new)
        if not changes:
            return True
        moment = time.monotonic()
        if not urgent and not news.is_news(old, new) and moment - entry.written < PROGRESS_SECONDS:
            return False
        entry.answered(await self._reporter.write(entry.body, changes, new))
        entry.written = moment
        return not status.patch(status_of(entry), new)

    def _jittered(self) -> float:
        return self._resync * random.uniform(0.9, 1.1)  # noqa: S311  # jitter, not a secret


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, bounded, with jitter."""
    ceiling: float = min(FIRST_BACKOFF * 2.0 ** min(failures, 20), MAX_BACKOFF)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret


def now() -> str:
    """The time as conditions write it: RFC 3339 in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
