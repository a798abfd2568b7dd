"""The operator dies before and after all that it writes to KMS: one key is made, and it ends destroyed."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from crashing import Point, Recorded, points
from erasures import receipt, removed
from google_standin.testing import GoogleStandin
from guestpost_operator import application
from guestpost_operator.backends.kms import CloudKms
from operator_fixtures import Running, configuration

KMS = {"kind": "KMS", "keyRing": "crm", "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}
# On a tenant's last day; the others on its first.
LAST = "DestroyCryptoKeyVersion kms"
WRITES = {"CreateCryptoKey kms", "SetIamPolicy kms", LAST}
# Seconds for all that a tenant goes through under one operator.
PATIENCE = 60


class WatchedKms(CloudKms):
    """The real client, whose calls are watched."""

    def __init__(self, calls: Recorded, **options: Any) -> None:
        super().__init__(**options)
        self._calls = calls

    async def _call(self, method: str, call: Any) -> Any:
        writes = not method.startswith(("Get", "List", "Encrypt"))
        return await self._calls.made(
            f"{method} kms", writes, lambda: super(WatchedKms, self)._call(method, call)
        )


async def life(tenants: Any, admin: Any, kms: CloudKms) -> dict[str, Any]:
    """A tenant from its first day to its last: what was there, and what is left."""
    made = await tenants.create()
    name = made["metadata"]["name"]
    key = (await tenants.wait(name, "Ready"))["status"]["keys"]["kmsKey"]
    there, policy = await kms.live_versions(key), await kms.get_policy(key)
    await tenants.delete(name)
    await tenants.wait_gone(name)
    return {
        "there": len(there),
        "readers": sum(map(len, policy.values())),
        "left": await kms.live_versions(key),
        "told": removed(await receipt(admin, made))["CryptoKeyVersion"],
    }


async def run(
    tenants: Any, admin: Any, kms: CloudKms, points: Sequence[Point], patch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], list[Recorded]]:
    """What came of a tenant whose operators die at these points, one after the other."""
    config, runs, each = configuration(tenants__keys=KMS), [], []
    ending = asyncio.create_task(life(tenants, admin, kms))
    try:
        for point in (*points, None):
            each.append(Recorded({}, point))
            patch.setattr(application, "CloudKms", functools.partial(WatchedKms, each[-1]))
            runs.append(Running(config, each[-1]))
            await asyncio.to_thread(runs[-1].start)
            dying = asyncio.create_task(asyncio.to_thread(each[-1].dead.wait, PATIENCE))
            await asyncio.wait((ending, dying), return_when=asyncio.FIRST_COMPLETED)
            if not each[-1].dead.is_set():
                break
            await asyncio.to_thread(runs[-1].stop)
        return await ending, each
    finally:
        ending.cancel()
        each[-1].dead.set()
        for running in runs:
            await asyncio.to_thread(running.stop)


@pytest.mark.promise("P9.2")
async def test_one_key_is_made_and_destroyed_wherever_the_operator_dies(
    world: Any, hurried: None, tenants: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GoogleStandin(pubsub=False) as google:
        monkeypatch.setenv("KMS_EMULATOR_HOST", google.url.removeprefix("http://"))
        kms = CloudKms(timeout=5)
        fault_free, [recorded] = await run(tenants, admin, kms, (), monkeypatch)
        assert fault_free == {"there": 1, "readers": 3, "left": [], "told": 1}
        mine = [each for each in points(recorded.writes) if each.what.endswith(" kms")]
        assert {each.what for each in mine} == WRITES
        lost, tried = [], 0
        for deaths in lives(mine):
            found, written = await run(tenants, admin, kms, deaths, monkeypatch)
            for point, of in zip(deaths, written, strict=False):
                assert of.writes[point.what] >= point.nth, f"{point} was not reached"
                tried += 1
            if found != fault_free:
                lost.append((list(map(str, deaths)), found))
        kms.close()
    print(f"\nkms: survived {tried - len(lost)} of {tried} crashes")
    assert lost == []
    assert tried == len(mine)


def lives(mine: Sequence[Point]) -> list[list[Point]]:
    """A death on the first day, and one on the last: what the first left was looked at between them."""
    last = [each for each in mine if each.what == LAST]
    first = [each for each in mine if each.what != LAST]
    return [[each for each in both if each is not None] for both in itertools.zip_longest(first, last)]
