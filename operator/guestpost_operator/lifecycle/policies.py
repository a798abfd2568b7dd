"""Whether the API server still refuses what the chart's admission policies are to refuse.

It can't keep an administrator from removing them (docs/threat-model.md), so a metric tells of it, which the
chart alerts on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from guestpost_operator import metrics
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.backends.kinds import ADMISSION_BINDING, ADMISSION_POLICY
from guestpost_operator.revision import Object

log = structlog.get_logger()

EVERY_SECONDS = 30.0


class Policies:
    """Looks from time to time.

    Args:
        cluster: where they are.
        wanted: their names, as the chart has made them.
    """

    def __init__(self, cluster: Cluster, wanted: Sequence[str]) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now and from time to time, in a task of the running loop; not where there are to be none."""
        if self._wanted:
            self._task = asyncio.create_task(self._keep(), name="policies")

    async def stop(self) -> None:
        """End looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> list[str]:
        """Names of those that refuse nothing (BackendError when that is not seen)."""
        policies, bindings = [
            await self._cluster.find(kind) for kind in (ADMISSION_POLICY, ADMISSION_BINDING)
        ]
        found = idle(self._wanted, policies, bindings)
        metrics.POLICIES_IDLE.set(len(found))
        return found

    async def _keep(self) -> None:
        before: list[str] = []
        while True:
            try:
                found = await self.look()
            except BackendError as error:
                # What was seen last is told on.
                log.warning("admission policies not looked at", error=str(error))
            else:
                if found and found != before:
                    log.error("admission policies refuse nothing", names=found)
                before = found
            await asyncio.sleep(EVERY_SECONDS)


def idle(wanted: Iterable[str], policies: Iterable[Object], bindings: Iterable[Object]) -> list[str]:
    """Names of policies that refuse nothing: absent, without a rule, bound nowhere, or bound to warn only.

    Whether their rules are still the chart's is not compared.
    """
    ruled = {
        each["metadata"]["name"]
        for each in policies
        if each["spec"].get("validations") and each["spec"].get("failurePolicy", "Fail") == "Fail"
    }
    bound = {
        each["spec"]["policyName"]
        for each in bindings
        if "Deny" in each["spec"].get("validationActions", ()) and not each["spec"].get("matchResources")
    }
    return sorted(set(wanted) - (ruled & bound))
