"""What pages that change something share: forms of kinds, what was posted, calls, what came of them."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.datastructures import FormData
from starlette.requests import Request

from guestpost_dashboard import forms, said
from guestpost_dashboard.backends.api import Api
from guestpost_dashboard.backends.errors import (
    ApiError,
    AwayError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
)
from guestpost_dashboard.backends.kinds import TENANT, Kind
from guestpost_dashboard.calls import Call, Given, RefusedError
from guestpost_dashboard.forms import Field
from guestpost_dashboard.jobs import Job
from guestpost_dashboard.pages import rendering
from guestpost_dashboard.pages.rights import may
from guestpost_dashboard.said import Placed
from guestpost_dashboard.seen import OvertakenError, Seen

# What a name of Kubernetes looks like; anything else would lead an address astray.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# The schema changes with the chart alone.
SECONDS = 300.0
# The operator writes statuses while it works, and each makes the version another one.
TRIES = 5


class Forms:
    """Forms of kinds as the API server describes them to whoever is signed in, at most `SECONDS` old."""

    def __init__(self) -> None:
        self._known: dict[Kind, tuple[float, Field]] = {}

    async def of(self, kind: Kind, api: Api) -> Field:
        """The form of a kind.

        Raises:
            ApiError: the API server did not say, or does not know the kind.
        """
        now = time.monotonic()
        found = self._known.get(kind)
        if found is None or now - found[0] > SECONDS:
            document = await api.document(f"/openapi/v3/apis/{kind.group}/{kind.version}")
            try:
                found = (now, forms.form_of(forms.schema_of(document, kind.name)))
            except LookupError as error:
                raise GoneError(404, "NotFound", str(error)) from None
            self._known[kind] = found
        return found[1]


async def form(request: Request, kind: Kind = TENANT) -> Field:
    """The form of a kind (ApiError)."""
    known: Forms = request.app.state.forms
    return await known.of(kind, rendering.api(request))


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Names, each once, without what can be none."""
    return tuple(dict.fromkeys(name for name in given if NAME.fullmatch(name)))


def texts(posted: FormData) -> dict[str, str]:
    """What was posted, by name; of a name that came twice, the last: a box comes after its hidden "false"."""
    return {name: value for name, value in posted.multi_items() if isinstance(value, str)}


async def perform(api: Api, call: Call, *, dry_run: bool = False) -> Mapping[str, Any]:
    """Make a call (ApiError)."""
    if call.verb == "create":
        return await api.create(call.kind, call.body, call.namespace, dry_run=dry_run)
    if call.verb == "delete":
        return await api.delete(call.kind, call.name, call.namespace, dry_run=dry_run)
    return await api.patch(call.kind, call.name, call.body, call.namespace, dry_run=dry_run)


async def once(api: Api, job: Job, name: str, given: Given, seen: Seen) -> Call:
    """Do a job with a tenant, unless it would overwrite what somebody else has written since it was seen.

    Raises:
        RefusedError: it makes no sense with the tenant as it is.
        OvertakenError: somebody was faster.
        ApiError: the API server said no, or another tenant has the name now.
    """
    for _ in range(TRIES):
        tenant = await api.get(TENANT, name)
        if seen.is_another(tenant):
            raise GoneError(404, "NotFound", another(name))
        call = job.plan(tenant, given, dt.datetime.now(dt.UTC))
        seen.require(tenant, call, job.concerns)
        try:
            await perform(api, call)
        except ConflictError:
            if call.verb != "patch":
                raise
        else:
            return call
    raise ConflictError(409, "Conflict", HURRIED)


HURRIED = "The tenant changes faster than this can be written. Try again in a moment."


def another(name: str) -> str:
    """What is said when a name has been given to another tenant."""
    return f"The tenant {name} that you looked at was erased; another one has its name now."


async def allowed(request: Request, job: Job, tenant: Mapping[str, Any]) -> bool:
    """Whether the person may do a job (ApiError)."""
    namespace = f"gpt-{tenant['metadata']['name']}" if job.kind.namespaced else ""
    return await may(request, job.verb, job.kind, namespace)


def placed(shape: Field, error: ApiError, wrong: Mapping[str, str] | None = None) -> Placed:
    """What the API server says, beside the fields of a form; the whole sentence where it names no field."""
    causes = [(each.field, each.message) for each in error.causes if each.message and each.field]
    if error.reason == "AlreadyExists":
        causes = [("metadata.name", "There is one of that name already; take another.")]
    return said.placed(shape, causes or [("", explained(error))], wrong)


def explained(error: ApiError) -> str:
    """Why something was not done, in a sentence for the person."""
    if isinstance(error, AwayError):
        return f"{error.message} What you typed is still here: try again in a moment."
    # An admission policy's own sentence comes last.
    return error.message.rpartition("denied request: ")[2]


Kindness = Literal["done", "skipped", "refused", "forbidden", "conflict", "gone", "away"]
_KINDS: Sequence[tuple[type[ApiError], Kindness]] = (
    (ForbiddenError, "forbidden"),
    (ConflictError, "conflict"),
    (GoneError, "gone"),
    (InvalidError, "refused"),
    (AwayError, "away"),
)
WORDS: Mapping[Kindness, str] = {
    "done": "Done",
    "skipped": "Nothing to do",
    "refused": "Refused",
    "forbidden": "Not allowed",
    "conflict": "Changed meanwhile",
    "gone": "Not there any more",
    "away": "No answer",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a job with one tenant."""

    name: str
    kind: Kindness
    why: str = ""

    @property
    def words(self) -> str:
        """The kind, for people."""
        return WORDS[self.kind]


def outcome(name: str, error: ApiError | RefusedError | OvertakenError | None) -> Outcome:
    """What came of a job: done, unless there is an error."""
    if error is None:
        return Outcome(name, "done")
    if isinstance(error, OvertakenError):
        return Outcome(name, "conflict", str(error))
    if isinstance(error, RefusedError):
        return Outcome(name, "skipped", str(error))
    kind: Kindness = next((kind for of, kind in _KINDS if isinstance(error, of)), "refused")
    why = "; ".join(f"{each.field}: {said.sentence(each.message)}" for each in error.causes if each.field)
    return Outcome(name, kind, why or error.message.rpartition("denied request: ")[2])


async def suggestions(request: Request, wanted: Iterable[str] = ()) -> dict[str, list[str]]:
    """What other tenants have in fields that have no list of values, by name of the field.

    Nothing for who may not list tenants: they are known from a watch that is not theirs.
    """
    try:
        if not await may(request, "list"):
            return {}
    except ApiError:
        # It is no reason to keep a form from who fills it in.
        return {}
    fleet = request.app.state.fleet
    found = {
        "spec.region": fleet.count("region"),
        "spec.googleProject": {row.project for row in fleet},
        "spec.release.version": fleet.count("version"),
    }
    return {
        name: sorted(filter(None, values))[:50]
        for name, values in found.items()
        if not wanted or name in wanted
    }
