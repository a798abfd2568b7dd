"""Puts the operator together and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import kopf
import structlog

from guestpost_operator import render, revision
from guestpost_operator.api import names
from guestpost_operator.asked import Asked
from guestpost_operator.backends import election as elections
from guestpost_operator.backends.cluster import USER_AGENT, KubernetesCluster
from guestpost_operator.backends.election import Election
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.fence import Fence
from guestpost_operator.backends.kinds import ASKED, OWNED, TENANT
from guestpost_operator.backends.kms import CloudKms, KeyManagement
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.backends.watches import Watches
from guestpost_operator.handlers import framework, tenants
from guestpost_operator.health import Health
from guestpost_operator.inventory import Inventory
from guestpost_operator.lifecycle import reporter as reporting
from guestpost_operator.lifecycle.controller import Controller, Wishes, now
from guestpost_operator.lifecycle.erase import Eraser
from guestpost_operator.lifecycle.erase_access import Access
from guestpost_operator.lifecycle.erase_stores import Stores
from guestpost_operator.lifecycle.erasing import Erasure
from guestpost_operator.lifecycle.exports import Exports
from guestpost_operator.lifecycle.hostnames import Hostnames
from guestpost_operator.lifecycle.messaging import MessagingKeeper
from guestpost_operator.lifecycle.objects import Objects
from guestpost_operator.lifecycle.pausing import Pausing
from guestpost_operator.lifecycle.policies import Policies
from guestpost_operator.lifecycle.provision import Provisioner, Surroundings
from guestpost_operator.lifecycle.receipts import Receipts
from guestpost_operator.lifecycle.reporter import Reporter
from guestpost_operator.lifecycle.requests import Requests
from guestpost_operator.lifecycle.revisions import Revisions
from guestpost_operator.lifecycle.rollouts import Rollouts
from guestpost_operator.lifecycle.rotation import Rotation
from guestpost_operator.lifecycle.secrets import SecretKeeper
from guestpost_operator.lifecycle.support import Grants
from guestpost_operator.lifecycle.tenantkeys import TenantKeys
from guestpost_operator.revision import Object
from guestpost_operator.rotation import Policy
from guestpost_operator.settings import Config

log = structlog.get_logger()

# A watch that neither brings nor fails for so long hangs: bookmarks come every minute.
SILENT_SECONDS = 240.0
START_RETRY_SECONDS = 2.0


class StartError(Exception):
    """The operator cannot start; the message says what to do."""


class Operator:
    """All parts, wired. `run` returns when a signal asks for it.

    Args:
        config: what to do, and how.
        cluster: the Kubernetes API.
        messaging: Pub/Sub.
        kms: Google's KMS.
        fence: that of `cluster` and `messaging`, for kopf's writes.
        election: what has to be won before anything is done; None where nobody else can be at work.
    """

    def __init__(
        self,
        config: Config,
        cluster: KubernetesCluster,
        messaging: PubSub,
        *,
        kms: KeyManagement | None = None,
        fence: Fence | None = None,
        election: Election | None = None,
    ) -> None:
        settings = config.operator
        kms = kms or CloudKms(timeout=settings.request_timeout_seconds, fence=fence)
        self._config = config
        self._fence = fence or Fence.open()
        self._election = election
        self._cluster = cluster
        self._messaging = messaging
        self._inventory = Inventory()
        self._revisions = Revisions(cluster, revision.current(config), settings.namespace)
        reporter = Reporter(cluster, instance=_instance())
        hostnames = Hostnames()
        self._asked = Asked()
        exports = Exports(cluster, self._asked, now=lambda: datetime.now(UTC))
        grants = Grants(cluster, self._asked, self._inventory, now=lambda: datetime.now(UTC))
        requests = Requests(cluster, self._asked, now=lambda: datetime.now(UTC))
        self._pausing = Pausing(cluster, settings.namespace)
        self._rollouts = Rollouts(
            self._revisions,
            config.rollout,
            self._pausing,
            bodies=self._bodies,
            look=self._look,
            now=lambda: datetime.now(UTC),
        )
        surroundings = Surroundings(
            config=config,
            hostname_owner=hostnames.owner,
            turn=self._rollouts.turn,
            broker_ca=functools.partial(_read, config.tenants.broker.ca_file),
            exports=exports.wanted,
            shells=grants.wanted,
            clock=time.monotonic,
        )
        policy = Policy(
            every=timedelta(days=settings.rotate_keys_days),
            overlap=timedelta(seconds=settings.key_overlap_seconds),
        )
        keys = TenantKeys(kms, config)
        rotation = Rotation(cluster, self._inventory, keys, policy, now=lambda: datetime.now(UTC))
        provisioner = Provisioner(
            cluster=cluster,
            inventory=self._inventory,
            objects=Objects(cluster, self._inventory),
            secrets=SecretKeeper(cluster, self._inventory, keys, rotation, now=lambda: datetime.now(UTC)),
            keys=keys,
            rotation=rotation,
            messaging=MessagingKeeper(messaging),
            revisions=self._revisions,
            surroundings=surroundings,
        )
        self._controller = Controller(
            cluster=cluster,
            provisioner=provisioner,
            reporter=reporter,
            inventory=self._inventory,
            hostnames=hostnames,
            wishes=Wishes(exports, grants, requests),
            # A tenant is not writing all the time: twice as many at work keep the writers busy.
            concurrency=settings.concurrency * 2,
            resync=settings.resync_seconds,
            # One rule for all, whatever revision each is pinned to: they claim names from each other.
            hostname_of=lambda tenant: render.hostname(tenant, self._revisions.current),
        )
        stores = Stores(cluster, messaging, kms)
        access = Access(
            cluster=cluster,
            inventory=self._inventory,
            provisioner=provisioner,
            exports=exports,
            requests=requests,
            stores=stores,
        )
        self._erasure = Erasure(
            controller=self._controller,
            eraser=Eraser(access, stores, now),
            requests=requests,
            receipts=Receipts(cluster, settings.namespace),
            reporter=reporter,
            cluster=cluster,
        )
        self._watches = (
            Watches(cluster, OWNED, self._inventory, self._controller.look, names.OWNED_SELECTOR),
            Watches(cluster, ASKED, self._asked, self._controller.look_into),
        )
        self._policies = Policies(cluster, settings.admission_policies)
        self._health = Health(
            self._problem,
            before_metrics=lambda: reporting.count(self._controller.bodies()),
            standing_by=lambda: election is not None and election.standing_by,
        )

    async def run(self) -> None:
        """Start, then serve until SIGTERM or SIGINT.

        Raises:
            StartError: when the cluster lacks our API, or a port is taken.
        """
        try:
            await self.start()
            await self.serve()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Begin to work, in order: be the only one, know everything, then act. kopf is not needed for it.

        Raises:
            StartError: when the cluster lacks our API, or a port is taken.
        """
        settings = self._config.operator
        try:
            await self._health.start(settings.health_port, settings.metrics_port)
        except OSError as error:
            raise StartError(f"cannot listen for health and metrics: {error}") from error
        if self._election is not None:
            await self._election.won()
        await self._prepare()
        for watches in self._watches:
            watches.start()
        for watches in self._watches:
            await watches.synced()
        # All tenants before the first pass: who was first to ask for a host name must be known.
        # Page by page, for the whole list is needed by nobody.
        async for body in self._cluster.pages(TENANT):
            self._controller.saw(body)
        self._rollouts.start()
        self._controller.start()
        self._policies.start()
        # What exists by now lives as long as the process: collecting need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self._health.ready = True
        log.info(
            "operator started", revision=self._revisions.current.id, strategy=self._config.rollout.strategy
        )

    async def stop(self) -> None:
        """Stop to work. What was under way is done again by the next start."""
        self._health.ready = False
        await self._policies.stop()
        await self._rollouts.stop()
        await self._controller.stop()
        for watches in self._watches:
            await watches.stop()
        if self._election is not None:
            await self._election.release()
        await self._health.stop()

    async def _prepare(self) -> None:
        """Check that our API is there, keep the current revision, and learn whether people have paused.

        It takes as long as the API server is away.
        """
        while True:
            try:
                await self._cluster.request("GET", TENANT.path(), query={"limit": "1"})
                await self._revisions.store()
                await self._pausing.read()
            except NotFoundError as error:
                raise StartError(
                    f"the CRDs of {names.GROUP} are not installed: install the chart's CRDs"
                ) from error
            except BackendError as error:
                log.warning("cannot start yet", reason=error.reason, error=str(error))
                await asyncio.sleep(START_RETRY_SECONDS)
            else:
                return

    async def serve(self, stop: threading.Event | None = None) -> None:
        """Let kopf watch tenants until a signal, or `stop`, asks to end."""
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        framework.configure(settings)
        kopf.on.login(registry=registry)(framework.login(self._fence))
        tenants.register(registry, self._controller, self._erasure)
        await kopf.operator(
            registry=registry, settings=settings, clusterwide=True, standalone=True, stop_flag=stop
        )

    def _bodies(self) -> Iterable[Object]:
        return self._controller.bodies()

    def _look(self, uid: str) -> None:
        self._controller.look(uid)

    def _problem(self) -> str:
        silence = max(watches.silence() for watches in self._watches)
        return f"a watch has been silent for {silence:.0f} s" if silence > SILENT_SECONDS else ""


def _read(path: str) -> str:
    """Text of a file, "" when there is none: read each time, for mounted files are replaced."""
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except OSError as error:
        log.warning("CA file not read", path=path, error=str(error))
        return ""


async def run(config: Config) -> None:
    """Run the operator until it is told to stop, or ends because another one leads.

    Raises:
        StartError: when it cannot start.
    """
    settings = config.operator
    concurrency, timeout = settings.concurrency, settings.request_timeout_seconds
    fence = elections.fence(settings.lease_seconds)
    # The lease has a client of its own, so that nothing holds its renewal up.
    alone = await KubernetesCluster.connect(
        concurrency=2,
        timeout=settings.lease_seconds * elections.CALL_PART,
        agent=f"{USER_AGENT}/leader-election",
    )
    cluster = await KubernetesCluster.connect(concurrency=concurrency, timeout=timeout, fence=fence)
    messaging = PubSub(concurrency=concurrency, timeout=timeout, fence=fence)
    kms = CloudKms(timeout=timeout, fence=fence)
    election = Election(
        alone,
        namespace=settings.namespace,
        # A pod's name lives on when its container is started again, and this must be one process.
        identity=f"{_instance()}_{uuid4().hex[:8]}",
        lease_seconds=settings.lease_seconds,
        fence=fence,
        lost=_end,
    )
    _cancel_on_sigterm()
    try:
        await Operator(config, cluster, messaging, kms=kms, fence=fence, election=election).run()
    except asyncio.CancelledError:
        log.info("stopped before kopf ran")
    finally:
        await messaging.close()
        kms.close()
        await cluster.close()
        await alone.close()


def _instance() -> str:
    return os.environ.get("POD_NAME") or socket.gethostname()


def _cancel_on_sigterm() -> None:
    """End in order also while waiting for the lease or starting; later kopf takes care of signals."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _end() -> None:
    """End this process at once: another one may be at work by now."""
    logging.shutdown()
    os._exit(1)
