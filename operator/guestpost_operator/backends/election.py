"""One operator at a time: the official client's Lease election, with what it lacks for that.

The library (`kubernetes.aio.leaderelection`) waits without end for an answer, trusts the wall clock,
and never gives a lease back; its own lock can't make a Lease (release 37 sends `pretty` as a boolean, which
its own API class refuses). See docs/decisions/leader-election.md.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import structlog
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection import electionconfig
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from guestpost_operator import metrics
from guestpost_operator.backends.cluster import KubernetesCluster, Object
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.fence import Fence, boot_clock
from guestpost_operator.backends.kinds import Kind

log = structlog.get_logger()

KIND = Kind("coordination.k8s.io/v1", "Lease", "leases")
LEASE = "guestpost-operator"
# Of the time of a lease: in which it has to be renewed, for which one call may last, and between two tries.
RENEW_PART, CALL_PART, RETRY_PART = 2 / 3, 2 / 9, 1 / 6


def fence(lease_seconds: int) -> Fence:
    """The fence that belongs to a lease of so many seconds."""
    return Fence(lease_seconds * RENEW_PART, lease_seconds)


class Election:
    """Stands for election until it wins, then renews the lease; tells when it is lost.

    Args:
        cluster: the API server, by a client for this alone, so that renewals queue behind no other request.
            Its timeout should be `CALL_PART` of a lease, so that a call that hangs leaves time for another.
        namespace: of the Lease.
        identity: of this process; no other may ever have the same.
        lease_seconds: for how long a lease that is not renewed keeps others away; at least 6.
        fence: opened by each renewal, closed by loss and release.
        lost: called once when a lease that was held is held no more; the process has to end then.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        *,
        namespace: str,
        identity: str,
        lease_seconds: int,
        fence: Fence,
        lost: Callable[[], None],
    ) -> None:
        self._fence = fence
        self._lost = lost
        self._lock = _Lock(cluster, namespace, identity, lease_seconds, fence, self._lose)
        self._won = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        config = electionconfig.Config(
            self._lock,
            lease_duration=lease_seconds,
            renew_deadline=lease_seconds * RENEW_PART,
            retry_period=lease_seconds * RETRY_PART,
            onstarted_leading=self._lead,
            onstopped_leading=self._stopped,
        )
        self._election = LeaderElection(config)

    @property
    def standing_by(self) -> bool:
        """Whether another operator is known to lead, so that this one is of use by waiting."""
        return not self._won.is_set() and self._lock.holder not in ("", self._lock.identity)

    async def won(self) -> None:
        """Stand for election and wait until it is won; the lease is renewed from then on."""
        metrics.LEADER.set(0)
        task = asyncio.create_task(self._election.run(), name="election")
        self._tasks.add(task)
        # Should it ever break, the lease is not renewed: better to end at once than when its time is over.
        task.add_done_callback(lambda _: self._lose())
        waiting = asyncio.create_task(self._won.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not self._won.is_set():
            waiting.cancel()
            await task

    async def release(self) -> None:
        """Give the lease back, once nothing is written any more, so that the next need not wait."""
        held = self._won.is_set() and self._fence.left() > 0
        self._won.clear()
        self._fence.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if held and await self._lock.release():
            log.info("lease released", lease=LEASE)
        metrics.LEADER.set(0)

    async def _lead(self) -> None:
        # The library leaves this task alone when its own is cancelled.
        if task := asyncio.current_task():
            self._tasks.add(task)
        log.info("lease acquired", lease=LEASE, identity=self._lock.identity)
        metrics.LEADER.set(1)
        _on_continue(self._check)
        self._won.set()
        # The library believes its deadline by the wall clock; the fence's counts.
        while (left := self._fence.left()) > 0:  # noqa: ASYNC110  # a clock tells no event
            await asyncio.sleep(left)
        self._lose()

    async def _stopped(self) -> None:
        self._lose()

    def _check(self) -> None:
        if self._won.is_set() and self._fence.left() <= 0:
            self._lose()

    def _lose(self) -> None:
        if not self._won.is_set():
            return
        self._won.clear()
        self._fence.close()
        metrics.LEADER.set(0)
        log.error("lease lost: this process ends", lease=LEASE)
        self._lost()


def _on_continue(check: Callable[[], None]) -> None:
    """Have a process that was stopped (SIGSTOP) and goes on look at the clock before anything else.

    Python calls this before the next step of its program, so also between the look at the fence and
    the sending of a request.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        check()

    try:
        signal.signal(signal.SIGCONT, handle)
    except ValueError:
        # Only the main thread may: elsewhere, as in tests, the fence alone has to do.
        log.debug("no handler for SIGCONT outside of the main thread")


class _Lock(BaseLock):
    """The Lease as the library reads and writes it; taken from none but a holder that was silent for long.

    Attributes:
        holder: who held it when it was last read or written, "" when nobody did.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        namespace: str,
        identity: str,
        lease_seconds: int,
        fence: Fence,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(LEASE, namespace, identity)
        self.holder = ""
        self._cluster = cluster
        self._lease_seconds = lease_seconds
        self._fence = fence
        self._lost = lost
        self._lease: Object = {}
        self._unchanged_since = 0.0

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception] | tuple[bool, None]:
        """The record, or the error as the library expects it; noted is since when it stands unchanged."""
        try:
            lease = await self._cluster.request("GET", KIND.path(namespace, name))
        except NotFoundError as error:
            missing = ApiException(status=404, reason=str(error))
            missing.body = json.dumps({"code": 404})
            return False, missing
        except BackendError as error:
            log.warning("lease not read", lease=LEASE, error=str(error))
            return False, ApiException(status=0, reason=str(error))
        self._note(lease)
        spec = lease.get("spec") or {}
        return True, LeaderElectionRecord(
            spec.get("holderIdentity") or None,
            str(spec.get("leaseDurationSeconds") or "") or None,
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the Lease, held by us. What the library would write is known here better."""
        del election_record
        body = {"metadata": {"name": name}, "spec": self._held(transitions=0)}
        return await self._write("POST", KIND.path(namespace), body)

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Renew the Lease, or take it from a holder that fell silent by a clock that never jumps."""
        del updated_record
        ours = self.holder == self.identity
        if self.holder and not ours and boot_clock() - self._unchanged_since < self._lease_seconds:
            return False
        spec = self._lease.get("spec") or {}
        held = self._held(transitions=int(spec.get("leaseTransitions") or 0) + (not ours))
        if ours:
            held["acquireTime"] = spec.get("acquireTime")
        body = {"metadata": self._lease["metadata"], "spec": held}
        return await self._write("PUT", KIND.path(namespace, name), body)

    async def release(self) -> bool:
        """Leave the Lease without a holder, if it still is ours."""
        found, _ = await self.get(self.name, self.namespace)
        if not found or self.holder != self.identity:
            return False
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        body = {"metadata": self._lease["metadata"], "spec": spec}
        try:
            await self._cluster.request("PUT", KIND.path(self.namespace, self.name), body)
        except BackendError as error:
            log.warning("lease not released", lease=LEASE, error=str(error))
            return False
        return True

    def _held(self, transitions: int) -> Object:
        now = _now()
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._lease_seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _note(self, lease: Object) -> None:
        if lease.get("spec") != self._lease.get("spec"):
            self._unchanged_since = boot_clock()
        self._lease = lease
        before, self.holder = self.holder, (lease.get("spec") or {}).get("holderIdentity") or ""
        if self.holder not in ("", self.identity, before):
            log.info("another operator leads", lease=LEASE, leader=self.holder)
        if self.holder != self.identity and self._fence.left() > 0:
            self._lost()

    async def _write(self, method: str, path: str, body: Object) -> bool:
        sent = boot_clock()
        try:
            lease = await self._cluster.request(method, path, body)
        except BackendError as error:
            log.warning("lease not written", lease=LEASE, error=str(error))
            return False
        self._fence.renew(sent)
        self._note(lease)
        return True


def _now() -> str:
    """The time as a Lease writes it: RFC 3339 with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
