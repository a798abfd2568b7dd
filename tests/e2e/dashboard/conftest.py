"""The dashboard in its pod on the real cluster, and people of each role at browsers before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import browsing
import pytest
import yaml
from guestpost_demo.platform import SYSTEM, Platform
from playwright.sync_api import Page
from staff_pages import As, Check, staff_at

ROLES = ("viewer", "provisioner", "support")
# Known to the cluster, and may nothing.
NOBODY = "nobody"
NAMESPACE = "desk"


def accounts() -> str:
    """An account for each role of the chart, and one without."""
    made: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for account in (*ROLES, NOBODY):
        metadata = {"name": account, "namespace": NAMESPACE}
        made.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    made += [binding(role, kind) for role in ROLES for kind in ("ClusterRole", "Role")]
    return yaml.safe_dump_all(made)


def binding(role: str, kind: str) -> dict[str, Any]:
    """An account's role, everywhere or in the operator's namespace."""
    rbac = "rbac.authorization.k8s.io"
    where = {"namespace": SYSTEM} if kind == "Role" else {}
    return {
        "apiVersion": f"{rbac}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": f"{NAMESPACE}-{role}", **where},
        "roleRef": {"apiGroup": rbac, "kind": kind, "name": f"guestpost-{role}"},
        "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": NAMESPACE}],
    }


@pytest.fixture(scope="session")
def token(platform: Platform) -> Callable[[str], str]:
    """A token of a role's account."""
    platform.kubectl("apply", "--server-side", "-f", "-", stdin=accounts())
    known: dict[str, str] = {}

    def of(account: str) -> str:
        if account not in known:
            known[account] = platform.kubectl("create", "token", account, "-n", NAMESPACE).strip()
        return known[account]

    return of


@pytest.fixture(scope="module")
def chromium(platform: Platform, chromium_there: None) -> Iterator[browsing.Visitors]:
    """Chromium, which finds the cluster's pages."""
    with browsing.patience(), browsing.chromium("*.localhost", platform.port) as browser:
        yield browsing.Visitors(browser)


@pytest.fixture
def signed_in(chromium: browsing.Visitors, platform: Platform, token: Callable[[str], str]) -> Iterator[As]:
    """Signs somebody of a role in."""
    with staff_at(chromium, platform.dashboard(), token) as open_page:
        yield open_page


@pytest.fixture
def is_fine(faults_everywhere: Callable[[Page], list[str]]) -> Check:
    """Nothing for axe-core to find and no scrolling sideways, from 360 px to 1,920 px, light and dark."""

    def check(page: Page) -> None:
        assert faults_everywhere(page) == []

    return check
