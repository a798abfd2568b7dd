"""Pub/Sub or the CRM away while a tenant is erased: it waits, says for what, and ends the same."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from erasures import condition
from guestpost_operator.backends.kinds import JOB
from lifecycles import LIFECYCLES
from operator_stage import Stage, Subject
from reliability import Tally, today

TENANTS = 3


@pytest.mark.promise("P9.2")
@pytest.mark.parametrize("who", today(["Pub/Sub", "the CRM"]))
async def test_an_erasure_ends_the_same_with_somebody_away_meanwhile(
    stage: Stage, record_property: Any, who: str
) -> None:
    lifecycle, begin = LIFECYCLES["erase"], time.monotonic()
    wanted = (await stage.fault_free(lifecycle)).end
    subjects = await stage.prepare(lifecycle, TENANTS)
    away = {"Pub/Sub": messaging_away, "the CRM": crm_away}[who]
    tally = Tally(lifecycle.name, f"{who} away")
    playing = asyncio.create_task(stage.play(lifecycle, [(subject, ()) for subject in subjects]))
    await away(stage, subjects)
    problems = await playing
    for subject in subjects:
        problem = problems.get(subject.name) or await stage.differs(subject, wanted)
        tally.tried += 1
        if problem:
            tally.lost.append(problem)
    tally.seconds = time.monotonic() - begin
    record_property("reliability", str(tally))
    print(f"\n{tally}", *tally.lost, sep="\n  ")
    assert tally.lost == []


async def messaging_away(stage: Stage, subjects: list[Subject]) -> None:
    """Until every erasure has come as far as Pub/Sub, and says so."""
    stage.script.away = True
    for subject in subjects:
        blocked = await stage.tenants.wait(subject.name, "DeletionBlocked", "True", "Unavailable")
        assert "Pub/Sub" in condition(blocked, "DeletionBlocked")["message"]
    stage.script.away = False


async def crm_away(stage: Stage, subjects: list[Subject]) -> None:
    """Until every erasure waits for the Job that revokes the consents; then the CRM is there again."""
    healthy = stage.workloads.judge
    stage.workloads.judge = lambda obj, status: {"active": 1} if obj["kind"] == "Job" else status
    jobs = {}
    for subject in subjects:

        async def waits(subject: Subject = subject) -> Any:
            found = await stage.admin.find(JOB, subject.namespace)
            return next((each for each in found if each["metadata"]["name"].startswith("offboard-")), None)

        jobs[subject.name] = await stage.tenants.eventually(waits, "the Job offboard")
    stage.workloads.judge = healthy
    for subject in subjects:
        name = jobs[subject.name]["metadata"]["name"]
        path = JOB.path(subject.namespace, name) + "/status"
        # A sign of life, so that whoever plays the Jobs looks at it again.
        await stage.admin.request(
            "PATCH", path, {"status": {"active": None}}, content_type="application/merge-patch+json"
        )
