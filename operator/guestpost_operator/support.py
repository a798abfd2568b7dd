"""Which SupportGrants let somebody in, and what their status says. Pure.

See docs/decisions/support-access.md. What is decided here is the second lock: the first is the API server,
which lets nobody but the tenant's own web write an approval.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guestpost_operator.api import grant as api
from guestpost_operator.api.conditions import condition, follow
from guestpost_operator.api.grant import Approval, Grant
from guestpost_operator.revision import Object
from guestpost_operator.status import Step

ACTIVE, SHELL_READY = "Active", "ShellReady"
# Of what belongs to a Shell.
PREFIX = "support-"
# On the tenant's namespace, where an admission policy looks who may open a terminal: PREFIX/job: user name.
ANNOTATION = "shell.guestpostcrm.com"


@dataclass(frozen=True)
class Shell:
    """A terminal that is there for one person.

    Attributes:
        job: name of the Job; its pod's name begins with it.
        grant: uid of the SupportGrant.
        subject: user name of the person.
        seconds: the most that its pod may live.
        expires_at: when it ends, RFC 3339.
    """

    job: str
    grant: str
    subject: str
    seconds: int
    expires_at: str


@dataclass(frozen=True)
class Place:
    """What a grant depends on in its tenant.

    Attributes:
        tenant_uid: of the tenant; a signature for another one is worth nothing.
        key: what the approvals of this tenant's web are checked with, None when there is none.
        rests: the tenant has no database to look at now.
    """

    tenant_uid: str
    key: Ed25519PublicKey | None
    rests: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is to become of one grant.

    Attributes:
        phase: as it should be.
        reason, message: of the condition Active.
        shell: what is rendered for it, None when nothing is.
        waits: why there is no Shell although one is approved, "" when nothing is missing.
        ends: when it has to be looked at again.
    """

    grant: Grant
    phase: str
    reason: str
    message: str = ""
    shell: Shell | None = None
    waits: str = ""
    ends: dt.datetime | None = None


def decide(grants: Iterable[Grant], place: Place, now: dt.datetime) -> list[Verdict]:
    """Decide about all grants of a tenant; those that are being deleted let nobody in."""
    return [_decide(grant, place, now) for grant in grants if not grant.deleting]


def _decide(grant: Grant, place: Place, now: dt.datetime) -> Verdict:
    approval = grant.status.approval
    if approval is None:
        message = "the customer decides about it in the CRM, under Support"
        return Verdict(grant, "Requested", "NotDecided", message)
    over = _over(grant, approval, place, now)
    if over is not None:
        phase, reason, message = over
        return Verdict(grant, phase, reason, message)
    shell, waits = None, ""
    message = f"{grant.spec.subject} may look at the CRM"
    if approval.level == api.SHELL:
        message += " and open a terminal"
        shell, waits = (None, "the tenant hibernates") if place.rests else (_shell(grant, approval), "")
    ends = moment(approval.expires_at)
    return Verdict(grant, "Active", "Approved", message, shell=shell, waits=waits, ends=ends)


def _over(grant: Grant, approval: Approval, place: Place, now: dt.datetime) -> tuple[str, str, str] | None:
    """Phase, reason and message of a grant that lets nobody in any more, or never did."""
    if approval.decision != api.APPROVED:
        return "Denied", "Denied", "the customer said no"
    if not signed(grant, approval, place):
        message = (
            "the approval does not bear the signature of this tenant's web: somebody else wrote it, or the "
            "tenant's keys were replaced meanwhile. Nobody is let in; ask again with another SupportGrant"
        )
        return "Refused", "NotSigned", message
    if grant.status.revoked_at:
        return "Revoked", "Revoked", "the customer has ended it"
    if moment(approval.expires_at) <= now:
        return "Expired", "Expired", "its time is over"
    return None


def still(grant: Grant, now: dt.datetime) -> Shell | None:
    """The Shell that was written down for a grant, unless it has ended since."""
    approval = grant.status.approval
    if approval is None or not grant.status.shell.job or grant.status.revoked_at or grant.deleting:
        return None
    return _shell(grant, approval) if moment(approval.expires_at) > now else None


def _shell(grant: Grant, approval: Approval) -> Shell:
    length = moment(approval.expires_at) - moment(approval.decided_at)
    return Shell(
        job=grant.job,
        grant=grant.uid,
        subject=grant.spec.subject,
        seconds=max(1, int(length.total_seconds())),
        expires_at=approval.expires_at,
    )


def signed(grant: Grant, approval: Approval, place: Place) -> bool:
    """Whether the tenant's own web has signed just this approval of just this grant."""
    if place.key is None:
        return False
    try:
        signature = base64.b64decode(approval.signature, validate=True)
        place.key.verify(signature, statement(place.tenant_uid, grant.uid, approval))
    except (InvalidSignature, ValueError):
        return False
    return True


def statement(tenant_uid: str, grant_uid: str, approval: Approval) -> bytes:
    """What is signed. The CRM has the same words (support/signing.py); a test holds them together."""
    lines = ("guestpost support approval", tenant_uid, grant_uid, approval.level, approval.expires_at)
    return "\n".join(lines).encode()


def status(verdict: Verdict, ready: Step | None, now: str) -> Object:
    """What the operator has to write into a grant's status, empty when it says so already.

    Args:
        verdict: the decision.
        ready: how far its Shell is; None without one.
        now: RFC 3339, for conditions whose status changed.
    """
    grant = verdict.grant
    new: Object = {}
    if verdict.phase != grant.status.phase:
        new["phase"] = verdict.phase
    job = verdict.shell.job if verdict.shell else ""
    if job != grant.status.shell.job:
        new["shell"] = {"job": job} if job else None
    wanted = [condition(ACTIVE, verdict.phase == "Active", verdict.reason, verdict.message)]
    if verdict.waits:
        wanted.append(condition(SHELL_READY, status=False, reason="Waiting", message=verdict.waits))
    elif ready is not None:
        wanted.append(condition(SHELL_READY, ready.done, ready.reason, ready.message))
    conditions = follow(grant.status.conditions, wanted, grant.generation, now)
    if conditions != grant.status.conditions:
        new["conditions"] = [each.model_dump(by_alias=True) for each in conditions]
    return new


def marks(shells: Iterable[Shell]) -> dict[str, str]:
    """What the tenant's namespace says about who may open a terminal."""
    return {f"{ANNOTATION}/{shell.job}": shell.subject for shell in shells}


def problems(failed: Mapping[str, Step]) -> dict[str, Step]:
    """Problems by Job, from those by object's name: everything of a Shell is named after its Job."""
    return {name: step for name, step in failed.items() if name.startswith(PREFIX)}


def how(grant: Grant) -> str:
    """How the terminal is opened."""
    return f"kubectl exec -it -n {grant.namespace} job/{grant.job} -c recorder -- guestpost-crm support-shell"


def moment(text: str) -> dt.datetime:
    """A time of the API."""
    return dt.datetime.fromisoformat(text)
