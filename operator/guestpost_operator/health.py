"""Liveness, readiness and metrics over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from guestpost_operator import metrics

BEAT_SECONDS = 5.0


class Health:
    """Serves /healthz and /readyz on one port, /metrics on another.

    Args:
        problem: says what is wrong with the process itself, "" when it is well. It must never ask
            anything outside: an API server that is away is no reason to restart.
        before_metrics: brings gauges up to date.
        standing_by: whether it is of use by waiting for another operator to end.
    """

    def __init__(
        self,
        problem: Callable[[], str],
        before_metrics: Callable[[], None],
        standing_by: Callable[[], bool] = lambda: False,
    ) -> None:
        self._problem = problem
        self._before_metrics = before_metrics
        self._standing_by = standing_by
        self._runners: list[web.AppRunner] = []
        self._beat: asyncio.Task[None] | None = None
        self.ready = False

    async def start(self, health_port: int, metrics_port: int) -> None:
        """Listen on all addresses; port 0 leaves one out."""
        self._beat = asyncio.create_task(self._keep_beating(), name="heartbeat")
        await self._serve(health_port, {"/healthz": self._healthz, "/readyz": self._readyz})
        await self._serve(metrics_port, {"/metrics": self._metrics})

    async def stop(self) -> None:
        """Stop to listen."""
        if self._beat is not None:
            self._beat.cancel()
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, port: int, routes: dict[str, Callable[[web.Request], web.StreamResponse]]) -> None:
        if not port:
            return
        application = web.Application()
        for path, answer in routes.items():
            application.router.add_get(path, _handler(answer))
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, port=port).start()

    async def _keep_beating(self) -> None:
        while True:
            metrics.HEARTBEAT.set(time.time())
            await asyncio.sleep(BEAT_SECONDS)

    def _healthz(self, request: web.Request) -> web.StreamResponse:
        del request
        problem = self._problem()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    def _readyz(self, request: web.Request) -> web.StreamResponse:
        del request
        if self.ready:
            return web.Response(text="ok")
        if self._standing_by():
            return web.Response(text="standing by")
        return web.Response(text="starting", status=503)

    def _metrics(self, request: web.Request) -> web.StreamResponse:
        del request
        self._before_metrics()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _handler(
    answer: Callable[[web.Request], web.StreamResponse],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    return handle
