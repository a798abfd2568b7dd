"""Puts the operator together and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import kopf
import structlog

from guestpost_operator import render, revision
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.kinds import OWNED, TENANT
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.backends.watches import Watches
from guestpost_operator.handlers import framework, tenants
from guestpost_operator.health import Health
from guestpost_operator.inventory import Inventory
from guestpost_operator.lifecycle import reporter as reporting
from guestpost_operator.lifecycle.controller import Controller
from guestpost_operator.lifecycle.erase import Eraser
from guestpost_operator.lifecycle.erasing import Erasure
from guestpost_operator.lifecycle.hostnames import Hostnames
from guestpost_operator.lifecycle.messaging import MessagingKeeper
from guestpost_operator.lifecycle.objects import Objects
from guestpost_operator.lifecycle.provision import Provisioner, Surroundings
from guestpost_operator.lifecycle.reporter import Reporter
from guestpost_operator.lifecycle.revisions import Revisions
from guestpost_operator.lifecycle.secrets import SecretKeeper
from guestpost_operator.settings import Config

log = structlog.get_logger()

# A watch that neither brings nor fails for so long hangs: bookmarks come every minute.
SILENT_SECONDS = 240.0
START_RETRY_SECONDS = 2.0


class StartError(Exception):
    """The operator cannot start; the message says what to do."""


class Operator:
    """All parts, wired. `run` returns when a signal asks for it."""

    def __init__(self, config: Config, cluster: KubernetesCluster, messaging: PubSub) -> None:
        settings = config.operator
        self._config = config
        self._cluster = cluster
        self._messaging = messaging
        self._inventory = Inventory()
        self._revisions = Revisions(cluster, revision.current(config), settings.namespace, config.rollout)
        reporter = Reporter(cluster, instance=os.environ.get("POD_NAME") or socket.gethostname())
        hostnames = Hostnames()
        surroundings = Surroundings(
            config=config,
            hostname_owner=hostnames.owner,
            broker_ca=functools.partial(_read, config.tenants.broker.ca_file),
            clock=time.monotonic,
        )
        provisioner = Provisioner(
            cluster=cluster,
            inventory=self._inventory,
            objects=Objects(cluster, self._inventory),
            secrets=SecretKeeper(cluster, self._inventory, now=lambda: datetime.now(UTC)),
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
            # A tenant is not writing all the time: twice as many at work keep the writers busy.
            concurrency=settings.concurrency * 2,
            resync=settings.resync_seconds,
            # One rule for all, whatever revision each is pinned to: they claim names from each other.
            hostname_of=lambda tenant: render.hostname(tenant, self._revisions.current),
        )
        self._erasure = Erasure(
            controller=self._controller, eraser=Eraser(cluster, messaging), reporter=reporter, cluster=cluster
        )
        self._watches = Watches(cluster, OWNED, self._inventory, self._controller.look)
        self._health = Health(self._problem, lambda: reporting.count(self._controller.bodies()))

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
        """Begin to work, in order: know everything first, then act. kopf is not needed for it.

        Raises:
            StartError: when the cluster lacks our API, or a port is taken.
        """
        settings = self._config.operator
        try:
            await self._health.start(settings.health_port, settings.metrics_port)
        except OSError as error:
            raise StartError(f"cannot listen for health and metrics: {error}") from error
        await self._prepare()
        self._watches.start()
        await self._watches.synced()
        # All tenants before the first pass: who was first to ask for a host name must be known.
        for body in await self._cluster.find(TENANT):
            self._controller.saw(body)
        self._controller.start()
        # What exists by now lives as long as the process: collecting need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self._health.ready = True
        log.info("operator started", revision=self._revisions.current.id, rollout=self._config.rollout)

    async def stop(self) -> None:
        """Stop to work. What was under way is done again by the next start."""
        self._health.ready = False
        await self._controller.stop()
        await self._watches.stop()
        await self._health.stop()

    async def _prepare(self) -> None:
        """Check that our API is there and keep the current revision, however long the API server is away."""
        while True:
            try:
                await self._cluster.request("GET", TENANT.path(), query={"limit": "1"})
                await self._revisions.store()
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
        kopf.on.login(registry=registry)(framework.login)
        tenants.register(registry, self._controller, self._erasure)
        await kopf.operator(
            registry=registry, settings=settings, clusterwide=True, standalone=True, stop_flag=stop
        )

    def _problem(self) -> str:
        silence = self._watches.silence()
        return f"a watch has been silent for {silence:.0f} s" if silence > SILENT_SECONDS else ""


def _read(path: str) -> str:
    """Text of a file, "" when there is none: read each time, for mounted files are replaced."""
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except OSError as error:
        log.warning("CA file not read", path=path, error=str(error))
        return ""


async def run(config: Config) -> None:
    """Run the operator until it is told to stop.

    Raises:
        StartError: when it cannot start.
    """
    settings = config.operator
    cluster = await KubernetesCluster.connect(
        concurrency=settings.concurrency, timeout=settings.request_timeout_seconds
    )
    messaging = PubSub(concurrency=settings.concurrency, timeout=settings.request_timeout_seconds)
    try:
        await Operator(config, cluster, messaging).run()
    finally:
        await messaging.close()
        await cluster.close()
