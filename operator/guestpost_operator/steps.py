"""How far each part is on the way to the state that is asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from guestpost_operator.api.tenant import Tenant
from guestpost_operator.inventory import Key, Observed
from guestpost_operator.readiness import HIBERNATED, HIBERNATING, STOPPED, UNRECOVERABLE
from guestpost_operator.states import DATABASE, SYNC, WEB, Wanted, paused
from guestpost_operator.status import Step, done


def database(tenant: Tenant, observed: Mapping[Key, Observed]) -> Step:
    """How far the database is on the way to the state."""
    found = observed.get(DATABASE)
    step = ready(found)
    if tenant.spec.state != "Hibernated" or step.stalled:
        return step
    if found is not None and found.readiness == HIBERNATED:
        return done("Hibernated")
    if found is not None and found.readiness == HIBERNATING:
        return step
    message = (
        "waiting for the app to rest first" if step.done else f"hibernation needs it healthy: {step.message}"
    )
    return Step(done=False, reason="WaitsToHibernate", message=message)


def application(tenant: Tenant, observed: Mapping[Key, Observed], now: Wanted) -> Step:
    """How far web, sync and Gmail's notifications are on the way to the state."""
    if now.waits_for:
        return Step(done=False, reason="Waking", message=f"waiting for {now.waits_for} first")
    steps = [_running(observed.get(key), runs=runs) for key, runs in ((WEB, now.web), (SYNC, now.sync))]
    rests = tenant.spec.state == "Hibernated" and not now.database
    if tenant.spec.state != "Running" and not rests and not paused(observed):
        message = "Gmail's notifications are still to be stopped; see the logs of Job pause"
        steps.append(Step(done=False, reason="NotificationsNotStopped", message=message))
    return next((step for step in steps if not step.done), done(tenant.spec.state))


def _running(observed: Observed | None, *, runs: bool) -> Step:
    """How far a part of the app is; one that rests as asked before is not one that runs."""
    if runs and observed is not None and observed.readiness == STOPPED:
        return Step(done=False, reason="Waking", message="the app rests still, and is woken")
    return ready(observed)


def ready(observed: Observed | None) -> Step:
    """How far a workload is, as the watches tell it."""
    if observed is None:
        return Step(done=False, reason="Missing", message="not made yet")
    state = observed.readiness
    return Step(
        done=state.ready,
        reason=state.reason,
        message=state.message,
        stalled=state.reason == UNRECOVERABLE,
    )
