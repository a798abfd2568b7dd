"""Where the cluster does not know the issuer, the chart's rights let the dashboard act as those it names.

The issuer is a pod of this cluster, which knows several people; the dashboard is the release, upgraded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browsing
import issuer_standin
import pytest
import yaml
from guestpost_demo.platform import SYSTEM, Platform
from guestpost_demo.waiting import until
from localkube import pki
from localkube.process import free_port
from playwright.sync_api import Browser, Page, expect
from staff_pages import fill

NAMESPACE = "issuer"
HOST = f"issuer.{NAMESPACE}.svc"
# The issuer tells of all groups that somebody is in; the chart's values name two of them.
PEOPLE = {
    "vera@example.com": ["everybody", "lookers", "vpn, and (more)"],
    "omar@example.com": ["everybody", "makers"],
    "eve@example.com": ["everybody", "makers"],
}
SETTINGS = (
    "dashboard.identity=impersonation",
    f"dashboard.oidc.issuer=https://{HOST}",
    f"dashboard.oidc.clientId={issuer_standin.CLIENT_ID}",
    "dashboard.oidc.scopes=openid email groups",
    "dashboard.oidc.caConfigMap=issuer-ca",
    "dashboard.oidc.usernamePrefix=issuer:",
    "dashboard.oidc.groupsPrefix=issuer:",
    "dashboard.impersonation.users={issuer:vera@example.com,issuer:omar@example.com}",
    "dashboard.impersonation.groups={issuer:lookers,issuer:makers}",
    "staff.viewers={issuer:lookers}",
    "staff.provisioners={issuer:makers,system:serviceaccounts:staff}",
)


def manifests(image: str, authority: pki.Authority) -> str:
    """The issuer's pod, which runs the dashboard's image; its certificate; trust for the dashboard."""
    certificate, key = authority.issue("issuer", "issuer", alternatives=[f"DNS:{HOST}"])
    metadata = {"name": "issuer", "namespace": NAMESPACE, "labels": {"app": "issuer"}}
    program = Path(issuer_standin.__file__).read_text(encoding="utf-8")
    files = {
        "issuer_standin.py": program, "tls.crt": certificate.read_text(), "tls.key": key.read_text(),
    }  # fmt: skip
    container = {
        "name": "issuer", "image": image, "imagePullPolicy": "Never",
        "command": [
            "python", "/issuer/issuer_standin.py", "--url", f"https://{HOST}",
            "--certificate", "/issuer/tls.crt", "--key", "/issuer/tls.key", "--people", json.dumps(PEOPLE),
        ],
        "ports": [{"containerPort": 8443}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [{"name": "files", "mountPath": "/issuer", "readOnly": True}],
    }  # fmt: skip
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files},
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "issuer-ca", "namespace": SYSTEM},
            "data": {"ca.crt": authority.certificate.read_text()},
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": {"app": "issuer"}, "ports": [{"port": 443, "targetPort": 8443}]},
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {"app": "issuer"}},
                "template": {
                    "metadata": {"labels": {"app": "issuer"}},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "containers": [container],
                        "volumes": [{"name": "files", "secret": {"secretName": "issuer"}}],
                    },
                },
            },
        },
    ]  # fmt: skip
    return yaml.safe_dump_all(made)


@contextmanager
def forwarded(platform: Platform, port: int) -> Iterator[None]:
    """The issuer at a port of 127.0.0.1, for browsers."""
    command = [str(platform.kubectl_path), "port-forward", "-n", NAMESPACE, "service/issuer", f"{port}:443"]
    environment = {**os.environ, "KUBECONFIG": str(platform.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "Forwarding from" in process.stdout.readline()
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def chromium(
    platform: Platform, release: Any, chromium_there: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Chromium, which finds the dashboard and the issuer; people sign in there as long as it is open."""
    authority = pki.Authority(tmp_path_factory.mktemp("issuer"))
    text = manifests(platform.images["dashboard"], authority)
    platform.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    platform.kubectl("rollout", "status", "deployment/issuer", "-n", NAMESPACE, "--timeout=120s")
    port = free_port()
    try:
        with (
            release.having(*SETTINGS),
            browsing.patience(),
            forwarded(platform, port),
            browsing.chromium("*.localhost", platform.port, **{HOST: port}) as browser,
        ):
            yield browser
    finally:
        platform.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        platform.kubectl("delete", "configmap", "issuer-ca", "-n", SYSTEM)


def signed_in(chromium: Browser, platform: Platform, who: str) -> Page:
    """Somebody comes to the dashboard by way of the issuer."""
    # The issuer's certificate is the test's own; the pod checks it.
    context = chromium.new_context(
        base_url=platform.dashboard(),
        locale="en",
        ignore_https_errors=True,
        viewport={"width": 1280, "height": 900},
    )
    context.set_default_timeout(15_000)
    page = context.new_page()

    def there() -> bool:
        # The pod of before may still answer; it asks for a token.
        page.goto("/sign-in")
        return page.get_by_role("link", name="Go on").is_visible()

    until("the dashboard of the issuer's people", there, seconds=30)
    page.get_by_role("link", name="Go on").click()
    page.get_by_role("link", name=who).click()
    return page


def test_a_viewer_by_impersonation_sees_and_changes_nothing(
    chromium: Browser, platform: Platform, tenant: Any
) -> None:
    page = signed_in(chromium, platform, "vera@example.com")
    expect(page.locator(f"#t-{tenant.name}")).to_be_visible()
    page.goto(f"/tenants/{tenant.name}")
    expect(page.get_by_role("main")).to_contain_text("DatabaseReady: True")
    expect(page.get_by_role("region", name="Table of services")).to_be_visible()
    expect(page.get_by_text("You may look at this tenant, and change nothing of it.")).to_be_visible()
    answer = page.goto(f"/tenants/{tenant.name}/do/suspend")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("main")).to_contain_text('User "issuer:vera@example.com" cannot patch resource')


def test_a_provisioner_by_impersonation_changes_a_tenant_under_their_own_name(
    chromium: Browser, platform: Platform, tenant: Any
) -> None:
    page = signed_in(chromium, platform, "omar@example.com")
    page.goto(f"/tenants/{tenant.name}")
    page.get_by_role("button", name="Look at it now").click()
    expect(page.locator("#notices")).to_contain_text("Look at it now")
    notes = platform.get("guestposttenant", tenant.name)["metadata"]["annotations"]
    assert "guestpostcrm.com/reconcile-requested-at" in notes
    # The form comes from the API server's own description, and is checked by it.
    fill(page, "made-by-omar", project="guestpost-dev")
    page.get_by_label("Hostname").fill("https://crm.acme.example/")
    expect(page.locator("#wrong-spec-hostname")).to_contain_text("must be a full DNS name in lower case")


@pytest.mark.promise("P6.1")
def test_whom_the_chart_does_not_name_nobody_acts_as(chromium: Browser, platform: Platform) -> None:
    page = signed_in(chromium, platform, "eve@example.com")
    expect(page.locator("#problem")).to_contain_text("knows you as issuer:eve@example.com")
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in"))
    # Whoever takes over the dashboard becomes nobody else either, say the rights that the chart gave it.
    account = f"--as=system:serviceaccount:{SYSTEM}:dashboard"
    may = ("auth", "can-i", "impersonate")
    assert platform.kubectl(*may, "users/issuer:vera@example.com", account).strip() == "yes"
    for what in ("users/issuer:eve@example.com", "groups/system:masters", "serviceaccounts", "uids"):
        with pytest.raises(RuntimeError):
            platform.kubectl(*may, what, account)
