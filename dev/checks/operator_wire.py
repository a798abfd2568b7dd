"""The wire between an operator and what is outside: a `Script` says what becomes of each call.

A relay for the Kubernetes API and one for Pub/Sub, both on 127.0.0.1 and in threads of their own. As they
stand outside the program, they serve an operator in the test's process as well as one of its own, and kopf's
calls as well as ours; and a fault is what the network would bring: an answer, silence, a broken connection.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import aiohttp
import grpc
import yaml
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config
from operator_script import Fate, Script, api_call, messaging_call
from yarl import URL

# A call that is not answered is given up by the client long before.
SILENCE_SECONDS = 8.0
# What a watch misses, and what it is late by, at most.
MISSED_SECONDS, LATE_SECONDS = 0.7, 0.4
REPEATED = 3
OURS = "guestpost-operator"
FORWARDED = ("Accept", "Content-Type", "User-Agent")
ANSWERS = {
    Fate.CONFLICT: (409, "Conflict"),
    Fate.BUSY: (429, "TooManyRequests"),
    Fate.BROKEN: (500, "InternalError"),
}
CODES = {
    Fate.CONFLICT: grpc.StatusCode.ABORTED,
    Fate.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Fate.BROKEN: grpc.StatusCode.INTERNAL,
}
EXPIRED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired",'
    b'"message":"too old resource version (injected)","code":410}}\n'
)


class Wire:
    """Both relays, as a context manager.

    Args:
        kubeconfig: of the real API server, for an admin.
        messaging: address of the real Pub/Sub stand-in.
        folder: for the kubeconfig that leads here.
        seed: of what is random about late watch events.

    Attributes:
        script: says what becomes of each call.
        kubeconfig: leads here.
        messaging: address of the relay for Pub/Sub.
    """

    def __init__(self, kubeconfig: Path, messaging: str, folder: Path, seed: int = 0) -> None:
        self.script = Script()
        self.kubeconfig = folder / "wire"
        self.messaging = ""
        self._real, self._real_messaging = kubeconfig, messaging
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._ready = threading.Event()
        self._done = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="wire", daemon=True)
        self._relay = grpc.server(ThreadPoolExecutor(32))

    def __enter__(self) -> Self:
        channel = grpc.insecure_channel(self._real_messaging)
        self._relay.add_generic_rpc_handlers((_Messaging(self.script, channel),))
        self.messaging = f"127.0.0.1:{self._relay.add_insecure_port('127.0.0.1:0')}"
        self._relay.start()
        self._thread.start()
        if not self._ready.wait(20):
            raise TimeoutError("the relay of the Kubernetes API does not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(20)
        self._relay.stop(0).wait(20)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        real = Configuration()
        await load_kube_config(config_file=str(self._real), client_configuration=real)
        trust = ssl.create_default_context(cafile=real.ssl_ca_cert)
        trust.load_cert_chain(real.cert_file, real.key_file)
        connector = aiohttp.TCPConnector(limit=0, ssl=trust)
        # Watches last as long as they last; a call is given up by whoever made it.
        forever = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._host = real.host
        async with aiohttp.ClientSession(
            connector=connector, timeout=forever, read_bufsize=2**20
        ) as self._session:
            server = web.Server(self._serve, handler_cancellation=True, access_log=None)
            runner = web.ServerRunner(server, shutdown_timeout=0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            [(host, port)] = runner.addresses
            self._tell(f"http://{host}:{port}")
            self._ready.set()
            await self._done.wait()
            await runner.cleanup()

    def _tell(self, server: str) -> None:
        """Write the kubeconfig that leads here."""
        document: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "wire",
            "clusters": [{"name": "wire", "cluster": {"server": server}}],
            "users": [{"name": "wire", "user": {}}],
            "contexts": [{"name": "wire", "context": {"cluster": "wire", "user": "wire"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        watches = "watch" in request.query
        ours = request.headers.get("User-Agent", "").startswith(OURS)
        call = api_call(request.method, request.path, watches=watches, ours=ours, body=body)
        fate = self.script.meet(call)
        if fate in (Fate.CUT, Fate.DIE_BEFORE):
            return _cut(request)
        if fate in ANSWERS:
            return _refuse(*ANSWERS[fate])
        try:
            if watches:
                return await self._watch(request)
            answer = await self._forward(request, body)
        except aiohttp.ClientError:
            # The API server has ended.
            return _cut(request)
        if fate is Fate.SILENT:
            await asyncio.sleep(SILENCE_SECONDS)
        if fate is Fate.DIE_AFTER:
            self.script.die()
        cut = fate is not Fate.PASS or self.script.dead.is_set()
        return _cut(request) if cut else answer

    def _url(self, request: web.BaseRequest) -> URL:
        return URL(self._host + request.path_qs, encoded=True)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        async with self._session.request(
            request.method, self._url(request), data=body or None, headers=headers
        ) as answer:
            kept = {
                name: answer.headers[name]
                for name in ("Content-Type", "Retry-After")
                if name in answer.headers
            }
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        async with self._session.get(self._url(request), headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = "application/json"
            await response.prepare(request)
            async for line in self._tampered(answer.content):
                if self.script.dead.is_set():
                    return _cut(request)
                await response.write(line)
            await response.write_eof()
            return response

    async def _tampered(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """The lines of a watch, as far as they get through.

        What is dropped is what a watch misses whose place the API server has forgotten: some time later it is
        told so (410 Gone) and ends. What is repeated is what it hears again after it has taken up an earlier
        place: the last few events in their order.
        """
        recent: deque[bytes] = deque(maxlen=REPEATED)
        async for line in content:
            mode = self.script.watching
            if not mode or b'"type":"BOOKMARK"' in line:
                yield line
            elif mode == "dropped":
                await asyncio.sleep(MISSED_SECONDS)
                yield EXPIRED
                return
            elif mode == "delayed":
                await asyncio.sleep(self._random.uniform(0, LATE_SECONDS))
                yield line
            else:
                recent.append(line)
                yield line
                for each in recent:
                    yield each


class _Messaging(grpc.GenericRpcHandler):
    """Passes calls on to the real Pub/Sub as they are."""

    def __init__(self, script: Script, channel: Any) -> None:
        self._script, self._channel = script, channel

    def service(self, details: Any) -> Any:
        about = dict(details.invocation_metadata).get("x-goog-request-params", "")
        resource = unquote(about.partition("=")[2])
        return grpc.unary_unary_rpc_method_handler(
            lambda body, context: self._pass(details.method, resource, body, context)
        )

    def _pass(self, method: str, resource: str, body: bytes, context: Any) -> Any:
        fate = self._script.meet(messaging_call(method.rpartition("/")[2], resource))
        if fate in (Fate.CUT, Fate.DIE_BEFORE):
            context.abort(grpc.StatusCode.UNAVAILABLE, "injected: the connection broke")
        if fate in CODES:
            context.abort(CODES[fate], "injected")
        try:
            answer = self._channel.unary_unary(method)(body, timeout=10)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if fate is Fate.SILENT:
            time.sleep(min(SILENCE_SECONDS, context.time_remaining() or SILENCE_SECONDS))
        if fate is Fate.DIE_AFTER:
            self._script.die()
        if fate is not Fate.PASS or self._script.dead.is_set():
            context.abort(grpc.StatusCode.UNAVAILABLE, "injected: the connection broke")
        return answer


def _cut(request: web.BaseRequest) -> web.Response:
    """Break the connection; what is given back goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refuse(code: int, reason: str) -> web.Response:
    """The answer of an API server that refuses."""
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": "injected",
    }
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response({**said, "code": code}, status=code, headers=headers)
