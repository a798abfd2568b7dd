"""Operator and broker at work with just the rights that the chart gives their service accounts."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_broker.kubernetes import ApiKubernetes, Claim
from guestpost_operator.testing import PubSubStandin
from kubernetes.aio import client as aio
from kubernetes.aio import config as aio_config
from localkube import binaries

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0


def until(met: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@pytest.fixture
def operator(installed: Any, render: Any, tmp_path: Path) -> Iterator[None]:
    """The operator's Deployment, run here: its command, its configuration, its account; and Pub/Sub."""
    installed.kubectl(
        "apply", "--server-side", "-f", str(ROOT / "tests/integration/operator/cluster-crd.yaml")
    )
    objects = render(ROOT / "charts/guestpost-operator/ci/least-values.yaml")
    named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    config = yaml.safe_load(named["ConfigMap", "operator-config"]["data"]["config.yaml"])
    config["operator"] |= {"healthPort": 0, "metricsPort": 0}
    config["tenants"]["broker"]["caFile"] = str(tmp_path / "ca.crt")
    (tmp_path / "ca.crt").write_text("")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    binary = binaries.ensure("pubsub-standin")["pubsub-standin"]
    with (
        PubSubStandin(binary, tmp_path / "pubsub.log") as pubsub,
        (tmp_path / "operator.log").open("w") as log,
    ):
        command = installed.command(
            named["Deployment", "operator"]["spec"]["template"],
            GUESTPOST_CONFIG=str(tmp_path / "config.yaml"),
            PUBSUB_EMULATOR_HOST=pubsub.address,
            USER="operator",
        )
        process = subprocess.Popen(**command, stdout=log, stderr=subprocess.STDOUT)
        yield
        process.terminate()
        process.wait(30)


@pytest.mark.promise("P8.2")
@pytest.mark.usefixtures("operator")
def test_the_operator_provisions_and_erases_with_its_rights(installed: Any) -> None:
    installed.tenant("rights")

    def conditions() -> dict[str, Any]:
        found = json.loads(installed.kubectl("get", "gpt", "rights", "-o", "json"))
        return {each["type"]: each for each in found.get("status", {}).get("conditions", [])}

    def provisioned() -> bool:
        now = conditions()
        return all(
            now.get(kind, {}).get("status") == "True" for kind in ("NamespaceReady", "MessagingReady")
        ) and now["Ready"]["reason"] in ("DatabaseNotReady", "ApplicationNotReady")

    until(provisioned, lambda: json.dumps(conditions(), indent=1))
    kinds = (
        "resourcequota,limitrange,networkpolicy,serviceaccount,secret,configmap,deployment,service,ingress"
    )
    made = installed.kubectl("get", f"{kinds},clusters.postgresql.cnpg.io", "-n", "gpt-rights", "-o", "name")
    for name in (
        "deployment.apps/web",
        "deployment.apps/sync",
        "secret/crm-keys",
        "ingress.networking.k8s.io/web",
    ):
        assert name in made.split()
    assert "cluster.postgresql.cnpg.io/db" in made.split()
    installed.kubectl("delete", "gpt", "rights", "--timeout=60s")
    until(
        lambda: installed.run("kubectl", "get", "namespace", "gpt-rights").returncode != 0,
        lambda: "the namespace is still there",
    )


@pytest.fixture
def tenants_web(installed: Any) -> str:
    """A tenant's namespace with the account of its web."""
    name = "gpt-accounts-web"
    installed.tenant("accounts-web")
    installed.kubectl("create", "namespace", name)
    installed.kubectl("create", "serviceaccount", "web", "-n", name)
    return name


@pytest.mark.promise("P5.2")
async def test_the_broker_knows_tenants_and_claims_mailboxes_with_its_rights(
    installed: Any, tenants_web: str
) -> None:
    settings = aio.Configuration()
    await aio_config.load_kube_config(
        config_file=str(installed.kubeconfig_of("broker")), client_configuration=settings
    )
    async with aio.ApiClient(settings) as api:
        broker = ApiKubernetes(api)
        token = installed.token("web", tenants_web, audience="guestpost-broker")
        assert await broker.review(token) == f"system:serviceaccount:{tenants_web}:web"
        assert await broker.review(installed.token("web", tenants_web)) is None, "a token for something else"
        tenant = await broker.tenant("accounts-web")
        assert tenant is not None
        claim = Claim("mailbox-" + "ab" * 20, tenant.name, tenant.uid)
        assert await broker.create_claim(claim)
        assert not await broker.create_claim(Claim(claim.name, "other", tenant.uid))
        found = await broker.claim(claim.name)
        assert found is not None
        assert found.tenant_uid == tenant.uid
        await broker.delete_claim(found)
        assert await broker.claim(claim.name) is None
