"""Erases a tenant in order, from outside the namespace that dies.

Level-based like provisioning: each step looks, removes what is left, and is done when it sees that nothing
is. 404 is success; a refusal or a timeout is not, and is tried again for ever. What is done is written into
the tenant's status before the next step begins, and all of it is looked for once more at the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from guestpost_operator.api.tenant import DeletionStatus, Found, Tenant
from guestpost_operator.backends.errors import BackendError, ConflictError
from guestpost_operator.lifecycle.erase_access import Access
from guestpost_operator.lifecycle.erase_stores import Stores
from guestpost_operator.lifecycle.memory import BlockedError, Memory, NotYetError
from guestpost_operator.render import UnsatisfiableError
from guestpost_operator.revision import RevisionError
from guestpost_operator.status import Step

log = structlog.get_logger()

# In this order; spec.deletion.abandon and the receipt name them so.
STEPS = (
    "FinalExport",
    "Application",
    "GoogleAccess",
    "Messaging",
    "Database",
    "Volumes",
    "Keys",
    "Namespace",
)


@dataclass(frozen=True)
class Progress:
    """How far an erasure is.

    Attributes:
        record: what the status says of it.
        step: the step it is at, "" when all are done and verified.
        waiting: what is waited for, when that is all.
        patient: it may be waited for long without anybody having to know.
        blocked: why the step cannot go on, if so.
        advanced: the record has something new, which is to be written down before going on.
    """

    record: DeletionStatus
    step: str = ""
    waiting: str = ""
    patient: bool = False
    blocked: Step | None = None
    advanced: bool = False

    @property
    def done(self) -> bool:
        """Whether everything is gone."""
        return not self.step


class Eraser:
    """Takes erasures one step further. Holds no state but what the tenant's status holds.

    Args:
        access: who gets in, and what is told to them: the steps before data are touched.
        stores: what is removed.
        now: RFC 3339.
    """

    def __init__(self, access: Access, stores: Stores, now: Callable[[], str]) -> None:
        self._stores = stores
        self._now = now
        self._steps: Mapping[str, Callable[[Tenant, Memory], Awaitable[dict[str, Any]]]] = {
            "FinalExport": access.final_export,
            "Application": access.application,
            "GoogleAccess": access.google,
            "Messaging": stores.messaging,
            "Database": stores.database,
            "Volumes": stores.volumes,
            "Keys": stores.keys,
            "Namespace": stores.namespace,
        }

    async def attempt(self, tenant: Tenant, memory: Memory, *, overdue: bool = False) -> Progress:
        """Go one step further.

        Args:
            tenant: as just read, status included.
            memory: of the tenant.
            overdue: what is waited for has been waited for so long that it may be given up.

        Returns:
            How far it is. Nothing is raised for what lies outside the process.
        """
        record = tenant.status.deletion
        held = _held(tenant)
        if held is not None:
            return Progress(record, step="Protection", blocked=held)
        if not record.started_at:
            return await self._begin(tenant)
        settled = {*record.completed, *record.abandoned}
        for name in STEPS:
            if name not in settled:
                return await self._step(name, tenant, memory, overdue=overdue)
        return await self._verify(tenant)

    async def _begin(self, tenant: Tenant) -> Progress:
        """Write down what is there, before anything of it is removed."""
        try:
            found = [Found(kind=kind, count=count) for kind, count in await self._stores.survey(tenant)]
            await self._stores.announce(tenant)
        except BackendError as error:
            return Progress(tenant.status.deletion, step=STEPS[0], blocked=_tried_again(error))
        record = tenant.status.deletion.model_copy(update={"started_at": self._now(), "found": found})
        return Progress(record, step=STEPS[0], advanced=True)

    async def _step(self, name: str, tenant: Tenant, memory: Memory, *, overdue: bool) -> Progress:
        record = tenant.status.deletion
        progress = await self._run(name, tenant, memory)
        if progress.advanced or name not in {each.step for each in tenant.spec.deletion.abandon}:
            return progress
        if not (progress.blocked or progress.patient or overdue):
            # It is under way: what can be done is not given up.
            return progress
        why = progress.blocked.message if progress.blocked else progress.waiting
        log.warning("erasure step given up", step=name, why=why)
        changes: dict[str, Any] = {"abandoned": [*record.abandoned, name]}
        if name == "GoogleAccess":
            # Nobody reads the mailboxes any more: others may connect them, whatever became of the consents.
            try:
                await self._stores.claims(tenant)
            except (BackendError, NotYetError) as error:
                return replace(progress, waiting=str(error))
        return Progress(record.model_copy(update=changes), step=name, advanced=True)

    async def _run(self, name: str, tenant: Tenant, memory: Memory) -> Progress:
        record = tenant.status.deletion
        with structlog.contextvars.bound_contextvars(step=name):
            try:
                changes = await self._steps[name](tenant, memory)
            except NotYetError as waiting:
                return Progress(record, step=name, waiting=str(waiting), patient=waiting.patient)
            except ConflictError as error:
                return Progress(record, step=name, waiting=str(error))
            except (BlockedError, UnsatisfiableError, RevisionError, BackendError) as error:
                return Progress(record, step=name, blocked=_blocked(error))
            changes |= {"completed": [*record.completed, name]}
            log.info("erasure step done")
            return Progress(record.model_copy(update=changes), step=name, advanced=True)

    async def _verify(self, tenant: Tenant) -> Progress:
        """Look for everything once more: what is there again is a step to be done again."""
        record = tenant.status.deletion
        try:
            there = await self._stores.left(tenant, but=record.abandoned)
        except BackendError as error:
            return Progress(record, step="Verification", blocked=_tried_again(error))
        again = [step for step in record.completed if step in there]
        if not again:
            return Progress(record)
        log.warning("erasure found again what it had removed", steps=again)
        completed = [step for step in record.completed if step not in again]
        return Progress(record.model_copy(update={"completed": completed}), step=again[0], advanced=True)


def _held(tenant: Tenant) -> Step | None:
    """What keeps the operator from erasing anything of a tenant."""
    if tenant.spec.deletion.protected:
        message = "spec.deletion.protected is true: nothing is erased. Set it to false to erase it."
        return _stalled("Protected", message)
    if tenant.paused:
        message = "the annotation guestpostcrm.com/paused keeps the operator away; remove it to go on"
        return _stalled("PausedByAnnotation", message)
    return None


def _blocked(error: Exception) -> Step:
    if isinstance(error, BackendError):
        return _tried_again(error)
    if isinstance(error, BlockedError):
        return error.step()
    return _stalled(getattr(error, "reason", "RevisionUnusable"), str(error))


def _stalled(reason: str, message: str) -> Step:
    return Step(done=False, reason=reason, message=message, stalled=True)


def _tried_again(error: BackendError) -> Step:
    return Step(done=False, reason=error.reason, message=f"{error}; it is tried again")
