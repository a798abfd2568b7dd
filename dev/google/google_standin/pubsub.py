"""Starts the Pub/Sub stand-in for a test or a benchmark, and makes Google's clients for it."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType
from typing import Any, Self

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport


class PubSub:
    """A running Pub/Sub stand-in on a free port of 127.0.0.1, as a context manager.

    Args:
        binary: the program; by default it is built, or taken from the cache.

    Attributes:
        host: `127.0.0.1:<port>`, as PUBSUB_EMULATOR_HOST wants it.
    """

    def __init__(self, binary: str | None = None) -> None:
        self._binary = binary
        self.host = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        binary = self._binary or _built()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", binary, "-listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ},
        )
        if self._process.stderr is None:
            raise RuntimeError("pubsub-standin has no standard error")
        line = self._process.stderr.readline()
        self.host = line.strip().rpartition(" ")[2]
        if not self.host.startswith("127.0.0.1:"):
            raise RuntimeError(f"pubsub-standin did not start: {line}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; may be called twice."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None

    def publisher(self) -> Any:
        """A PublisherClient that talks to it, whatever the environment says."""
        transport = PublisherGrpcTransport(channel=grpc.insecure_channel(self.host))
        return pubsub_v1.PublisherClient(transport=transport)

    def subscriber(self) -> Any:
        """A SubscriberClient that talks to it, whatever the environment says."""
        transport = SubscriberGrpcTransport(channel=grpc.insecure_channel(self.host))
        return pubsub_v1.SubscriberClient(transport=transport)


def _built() -> str:
    from localkube import binaries

    return str(binaries.ensure("pubsub-standin")["pubsub-standin"])
