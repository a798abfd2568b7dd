"""kopf as it is set up, and how long the operator waits."""

from __future__ import annotations

import kopf
import pytest
from guestpost_operator.api import names
from guestpost_operator.handlers import framework, tenants
from guestpost_operator.lifecycle.controller import FIRST_BACKOFF, MAX_BACKOFF, backoff


@pytest.fixture
def configured() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    framework.configure(settings)
    return settings


def test_kopf_writes_nothing_but_its_finalizer(configured: kopf.OperatorSettings) -> None:
    assert configured.persistence.finalizer == names.FINALIZER
    assert not configured.posting.enabled
    storage = configured.persistence.diffbase_storage
    body = kopf.Body({"metadata": {"name": "acme"}, "spec": {"plan": "Starter"}})
    patch = kopf.Patch()
    storage.store(body=body, patch=patch, essence=storage.build(body=body))
    assert not patch
    assert storage.fetch(body=body) == storage.build(body=body), "nothing ever differs"


def test_kopf_notes_no_progress_which_could_hit_another_tenant_of_that_name(
    configured: kopf.OperatorSettings,
) -> None:
    left = {"guestpostcrm.com/erase": '{"retries": 3}', "guestpostcrm.com/touch-dummy": "now"}
    body = kopf.Body({"metadata": {"name": "acme", "annotations": left}})
    patch, storage = kopf.Patch(), configured.persistence.progress_storage
    key = kopf.HandlerId("erase")
    storage.store(key=key, record=kopf.ProgressRecord(), body=body, patch=patch)
    storage.purge(key=key, body=body, patch=patch)
    storage.touch(body=body, patch=patch, value=None)
    assert not patch
    assert storage.fetch(key=key, body=body) is None


def test_a_silent_watch_is_given_up(configured: kopf.OperatorSettings) -> None:
    watching = configured.watching
    assert watching.server_timeout < watching.client_timeout
    assert watching.inactivity_timeout < watching.server_timeout
    assert configured.queueing.worker_limit is None
    assert configured.queueing.idle_timeout < 1


def test_erasure_is_tried_for_ever_and_filtered_by_nothing() -> None:
    registry = kopf.OperatorRegistry()
    tenants.register(registry, None, None)  # type: ignore[arg-type]  # not called
    (erase,) = registry._changing._handlers
    assert (erase.reason, erase.timeout, erase.retries) == (kopf.Reason.DELETE, None, None)
    assert erase.errors is kopf.ErrorsMode.TEMPORARY
    assert not any((erase.when, erase.labels, erase.annotations))
    assert erase.requires_finalizer
    (seen,) = registry._watching._handlers
    assert not any((seen.when, seen.labels, seen.annotations))


@pytest.mark.parametrize("failures", [1, 3, 10, 1000])
def test_waiting_doubles_within_bounds(failures: int) -> None:
    ceiling = min(FIRST_BACKOFF * 2.0 ** min(failures, 20), MAX_BACKOFF)
    waits = [backoff(failures) for _ in range(200)]
    assert ceiling / 2 <= min(waits) <= max(waits) <= ceiling
    assert len(set(waits)) > 100, "not all at once"
