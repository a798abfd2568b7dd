"""Where lifecycles of tenants are played: an operator that dies and is started again, and what the end is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import pytest
from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import UnavailableError
from guestpost_operator.backends.kinds import (
    ASKED,
    CLAIM,
    CLUSTER,
    NAMESPACE,
    OWNED,
    PERSISTENT_VOLUME,
    RECEIPT,
    SECRET,
    VOLUME_SNAPSHOT_CONTENT,
)
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.settings import Config
from guestpost_operator.testing import Workloads
from operator_ends import differences, plain, without_chance
from operator_fixtures import PROJECT, Tenants, configuration
from operator_script import Point, Script
from operator_world import World

Object = dict[str, Any]

# After a fault-free run so long nothing is written; progress that is no news is put off for 3 s.
QUIET_SECONDS = 3.5
# For the end to be the same as without faults; back-offs are in it.
PATIENCE = 45.0
# How often an operator that cannot start is started again.
STARTS = 8
# Each once: what is kept of a release that was there before would be written once less.
RELEASES = itertools.count(1)


class Program(Protocol):
    """An operator: `operator_fixtures.Running` in this process, or `operator_process.Process`."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """End it, and wait until nothing of it runs."""


@dataclass
class Subject:
    """A tenant that something happens to.

    Attributes:
        before: a hash of each entry of its Secrets when it was prepared, to tell what was made anew.
    """

    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")
    uid: str = ""
    before: dict[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Its namespace's name."""
        return names.namespace(self.name)


@dataclass(frozen=True)
class Lifecycle:
    """Something that a tenant goes through.

    Attributes:
        prepare: makes the tenant ready for it.
        story: what people do, up to what they see at the end of it.
        begin: what happens once for all tenants, before their stories.
        reuse: the same tenant can go through it again.
    """

    name: str
    prepare: Callable[[Stage, Subject], Awaitable[None]]
    story: Callable[[Stage, Subject], Awaitable[None]]
    begin: Callable[[Stage], Awaitable[None]] | None = None
    reuse: bool = False


@dataclass(frozen=True)
class Recording:
    """A run without faults.

    Attributes:
        end: what there was of the tenant at its end.
        calls: how often each call was made.
        writes: names of those that change anything.
    """

    end: Object
    calls: Counter[str]
    writes: frozenset[str]

    @property
    def written(self) -> Counter[str]:
        """How often each write was made."""
        return Counter({what: number for what, number in self.calls.items() if what in self.writes})


@dataclass
class Stage:
    """An operator, what it works on, and what happens around it.

    Attributes:
        run: makes an operator with a configuration, not started yet.
        timeout: seconds for one call of the operator.
        quiet: seconds without a write after which a run is over.
        recordings: runs without faults, by lifecycle.
        version: last part of the version of the CRM that it is configured with.
    """

    admin: KubernetesCluster
    pubsub: PubSub
    tenants: Tenants
    workloads: Workloads
    world: World
    script: Script
    run: Callable[[Config], Program]
    timeout: float = 10
    quiet: float = QUIET_SECONDS
    recordings: dict[str, Recording] = field(default_factory=dict)
    version: int = 0
    _program: Program | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Stage:
        await self.deploy()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.script.revive()
        if self._program is not None:
            await asyncio.to_thread(self._program.stop)

    # -- The operator

    def _config(self) -> Config:
        return configuration(
            tenants__images__crm=f"guestpost.local/crm:1.0.{self.version}",
            rollout={"strategy": "Immediate"},
            operator__keyOverlapSeconds=0,
            operator__requestTimeoutSeconds=self.timeout,
        )

    async def deploy(self) -> None:
        """Replace the operator by one with the next release."""
        async with self._lock:
            self.version = next(RELEASES)
            await self._start()

    @contextlib.asynccontextmanager
    async def minded(self) -> AsyncIterator[None]:
        """Within it an operator that dies is started again, as the kubelet does; after it there is one."""
        over = asyncio.Event()
        minding = asyncio.create_task(self._mind(over))
        try:
            yield
        finally:
            # Never cut short: one that is half replaced would be lost, or live on beside the next one.
            over.set()
            await minding

    async def _mind(self, over: asyncio.Event) -> None:
        last = False
        while not last:
            last = over.is_set()
            program = self._program
            died = program is not None and (self.script.dead.is_set() or not program.alive)
            if died and not self._lock.locked():
                async with self._lock:
                    await self._start()
            await asyncio.sleep(0.02)

    async def _start(self) -> None:
        if self._program is not None and self._program.alive:
            await asyncio.to_thread(self._program.stop)
        for _ in range(STARTS):
            self.script.revive()
            self._program = self.run(self._config())
            try:
                await self._started(self._program)
            except Exception:
                # Whatever it was: a container is ended and started again.
                if self._program.alive:
                    await asyncio.to_thread(self._program.stop)
            else:
                return
        pytest.fail("the operator does not start")

    async def _started(self, program: Program) -> None:
        """Start it; one that dies meanwhile is ended."""
        starting = asyncio.create_task(asyncio.to_thread(program.start))
        while not starting.done():
            await asyncio.wait({starting}, timeout=0.05)
            if self.script.dead.is_set() and program.alive:
                await asyncio.to_thread(program.stop)
        await starting

    # -- What is played

    async def prepare(self, lifecycle: Lifecycle, count: int) -> list[Subject]:
        """So many tenants, ready for a lifecycle."""
        subjects = [Subject() for _ in range(count)]
        self.script.begin({each.name: () for each in subjects})
        async with self.minded():
            await asyncio.gather(*(self._prepare(lifecycle, each) for each in subjects))
        return subjects

    async def _prepare(self, lifecycle: Lifecycle, subject: Subject) -> None:
        await lifecycle.prepare(self, subject)
        tenant = await self.tenants.get(subject.name)
        if tenant is not None:
            subject.uid = tenant["metadata"]["uid"]
            subject.before = await self.secrets(subject)

    async def play(
        self, lifecycle: Lifecycle, plans: Sequence[tuple[Subject, Sequence[Point]]]
    ) -> dict[str, str]:
        """Have tenants go through a lifecycle, each with its faults.

        Returns:
            What went wrong, by tenant's name: stories that did not come to their end.
        """
        self.script.begin({subject.name: points for subject, points in plans})
        async with self.minded():
            if lifecycle.begin is not None:
                await lifecycle.begin(self)
            stories = (lifecycle.story(self, subject) for subject, _ in plans)
            ends = await asyncio.gather(*stories, return_exceptions=True)
        lost = {}
        for (subject, _), end in zip(plans, ends, strict=True):
            if isinstance(end, pytest.fail.Exception):
                lost[subject.name] = str(end)
            elif isinstance(end, BaseException):
                raise end
        return lost

    async def fault_free(self, lifecycle: Lifecycle) -> Recording:
        """A run without faults; the same one for each test."""
        if lifecycle.name not in self.recordings:
            self.recordings[lifecycle.name] = await self._record(lifecycle)
        return self.recordings[lifecycle.name]

    async def _record(self, lifecycle: Lifecycle) -> Recording:
        [subject] = await self.prepare(lifecycle, 1)
        problems = await self.play(lifecycle, [(subject, ())])
        if problems:
            pytest.fail(f"{lifecycle.name} does not even end without faults: {problems}")

        async def quiet() -> bool:
            return self.script.quiet(subject.name) >= self.quiet

        await self.tenants.eventually(quiet, "nothing to be written any more")
        calls = self.script.calls(subject.name)
        recording = Recording(await self.end(subject), calls, frozenset(filter(self.script.writes, calls)))
        await self.clear([subject])
        return recording

    async def differs(self, subject: Subject, wanted: Object) -> str:
        """How the end differs from another one; "" when it is, or becomes, the same."""
        deadline = time.monotonic() + PATIENCE
        async with self.minded():
            while True:
                found = await self.end(subject)
                if found == wanted:
                    return ""
                if time.monotonic() > deadline:
                    return differences(found, wanted)
                await asyncio.sleep(0.2)

    async def clear(self, subjects: Sequence[Subject]) -> None:
        """Erase tenants, in order and without further faults."""
        self.script.begin({})
        async with self.minded():
            for subject in subjects:
                if await self.tenants.get(subject.name) is not None:
                    await self.tenants.delete(subject.name)
            for subject in subjects:
                await self.tenants.wait_gone(subject.name)

    # -- The end

    async def secrets(self, subject: Subject) -> dict[str, str]:
        """A hash of each entry of a tenant's Secrets."""
        selector = f"{names.LABEL_TENANT_UID}={subject.uid}"
        found = {}
        for each in await self.admin.find(SECRET, subject.namespace, selector):
            name = each["metadata"]["name"]
            secret = await self.admin.get(SECRET, name, subject.namespace, whole=True) or {}
            for key, value in (secret.get("data") or {}).items():
                found[f"{name}/{key}"] = hashlib.sha256(value.encode()).hexdigest()
        return found

    async def end(self, subject: Subject) -> Object:
        """All that there is of a tenant outside, without what differs between two runs."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await self._end(subject)
            except UnavailableError:
                # An API server that has only just been told of our kinds serves each a little later.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _end(self, subject: Subject) -> Object:
        tenant = await self.tenants.get(subject.name)
        if tenant is not None:
            subject.uid = tenant["metadata"]["uid"]
        selector = f"{names.LABEL_TENANT_UID}={subject.uid}"
        kinds = [kind for kind in OWNED if kind is CLUSTER or not (kind.optional or kind.secret)]
        lists = await asyncio.gather(
            *(self.admin.find(kind, None, selector) for kind in (*kinds, CLAIM)),
            *(self.admin.find(kind, subject.namespace) for kind in ASKED),
        )
        objects = [each for found in lists for each in found]
        for kind, prefix in ((PERSISTENT_VOLUME, "pv"), (VOLUME_SNAPSHOT_CONTENT, "content")):
            objects.append(await self.admin.get(kind, f"{prefix}-{subject.name}") or {})
        found = {f"{each['kind']} {each['metadata']['name']}": plain(each) for each in objects if each}
        if tenant is not None:
            found["GuestPostTenant"] = plain(tenant)
        found["Namespace there"] = await self.admin.get(NAMESPACE, subject.namespace) is not None
        found |= {
            f"Secret {key}": "same" if subject.before.get(key) == value else "new"
            for key, value in (await self.secrets(subject)).items()
        }
        found |= await self._messaging(subject)
        receipt = await self.admin.get(RECEIPT, receipts.name(subject.uid)) if subject.uid else None
        stated = receipt["spec"]["statement"] if receipt else {}
        kept = ("verified", "requestedBy", "finalExport", "removed", "steps")
        found["receipt"] = {key: stated.get(key) for key in kept}
        return without_chance(found, f"1.0.{self.version}")

    async def _messaging(self, subject: Subject) -> Object:
        topic = names.topic(PROJECT, subject.name, subject.uid)
        subscription = names.subscription(PROJECT, subject.name, subject.uid)
        found: Object = {}
        for name, there in (
            (topic, await self.pubsub.get_topic(topic)),
            (subscription, await self.pubsub.get_subscription(subscription)),
        ):
            if there is not None:
                policy = await self.pubsub.get_policy(name)
                readers = {role: sorted(members) for role, members in policy.items()}
                found[name] = {**asdict(there), "policy": readers}
        return found
