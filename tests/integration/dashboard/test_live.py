"""What open pages are told: changed rows only, from one watch for all of them, and honest when it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from dashboard_world import Served, World, status
from guestpost_dashboard.backends import watch
from kubernetes import client

Enter = Callable[[str], Any]


class Stream:
    """An open page's stream of events."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.read()
        self._lines = answer.iter_lines()

    def next(self, *kinds: str) -> tuple[str, Any]:
        """The next event of one of these kinds."""
        kind = ""
        for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and (not kinds or kind in kinds):
                return kind, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream has ended")


@contextmanager
def listening(who: Any, address: str) -> Iterator[Stream]:
    with who.http.stream("GET", address, timeout=httpx.Timeout(30)) as answer:
        yield Stream(answer)


def test_a_page_begins_with_the_list_and_is_told_of_changed_rows_alone(
    person: Enter, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("told-of-a")
    tenant("told-of-b")
    with listening(person("viewer"), "/streams/fleet?q=told-of&sort=name") as stream:
        _, begun = stream.next("list")
        assert begun["order"] == ["told-of-a", "told-of-b"]
        api_server.says("told-of-b", status("told-of-b", "Degraded"))
        kind, rows = stream.next("rows", "list")
        assert (kind, list(rows)) == ("rows", ["told-of-b"])
        assert "Degraded" in rows["told-of-b"]


def test_who_comes_goes_or_moves_changes_the_list(
    person: Enter, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("comes-b")
    with listening(person("viewer"), "/streams/fleet?q=comes-&sort=-phase") as stream:
        assert stream.next("list")[1]["order"] == ["comes-b"]
        tenant("comes-a", "Suspended", state="Suspended", suspendReason="x")
        while (found := stream.next("list")[1])["order"] != ["comes-a", "comes-b"]:
            pass
        assert found["summary"].startswith("2 of ")
        api_server.says("comes-a", status("comes-a", "Degraded"))
        assert stream.next("list")[1]["order"] == ["comes-b", "comes-a"]
        api_server.delete("comes-b")
        _, found = stream.next("list")
        assert (found["order"], found["rows"]) == (["comes-a"], {})
        assert found["summary"].startswith("1 of ")


def test_a_page_of_a_tenant_is_told_that_it_changed_and_that_it_is_gone(
    person: Enter, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("one-alone")
    with listening(person("viewer"), "/streams/tenants/one-alone") as stream:
        api_server.says("one-alone", status("one-alone", "Degraded"))
        assert stream.next("changed", "gone") == ("changed", "one-alone")
        api_server.delete("one-alone")
        assert stream.next("gone") == ("gone", "one-alone")


def test_many_pages_cost_the_api_server_one_watch(
    person: Enter, api_server: World, dashboard: Served, tenant: Callable[..., str]
) -> None:
    viewer = person("viewer")
    with ExitStack() as stack:
        streams = [
            stack.enter_context(listening(viewer, f"/streams/fleet?sort=-age&page={number}"))
            for number in range(1, 31)
        ]
        for stream in streams:
            stream.next("list")
        assert api_server.watches() == 1
    assert dashboard.application.state.fleet.listed


def test_a_watch_that_breaks_is_said_and_mends_by_itself(
    person: Enter, api_server: World, mended: Any, monkeypatch: pytest.MonkeyPatch, tenant: Callable[..., str]
) -> None:
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0)
    monkeypatch.setattr(watch, "MAX_BACKOFF", 0.2)
    viewer = person("viewer")
    with listening(viewer, "/streams/fleet?q=meanwhile") as stream:
        stream.next("list")
        assert stream.next("health") == ("health", "")
        mended.cut = True
        # The open watch reads something, and breaks.
        api_server.says("beta", {**status("beta"), "revision": "r-cut"})
        assert stream.next("health") == ("health", "The watch of the tenants broke.")
        assert viewer.get("/tenants/acme").status_code == 503
        tenant("meanwhile")
        mended.cut = False
        # Back, and nothing was missed.
        kinds = {}
        while set(kinds) != {"list", "health"}:
            kind, said = stream.next("list", "health")
            if kind == "list" or said == "":
                kinds[kind] = said
        assert kinds["list"]["order"] == ["meanwhile"]
    assert viewer.get("/tenants/acme").status_code == 200


def test_a_person_whose_rights_are_taken_hears_no_more(
    person: Enter, api_server: World, dashboard: Served, tenant: Callable[..., str]
) -> None:
    rbac = client.RbacAuthorizationV1Api(api_server.api)
    api_server.account("leaver", "viewer")
    leaver = person("leaver")
    with listening(leaver, "/streams/fleet") as stream:
        stream.next("list")
        rbac.delete_cluster_role_binding("guestpost-viewer-leaver")
        # As if half a minute had passed: what was learnt is forgotten.
        dashboard.application.state.rights.forget()
        tenant("secret-launch")
        assert stream.next("forbidden", "rows") == ("forbidden", "")
    assert leaver.get("/").status_code == 403
