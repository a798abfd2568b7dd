"""Tenants' lives at random: what people do to them, what goes wrong, what must hold whenever all of it rests.

An operator in a thread works against a real API server. All here is called from outside any event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from erasures import claim
from guestpost_operator.api import export, names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import ConflictError, NotFoundError, UnavailableError
from guestpost_operator.backends.kinds import (
    CLAIM,
    DEPLOYMENT,
    EXPORT,
    GRANT,
    NETWORK_POLICY,
    REQUEST,
    SERVICE,
    TENANT,
    Kind,
)
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.testing import Workloads, Write
from operator_faults import FaultyCluster
from operator_fixtures import PROJECT, Running, configuration, holds
from operator_trouble import Trouble
from operator_truth import HIBERNATED, REASON, SUSPENDED, Life, Strangers, Truth, belongs, body, of_its_own
from operator_world import World, complete, downloaded
from plane_fixtures import Plane
from support_desk import Desk

Object = dict[str, Any]
T = TypeVar("T")

PATIENCE = 90.0
# What is to be done later than that is no work under way.
SOON_SECONDS = 5.0
OURS = ("guestpost-operator", "kopf")
# What people damage, and find restored.
DAMAGES: dict[str, tuple[Kind, str]] = {
    "web": (DEPLOYMENT, "web"),
    "its service": (SERVICE, "web"),
    "its policy": (NETWORK_POLICY, "default-deny"),
}


class BrokenError(AssertionError):
    """Something does not hold that must hold whatever happened."""


class Lives:
    """All of them, with the operator and the rest of the world, as a context manager.

    Args:
        plane: the control plane. The namespace controller is played here.

    Attributes:
        lives: those who are not erased.
        trouble: what becomes of the operator's writes.
        met: what troubles it met since the last rest.
        touched: names of those to whom something was done since then.
        broken: something did not hold.
    """

    def __init__(self, plane: Plane) -> None:
        self.lives: list[Life] = []
        self.met: list[str] = []
        self.trouble = Trouble(self.met)
        self._plane = plane
        self.touched: set[str] = set()
        self.broken, self._mark = False, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lives", daemon=True)
        self._config = configuration()
        self._numbers = 0

    # -- Beginning and end

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        self._start()
        self._mark = self._plane.audit.mark()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._running.stop()
            self._do(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(20)
            self._loop.close()

    async def _open(self) -> None:
        self._admin: KubernetesCluster = await FaultyCluster.connect(concurrency=16, timeout=10, agent="test")
        self._pubsub = PubSub(timeout=5)
        self._workloads = await Workloads(self._admin).__aenter__()
        self._workloads.judge = self._judge
        self._world = await World(self._admin).__aenter__()
        self._world.exported = lambda made: (
            downloaded() if made["metadata"]["name"] == export.FINAL else complete(600)
        )
        self._truth = Truth(self._admin, self._pubsub)
        self._strangers = Strangers(self._admin, self._pubsub)
        await self._strangers.make()

    async def _close(self) -> None:
        for life in self.lives:
            await self._abandon(life)
        await self._strangers.remove()
        await self._world.__aexit__(None, None, None)
        await self._workloads.__aexit__(None, None, None)
        await self._pubsub.close()
        await self._admin.close()

    def begin(self) -> None:
        """Begin anew, whatever a run has left that failed."""
        self.broken = False
        if not self.lives:
            return
        self._running.stop()
        for life in self.lives:
            self._do(self._abandon(life))
        self.lives.clear()
        self.touched.clear()
        self.met.clear()
        self._start()
        self._mark = self._plane.audit.mark()

    async def _abandon(self, life: Life) -> None:
        """Whatever a failed run has left: the next one must not see it."""
        while (found := await self._admin.get(TENANT, life.name)) is not None:
            try:
                if found["metadata"].get("finalizers"):
                    await self._admin.merge(TENANT, life.name, None, {"metadata": {"finalizers": None}})
                await self._admin.delete(TENANT, life.name, None, None)
            except (ConflictError, UnavailableError, NotFoundError):
                continue

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE * 3)

    def _start(self) -> None:
        self.trouble = Trouble(self.met)
        self._running = Running(self._config, self.trouble)
        self._running.start()

    # -- What people do. None waits for what comes of it.

    def create(self, state: str, final_export: str, *, slow: bool) -> None:
        """A new tenant."""
        name = f"l{uuid.uuid4().hex[:8]}"
        spec: Object = {
            "owner": {"name": Life.owner, "email": "anna@acme.example"},
            "region": "europe-west1",
            "googleProject": PROJECT,
            "state": state,
            "deletion": {"gracePeriodSeconds": 0, "finalExport": final_export},
        } | ({"suspendReason": REASON} if state == SUSPENDED else {})
        # Known before it is there: its workloads may come at once.
        life = Life(name, "", state, slow=slow)
        self.lives.append(life)
        life.uid = self._do(self._make(TENANT, {"name": name}, spec))["metadata"]["uid"]
        self.touched.add(life.name)

    def edit(self, life: Life, *, grows: bool, slow: bool) -> None:
        """Another owner, or a larger plan; where it is slow, what is new is not available for a while."""
        life.slow = life.slow or slow
        if grows:
            life.plan = "Growth"
            self._patch(life, {"plan": life.plan})
            return
        self._numbers += 1
        life.owner = f"Owner {self._numbers}"
        self._patch(life, {"owner": {"name": life.owner}})

    def ask(self, life: Life, state: str, *, slow: bool) -> None:
        """Another state."""
        life.slow = life.slow or slow
        life.state = state
        self._patch(life, {"state": state, "suspendReason": REASON if state == SUSPENDED else None})

    def export(self, life: Life) -> None:
        """An export that staff wants."""
        self._numbers += 1
        life.exports.append(f"export-{self._numbers}")
        metadata = {"name": life.exports[-1], "namespace": life.namespace}
        self._act(life, self._make(EXPORT, metadata, {"requestedBy": "Staff"}))

    def grant(self, life: Life, level: str) -> None:
        """Staff asks for support access, and the customer approves."""
        self._numbers += 1
        self._act(life, self._grant(life, f"ticket-{self._numbers}", level))

    def revoke(self, life: Life) -> None:
        """The customer ends all support access."""
        for name, made in life.grants.items():
            life.revoked.add(name)
            status = {"revokedAt": "2026-11-24T12:00:00Z"}
            uid = made["metadata"]["uid"]
            self._act(life, self._admin.merge_status(GRANT, name, life.namespace, uid, status))

    def erase(self, life: Life, *, asks: bool) -> None:
        """Staff deletes the tenant; or the customer asks for it, without a grace period."""
        life.erased = True
        if asks:
            metadata = {"name": "erase", "namespace": life.namespace}
            self._act(life, self._make(REQUEST, metadata, {"type": "Erase"}))
        else:
            self._act(life, self._admin.delete(TENANT, life.name, None, None))

    def damage(self, life: Life, what: str) -> None:
        """Somebody deletes what is the tenant's."""
        kind, name = DAMAGES[what]
        life.damaged = True
        self._act(life, self._admin.delete(kind, name, life.namespace, None))

    def fall_ill(self, life: Life, *, ill: bool) -> None:
        """Its web's pods fail from now on, or are well again."""
        life.ill, life.damaged = ill, True
        self._act(life, self._workloads.look(DEPLOYMENT, "web", life.namespace))

    def restart(self) -> None:
        """The operator ends in order, and another one begins."""
        self._running.stop()
        self._start()

    # -- What must hold

    def rest(self) -> None:
        """Wait until all is as it was meant to be, and look at what must hold whatever happened."""
        self.broken = True
        for life in [each for each in self.lives if each.name in self.touched]:
            self._settle(life)
        self.trouble.arm("", 0)
        self._wait(self._quiet, lambda: "the operator to be at rest")
        self._touch_nobody_else()
        self._write_nothing()
        self.lives = [each for each in self.lives if not each.erased]
        self.touched.clear()
        self.met.clear()
        self.broken = False

    def _settle(self, life: Life) -> None:
        if life.slow and not life.erased:
            # As far as it comes so; what it says then must be true.
            self._wait(self._quiet, lambda: "the operator to be at rest")
            self._do(self._missing(life))
        life.slow = False
        for workload in ("web", "sync"):
            self._do(self._workloads.look(DEPLOYMENT, workload, life.namespace))
        missing = "anything"

        def met() -> bool:
            nonlocal missing
            missing = self._do(self._gone(life) if life.erased else self._missing(life))
            return not missing

        self._wait(met, lambda: f"{missing}: {life}")
        if life.erased:
            if left := self._do(self._truth.orphans(life)):
                raise BrokenError(f"left of {life}, after {self.met}: {left}")
        elif not life.seen:
            self._do(self._connect(life))
        life.seen, life.damaged = True, False

    async def _connect(self, life: Life) -> None:
        """As the broker does when a mailbox is connected."""
        await self._admin.create(CLAIM, claim({"metadata": {"name": life.name, "uid": life.uid}}))

    async def _missing(self, life: Life) -> str:
        """What is not yet as it was meant to be, "" when nothing is missing."""
        found = await self._admin.get(TENANT, life.name)
        if found is None:
            raise BrokenError(f"{life} is gone, and nobody asked for it")
        said = found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
        said = said and holds(found, "Ready", "True")
        untrue = await self._truth.untrue(life)
        if said and untrue and not life.damaged:
            raise BrokenError(f"{life} says that it is Ready, and {untrue}; after {self.met}")
        if life.ill and life.state != HIBERNATED:
            return "" if holds(found, "Ready", "False") else "it not to be Ready"
        if untrue or not said:
            return untrue or "it to be Ready"
        if not holds(found, "Ready", "True", life.state) or found["status"]["phase"] != life.state:
            raise BrokenError(f"{life} is Ready for another reason: {found['status']}")
        return await self._truth.unanswered(life)

    async def _gone(self, life: Life) -> str:
        """What is still there of a tenant that was to go, "" when it is gone."""
        if await self._admin.get(TENANT, life.name) is not None:
            return "it to be erased"
        parts = self._running.operator
        known = life.uid in parts._controller._entries or parts._inventory.objects(life.uid)
        return "the operator to forget it" if known else ""

    def _touch_nobody_else(self) -> None:
        """By the API server's audit log, nothing was written that belongs to nobody who was acted upon."""
        touched = [each for each in self.lives if each.name in self.touched]
        others = [
            each
            for each in self._writes()
            if each.code < 300 and not any(belongs(each, life) for life in touched) and not of_its_own(each)
        ]
        if others:
            raise BrokenError(f"written beside {touched}, after {self.met}: {others}")
        if not self._do(self._strangers.untouched()):
            raise BrokenError(f"what is nobody's was touched, after {self.met}")

    def _write_nothing(self) -> None:
        """A second pass over all tenants, everything verified, writes nothing."""
        self._numbers += 1
        stamp = str(self._numbers)
        staying = [each for each in self.lives if not each.erased]
        for life in staying:
            patch = {"metadata": {"annotations": {names.ANNOTATION_REQUESTED: stamp}}}
            self._do(self._admin.merge(TENANT, life.name, None, patch))
        self._wait(lambda: all(self._looked_at(each, stamp) for each in staying), lambda: f"passes {staying}")
        self._wait(self._quiet, lambda: "the operator to be at rest")
        # kopf notes how far it is at those that are gone by now.
        gone = [each for each in self.lives if each.erased]
        again = [
            each
            for each in self._writes()
            if not (each.code == 404 and any(belongs(each, life) for life in gone))
        ]
        if again:
            raise BrokenError(f"a second pass over {staying} writes, after {self.met}: {again}")

    def _quiet(self) -> bool:
        """Whether the operator has nothing to do, now and soon."""
        controller = self._running.operator._controller
        soon = time.monotonic() + SOON_SECONDS
        return not controller._queue and all(
            not entry.lock.locked() and entry.wake is not None and entry.wake.when() > soon
            for entry in list(controller._entries.values())
        )

    def _wait(self, met: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait until something is so, with an operator that lives."""
        deadline = time.monotonic() + PATIENCE
        while self.trouble.dead.is_set() or not met():
            if time.monotonic() > deadline:
                raise BrokenError(f"waited for {what()}, after {self.met}")
            if self.trouble.dead.is_set():
                self.restart()
            time.sleep(0.03)

    def _looked_at(self, life: Life, stamp: str) -> bool:
        controller = self._running.operator._controller
        entry = controller._entries.get(life.uid)
        if entry is None or life.uid in controller._queue or entry.lock.locked():
            return False
        told = (entry.body["metadata"].get("annotations") or {}).get(names.ANNOTATION_REQUESTED) == stamp
        return told and entry.memory.messaging_checked is not None

    def _writes(self) -> list[Write]:
        """The operator's writes since this was last asked."""
        mark, self._mark = self._mark, self._plane.audit.mark()
        return [each for each in self._plane.audit.writes(mark) if each.agent.startswith(OURS)]

    # -- The rest of the world

    def _judge(self, obj: Object, status: Object) -> Object:
        lives = {life.namespace: life for life in self.lives}
        life = lives.get(obj["metadata"]["namespace"])
        if life is None or obj["kind"] != DEPLOYMENT.name:
            return status
        if life.slow:
            return {}
        ill = life.ill and obj["metadata"]["name"] == "web"
        return status | {"availableReplicas": None} if ill else status

    async def _make(self, kind: Kind, metadata: Object, spec: Object) -> Object:
        return await self._admin.create(kind, body(kind, metadata, spec))

    async def _grant(self, life: Life, name: str, level: str) -> None:
        desk = Desk(self._admin, None, {"metadata": {"name": life.name, "uid": life.uid}})
        life.grants[name] = made = await desk.ask(name, level)
        await desk.approve(made, level=level)

    def _patch(self, life: Life, spec: Object) -> None:
        self._act(life, self._admin.merge(TENANT, life.name, None, {"spec": spec}))

    def _act(self, life: Life, work: Coroutine[Any, Any, Any]) -> None:
        """Do something to a tenant."""
        self.touched.add(life.name)
        self._do(work)
