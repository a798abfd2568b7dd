"""Sign-in through the issuer that the API server trusts: it knows people by the token that they got there."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from dashboard_world import Served, World
from guestpost_dashboard.settings import Oidc
from issuer_standin import IssuerStandin, Somebody
from kubernetes import client
from localkube.process import free_port


@pytest.fixture(scope="module")
def served(api_server: World, issuer: IssuerStandin) -> Iterator[Served]:
    """A dashboard whose people sign in at the issuer; members of `staff` are viewers."""
    rbac = client.RbacAuthorizationV1Api(api_server.api)
    rbac.create_cluster_role_binding({
        "metadata": {"name": "oidc-staff"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "guestpost-viewer",
        },
        "subjects": [{"kind": "Group", "name": "oidc:staff", "apiGroup": "rbac.authorization.k8s.io"}],
    })  # fmt: skip
    port = free_port()
    oidc = Oidc(
        issuer=issuer.url, client_id=issuer.client_id, client_secret="", scopes="openid email groups",
        ca_file=str(issuer.ca_file), username_claim="email", username_prefix="oidc:", groups_claim="groups",
        groups_prefix="oidc:",
    )  # fmt: skip
    served = Served(api_server.settings(f"http://127.0.0.1:{port}", port=port, oidc=oidc))
    served.start()
    yield served
    served.stop()
    rbac.delete_cluster_role_binding("oidc-staff")


def browser(served: Served, issuer: IssuerStandin) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(issuer.ca_file))
    return httpx.Client(base_url=served.url, verify=trust, trust_env=False, timeout=30, follow_redirects=True)


def enter(http: httpx.Client, address: str = "/") -> httpx.Response:
    """Follow the one link of the page; the API server may still be reading the issuer's keys."""
    deadline = time.monotonic() + 60
    while True:
        page = http.get(address)
        if page.url.path != "/sign-in":
            return page
        assert "/sign-in/begin?next=" in page.text
        page = http.get("/sign-in/begin", params={"next": address})
        if page.url.path != "/sign-in" or time.monotonic() > deadline:
            return page
        time.sleep(1)


def test_somebody_of_the_staff_signs_in_and_is_known_by_their_own_name(
    served: Served, issuer: IssuerStandin, audit_log: Path
) -> None:
    issuer.somebody = Somebody()
    with browser(served, issuer) as http:
        page = enter(http, "/tenants/acme")
        assert (page.status_code, page.url.path) == (200, "/tenants/acme"), page.text
        assert "oidc:sam@example.com" in page.text
    lines = [json.loads(line) for line in audit_log.read_text(encoding="utf-8").splitlines()]
    assert any(
        each["user"]["username"] == "oidc:sam@example.com" and each["objectRef"].get("name") == "acme"
        for each in lines
    )


def test_who_is_of_no_group_of_the_staff_is_let_in_and_sees_nothing(
    served: Served, issuer: IssuerStandin
) -> None:
    issuer.somebody = Somebody("eve@example.com", ("guests",))
    with browser(served, issuer) as http:
        page = enter(http)
        assert page.status_code == 403
        assert "oidc:eve@example.com may not list GuestPostTenants" in page.text


def test_a_session_ends_with_the_id_token_and_one_goes_on_where_one_was(
    served: Served, issuer: IssuerStandin
) -> None:
    issuer.somebody = Somebody(seconds=6)
    with browser(served, issuer) as http:
        assert enter(http, "/?q=acme").status_code == 200
        deadline = time.monotonic() + 30
        while (page := http.get("/?q=acme")).url.path != "/sign-in":
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert "Your sign-in has ended" in page.text
        issuer.somebody = Somebody()
        page = enter(http, "/?q=acme")
        assert (page.status_code, str(page.url)) == (200, f"{served.url}/?q=acme")
