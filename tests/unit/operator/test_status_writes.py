"""A status is what was found last, also where the answer to a write before got lost."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from guestpost_operator import status
from guestpost_operator.lifecycle.controller import Controller
from guestpost_operator.lifecycle.entry import Entry, status_of


class ApiServer:
    """Holds one tenant, in the place of a reporter."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.status, self.version = found, 1

    def body(self) -> dict[str, Any]:
        metadata = {"name": "acme", "uid": "u1", "resourceVersion": str(self.version)}
        return {"metadata": metadata, "status": self.status}

    async def write(
        self, body: dict[str, Any], changes: dict[str, Any], new: dict[str, Any]
    ) -> dict[str, Any]:
        self.status, self.version = status.merged(self.status, changes), self.version + 1
        return self.body()


def controller(server: ApiServer) -> Controller:
    parts = ("cluster", "provisioner", "inventory", "hostnames", "wishes", "hostname_of")
    return Controller(reporter=server, concurrency=1, resync=3600, **{part: Mock() for part in parts})


def of(ready: str, version: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": ready}], "app": {"version": version}}


async def test_more_than_was_written_is_looked_at_again() -> None:
    server = ApiServer(of("True", "1"))
    entry, keeper = Entry.of(server.body()), controller(server)
    # This one comes through, and nobody hears of it.
    await server.write({}, status.patch(server.status, of("False", "1")), {})
    # Ready again, as we took it to be all the time: the patch does not say so.
    assert not await keeper._write(entry, of("True", "2"), urgent=True)
    assert status_of(entry) == of("False", "2")
    assert await keeper._write(entry, of("True", "2"), urgent=True)
    assert server.status == of("True", "2")


@pytest.mark.parametrize("new", [of("True", "1"), of("False", "1"), of("True", "2")])
async def test_what_was_written_is_not_looked_at_again(new: dict[str, Any]) -> None:
    server = ApiServer(of("True", "1"))
    assert await controller(server)._write(Entry.of(server.body()), new, urgent=True)
    assert server.status == new
