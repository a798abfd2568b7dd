"""What the operator makes on a real cluster, and that nothing is left of it."""

from __future__ import annotations

import subprocess
import uuid
from typing import Any

import pytest
from google_standin.testing import Control
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until


@pytest.mark.promise("P8.2")
def test_pods_run_restricted_and_without_rights(platform: Platform, tenant: Any) -> None:
    namespace = tenant.status["namespace"]["name"]
    labels = platform.get("namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for account in ("web", "sync"):
        user = f"system:serviceaccount:{namespace}:{account}"
        for verb, what in (
            ("get", "secrets"),
            ("list", "pods"),
            ("create", "pods/exec"),
            ("get", "guestposttenants"),
        ):
            with pytest.raises(RuntimeError):
                platform.kubectl("auth", "can-i", verb, what, "-n", namespace, f"--as={user}")


@pytest.mark.promise("P5.1")
def test_what_is_deleted_by_hand_comes_back(platform: Platform, tenant: Any) -> None:
    namespace = tenant.status["namespace"]["name"]
    before = platform.get("service", "web", "-n", namespace)["metadata"]["uid"]
    platform.kubectl("-n", namespace, "delete", "service", "web")
    until(
        "the service",
        lambda: platform.kubectl("-n", namespace, "get", "service", "web", "--ignore-not-found"),
        seconds=30,
    )
    assert platform.get("service", "web", "-n", namespace)["metadata"]["uid"] != before


@pytest.mark.promise("P8.2")
def test_no_admin_opens_the_network_of_a_tenant(platform: Platform, tenant: Any) -> None:
    namespace = tenant.status["namespace"]["name"]
    policies = [item["metadata"]["name"] for item in platform.get("networkpolicy", "-n", namespace)["items"]]
    with pytest.raises(RuntimeError, match="nobody makes, changes or opens networkpolicies"):
        platform.kubectl("-n", namespace, "delete", "networkpolicy", policies[0])


def test_deleting_a_tenant_leaves_nothing(platform: Platform, control: Control) -> None:
    name = f"d{uuid.uuid4().hex[:8]}"
    spec = {
        "owner": {"name": "Dora", "email": f"dora@{name}.example"},
        "region": "europe-west1",
        "googleProject": "guestpost-dev",
    }
    kind = {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant"}
    platform.apply_tenant({**kind, "metadata": {"name": name}, "spec": spec})
    platform.tenant_ready(name)
    platform.kubectl("delete", "guestposttenant", name, "--timeout=180s")
    assert not platform.kubectl("get", "namespace", f"gpt-{name}", "--ignore-not-found")
    volumes = platform.get("persistentvolume")["items"]
    assert not [item for item in volumes if item["spec"]["claimRef"]["namespace"] == f"gpt-{name}"]


def test_helm_test_passes(release: Any, tenant: Any) -> None:
    assert "self-test passed" in release.test()


def test_uninstalling_is_refused_while_tenants_exist(platform: Platform, tenant: Any) -> None:
    refused = subprocess.run(
        [platform.kubectl_path, "delete", "crd", "guestposttenants.guestpostcrm.com"],
        env={"KUBECONFIG": str(platform.kubeconfig), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert platform.get("guestposttenant", tenant.name)["metadata"]["name"] == tenant.name
