"""The operator dies before and after all that it writes to KMS: one key is made, and it ends destroyed."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from crashing import Point, Recorded, points
from erasures import receipt, removed
from google_standin.testing import GoogleStandin
from guestpost_operator import application
from guestpost_operator.backends.kms import CloudKms
from operator_fixtures import Running, configuration

KMS = {"kind": "KMS", "keyRing": "crm", "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}
WRITES = {"CreateCryptoKey kms", "SetIamPolicy kms", "DestroyCryptoKeyVersion kms"}


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
    tenants: Any, admin: Any, kms: CloudKms, point: Point | None, patch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], Recorded]:
    """What came of a tenant whose first operator dies at a point."""
    recorded, config = Recorded({}, point), configuration(tenants__keys=KMS)
    patch.setattr(application, "CloudKms", functools.partial(WatchedKms, recorded))
    runs = [Running(config, recorded)]
    await asyncio.to_thread(runs[0].start)
    try:
        ending = asyncio.create_task(life(tenants, admin, kms))
        dying = asyncio.create_task(asyncio.to_thread(recorded.dead.wait, 60))
        await asyncio.wait((ending, dying), return_when=asyncio.FIRST_COMPLETED)
        if recorded.dead.is_set():
            await asyncio.to_thread(runs[0].stop)
            patch.setattr(application, "CloudKms", CloudKms)
            runs.append(Running(config))
            await asyncio.to_thread(runs[1].start)
        found = await ending
        recorded.dead.set()
        await dying
        return found, recorded
    finally:
        for each in runs:
            await asyncio.to_thread(each.stop)


@pytest.mark.promise("P9.2")
async def test_one_key_is_made_and_destroyed_wherever_the_operator_dies(
    world: Any, hurried: None, tenants: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GoogleStandin(pubsub=False) as google:
        monkeypatch.setenv("KMS_EMULATOR_HOST", google.url.removeprefix("http://"))
        kms = CloudKms(timeout=5)
        fault_free, recorded = await run(tenants, admin, kms, None, monkeypatch)
        assert fault_free == {"there": 1, "readers": 3, "left": [], "told": 1}
        mine = [each for each in points(recorded.writes) if each.what.endswith(" kms")]
        assert {each.what for each in mine} == WRITES
        lost, tried = [], 0
        for point in mine:
            found, written = await run(tenants, admin, kms, point, monkeypatch)
            assert written.writes[point.what] >= point.nth, f"{point} was not reached"
            tried += 1
            if found != fault_free:
                lost.append((str(point), found))
        kms.close()
    print(f"\nkms: survived {tried - len(lost)} of {tried} crashes")
    assert lost == []
