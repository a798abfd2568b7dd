"""The jobs of staff: what each is called, asks for and needs to be allowed. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from guestpost_dashboard import calls
from guestpost_dashboard.backends.kinds import EXPORT, GRANT, TENANT, Kind
from guestpost_dashboard.calls import Call, Given, RefusedError


@dataclass(frozen=True)
class Tick:
    """A box to tick; `shown` says for which tenants."""

    name: str
    label: str
    shown: Callable[[Mapping[str, Any]], bool] = lambda tenant: True


@dataclass(frozen=True)
class Job:
    """One thing that staff can do with a tenant.

    Attributes:
        name: in addresses.
        title: on its button.
        does: what will happen.
        verb: what the API server has to allow.
        plan: the call that it comes to (RefusedError).
        kind: of the object that is made or changed.
        fields: names of the fields of that kind's form that are asked for.
        needed: those of them without which it can't be.
        ticks: boxes besides.
        many: whether it can be done with several tenants at once.
        grave: what has to be typed before.
        at_once: whether its button does it, without a page in between.
        group: where its button stands.
        concerns: keys of the tenant's spec that it overwrites.
    """

    name: str
    title: str
    does: str
    verb: Literal["create", "patch", "delete"]
    plan: Callable[[Mapping[str, Any], Given, dt.datetime], Call]
    kind: Kind = TENANT
    fields: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    ticks: tuple[Tick, ...] = ()
    many: bool = False
    grave: Callable[[Mapping[str, Any]], str] | None = None
    at_once: bool = False
    group: Literal["state", "customer", "release", "operator", "end"] = "state"
    concerns: tuple[str, ...] = ()

    def refusal(self, tenant: Mapping[str, Any], moment: dt.datetime) -> str:
        """Why it makes no sense with a tenant as it is, "" when it does."""
        try:
            typed = self.grave(tenant) if self.grave else ""
            ticks = frozenset(each.name for each in self.ticks)
            self.plan(tenant, Given(typed=typed, ticks=ticks, item="any"), moment)
        except RefusedError as error:
            return str(error)
        return ""


# Keys of a tenant's spec.
_STATE = ("state", "suspendReason")
_RELEASE = ("release",)
_DELETION = ("deletion",)

JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job(
            "suspend",
            "Suspend",
            "The CRM shows the reason instead of its pages; mail waits at Gmail and is fetched on resuming.",
            "patch",
            calls.suspend,
            fields=("spec.suspendReason",),
            needed=("spec.suspendReason",),
            many=True,
            concerns=_STATE,
        ),
        Job(
            "resume",
            "Resume",
            "Everything works again; mail that came meanwhile is fetched.",
            "patch",
            calls.resume,
            many=True,
            at_once=True,
            concerns=_STATE,
        ),
        Job(
            "hibernate",
            "Hibernate",
            "All pods stop; the data stay on their volume. Waking takes about a minute.",
            "patch",
            calls.hibernate,
            fields=("spec.suspendReason",),
            many=True,
            concerns=_STATE,
        ),
        Job(
            "export",
            "Export",
            "One archive is made of everything the tenant has. Only the owner can download it.",
            "create",
            calls.export,
            EXPORT,
            fields=("spec.retentionSeconds",),
            many=True,
            group="customer",
        ),
        Job(
            "support",
            "Request support access",
            "The owner reads this in the CRM and decides. Nobody gets in before, and it ends by itself.",
            "create",
            calls.support,
            GRANT,
            fields=("spec.subject", "spec.reason", "spec.level", "spec.durationSeconds"),
            needed=("spec.subject", "spec.reason"),
            group="customer",
        ),
        Job(
            "withdraw",
            "Withdraw",
            "The grant ends, or what was asked is taken back.",
            "delete",
            calls.withdraw,
            GRANT,
            group="customer",
        ),
        Job(
            "canary",
            "Take releases first",
            "Moves with the canaries of the next release, before all others.",
            "patch",
            calls.canary,
            many=True,
            at_once=True,
            group="release",
            concerns=_RELEASE,
        ),
        Job(
            "hold",
            "Hold at its version",
            "Stays at the version that runs now; a release that is under way passes it by.",
            "patch",
            calls.hold,
            many=True,
            at_once=True,
            group="release",
            concerns=_RELEASE,
        ),
        Job(
            "follow",
            "Follow releases",
            "Takes releases in its turn again, after the canaries.",
            "patch",
            calls.follow,
            many=True,
            at_once=True,
            group="release",
            concerns=_RELEASE,
        ),
        Job(
            "pin",
            "Go to a version",
            "Goes to that version at once, also back, without waiting for turn or window, and stays there.",
            "patch",
            calls.pin,
            fields=("spec.release.version",),
            needed=("spec.release.version",),
            many=True,
            group="release",
            concerns=_RELEASE,
        ),
        Job(
            "reconcile",
            "Look at it now",
            "The operator compares the tenant with what it should be at once.",
            "patch",
            calls.reconcile,
            many=True,
            at_once=True,
            group="operator",
        ),
        Job(
            "pause",
            "Keep the operator away",
            "The operator leaves the tenant as it is, whatever happens to it, until it is let back.",
            "patch",
            calls.pause,
            many=True,
            group="operator",
        ),
        Job(
            "unpause",
            "Let the operator back",
            "The operator works on the tenant again.",
            "patch",
            calls.unpause,
            many=True,
            at_once=True,
            group="operator",
        ),
        Job(
            "erase",
            "Request erasure",
            "After the grace period mail, database, keys, volumes, topic and subscription and the access to "
            "Google are erased. Until then it can be taken back.",
            "patch",
            calls.erase,
            fields=("spec.deletion.gracePeriodSeconds", "spec.deletion.finalExport"),
            ticks=(Tick("unprotect", "The tenant is no longer protected from deletion", calls.is_protected),),
            grave=calls.name_of,
            group="end",
            concerns=_DELETION,
        ),
        Job(
            "keep",
            "Take back the erasure",
            "The tenant stays.",
            "patch",
            calls.keep,
            ticks=(Tick("protect", "Protect it from deletion"),),
            many=True,
            group="end",
            concerns=_DELETION,
        ),
        Job(
            "abandon",
            "Give up the step that blocks",
            "What the step would remove is not looked for any more and may stay behind. The receipt lists it "
            "as not verified.",
            "patch",
            calls.abandon,
            fields=("spec.deletion.abandon[0].reason",),
            needed=("spec.deletion.abandon[0].reason",),
            grave=calls.blocked_by,
            group="end",
            concerns=_DELETION,
        ),
    )
}
