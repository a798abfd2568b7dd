"""A TenantExport becomes a pod with a volume of its own; both end with it. Pods are played, or run."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator.api import names
from guestpost_operator.backends.errors import RefusedError
from guestpost_operator.backends.kinds import EXPORT, PERSISTENT_VOLUME, SERVICE, STATEFUL_SET, VOLUME_CLAIM
from localkube import binaries
from localkube.process import free_port

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/guestpost-operator"


def moment(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Exports:
    """The exports of one tenant, and what their pods would say."""

    def __init__(self, admin: Any, tenants: Any, tenant: str) -> None:
        self.admin, self.tenants, self.namespace = admin, tenants, f"gpt-{tenant}"

    async def ask(self, name: str, by: str = "Staff") -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": EXPORT.api_version, "kind": EXPORT.name, "metadata": metadata}
        made: dict[str, Any] = await self.admin.create(EXPORT, {**body, "spec": {"requestedBy": by}})
        return made

    async def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.admin.get(EXPORT, name, self.namespace)
        return found

    async def say(self, name: str, **status: Any) -> None:
        uid = (await self.get(name))["metadata"]["uid"]
        await self.admin.merge_status(EXPORT, name, self.namespace, uid, status)

    async def wait(self, name: str, phase: str, reason: str = "") -> dict[str, Any]:
        async def met() -> dict[str, Any] | None:
            status = (await self.get(name)).get("status", {})
            reasons = {each["reason"] for each in status.get("conditions", ())}
            return status if status.get("phase") == phase and (not reason or reason in reasons) else None

        found: dict[str, Any] = await self.tenants.eventually(met, f"{name} to be {phase} {reason}")
        return found

    async def parts(self, name: str) -> set[str]:
        """Kinds of what is there for an export."""
        kinds = (STATEFUL_SET, SERVICE)
        found = [await self.admin.get(kind, f"export-{name}", self.namespace) for kind in kinds]
        return {
            kind.name
            for kind, each in zip(kinds, found, strict=True)
            if each is not None and "deletionTimestamp" not in each["metadata"]
        }

    async def wait_parts(self, name: str, *kinds: str) -> None:
        async def met() -> bool:
            return await self.parts(name) == set(kinds)

        await self.tenants.eventually(met, f"{kinds} of {name}")


BOTH = ("StatefulSet", "Service")


@pytest.fixture
async def exports(start: Any, tenants: Any, workloads: Any, admin: Any) -> Exports:
    """Those of a tenant that is Ready."""
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    return Exports(admin, tenants, name)


@pytest.mark.promise("P9.1")
async def test_pod_and_volume_come_with_the_export_and_end_with_it(exports: Exports) -> None:
    await exports.ask("one")
    status = await exports.wait("one", "Pending", "Starting")
    assert status["volumeSize"] == "1Gi"
    await exports.wait_parts("one", *BOTH)
    await exports.say("one", phase="Running", progress={"messages": 1, "total": 2})
    await exports.wait("one", "Running", "Running")
    await exports.say("one", phase="Complete", expiresAt=moment(3))
    await exports.wait("one", "Complete", "Complete")
    assert await exports.parts("one") == set(BOTH)
    await exports.wait("one", "Expired", "Expired")
    await exports.wait_parts("one")

    await exports.ask("two")
    await exports.wait_parts("two", *BOTH)
    await exports.admin.delete(EXPORT, "two", exports.namespace, None)
    await exports.wait_parts("two")


async def test_its_tenant_stays_ready_and_pods_that_are_refused_are_told(
    start: Any, tenants: Any, workloads: Any, admin: Any
) -> None:
    running = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    exports = Exports(admin, tenants, name)
    running.cluster.fault = lambda method, path: (
        RefusedError("exceeded quota: tenant") if method == "PATCH" and "/statefulsets/" in path else None
    )
    await exports.ask("one")
    status = await exports.wait("one", "Pending", "Refused")
    assert "exceeded quota" in str(status["conditions"])
    tenant = await tenants.get(name)
    assert {each["type"]: each["status"] for each in tenant["status"]["conditions"]}["Ready"] == "True"


@pytest.mark.promise("P9.1")
async def test_another_operator_leaves_what_runs_as_it_is(
    start: Any, tenants: Any, workloads: Any, admin: Any, plane: Any
) -> None:
    first = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    exports = Exports(admin, tenants, name)
    await exports.ask("one")
    await exports.wait_parts("one", *BOTH)
    await exports.say("one", phase="Running")
    await exports.wait("one", "Running", "Running")
    await asyncio.to_thread(first.stop)
    mark = plane.audit.mark()
    await start()
    await exports.ask("two")
    await exports.wait_parts("two", *BOTH)
    assert await exports.parts("one") == set(BOTH)
    touched = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    assert [each.what for each in touched if each.name.endswith("one")] == []
    # Deleted while nobody watched.
    await exports.admin.delete(EXPORT, "one", exports.namespace, None)
    await exports.wait_parts("one")


async def test_a_volume_that_its_class_would_retain_goes_with_the_export(exports: Exports) -> None:
    admin, namespace = exports.admin, exports.namespace
    await exports.ask("one")
    await exports.wait_parts("one", *BOTH)
    claim, volume = "archive-export-one-0", f"pv-of-{namespace}"

    async def made() -> bool:
        return await admin.get(VOLUME_CLAIM, claim, namespace) is not None

    await exports.tenants.eventually(made, "its StatefulSet's controller to make the claim")
    await admin.merge(VOLUME_CLAIM, claim, namespace, {"spec": {"volumeName": volume}})
    disk = {
        "apiVersion": "v1",
        "kind": PERSISTENT_VOLUME.name,
        "metadata": {"name": volume},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim},
            "storageClassName": "fast",
            "csi": {"driver": "example.com", "volumeHandle": namespace},
        },
    }
    await admin.create(PERSISTENT_VOLUME, disk)
    await exports.say("one", phase="Running")

    async def released() -> bool:
        found = await admin.get(PERSISTENT_VOLUME, volume)
        return bool(found["spec"]["persistentVolumeReclaimPolicy"] == "Delete")

    await exports.tenants.eventually(released, "the volume to be deleted with its claim")
    await admin.delete(PERSISTENT_VOLUME, volume, None, None)


def roles() -> Iterator[dict[str, Any]]:
    """What the chart lets tenants' accounts do."""
    helm = str(binaries.ensure("helm")["helm"])
    values = str(CHART / "ci/least-values.yaml")
    command = [helm, "template", "guestpost", str(CHART), "-n", "guestpost-system", "-f", values]
    text = subprocess.run(
        [*command, "-s", "templates/tenants/rbac.yaml"], check=True, capture_output=True, text=True
    ).stdout
    yield from (each for each in yaml.safe_load_all(text) if each)


async def token(admin: Any, namespace: str, account: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    made = await admin.request("POST", path, {"spec": {"expirationSeconds": 3600}})
    return str(made["status"]["token"])


@pytest.mark.promise("P9.1")
async def test_the_real_program_with_the_rights_that_it_has(
    exports: Exports, owner: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web asks with its own account; the pod's command runs as the operator made it, with its account."""
    from django.test import Client
    from guestpost_crm import environment

    admin, namespace = exports.admin, exports.namespace
    for role in roles():
        await admin.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    access = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(access["certificate-authority-data"]))
    for account in ("web", "export"):
        (tmp_path / account).write_text(await token(admin, namespace, account))
    port = str(free_port())
    here = {
        "KUBERNETES_API_URL": access["server"],
        "KUBERNETES_CA_FILE": str(tmp_path / "ca.crt"),
        "KUBERNETES_TOKEN_FILE": str(tmp_path / "web"),
        "NAMESPACE": namespace,
        "EXPORT_URL": f"http://127.0.0.1:{port}",
        "EXPORT_CA_FILE": "",
        "EXPORT_TLS_NAME": "",
    }
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    environment.current.cache_clear()
    page = Client(headers={"host": "acme.localhost"})
    await asyncio.to_thread(page.force_login, owner, "django.contrib.auth.backends.ModelBackend")
    answer = await asyncio.to_thread(page.post, "/data/exports", follow=True)
    assert "The export is under way" in answer.content.decode()
    [asked] = await admin.find(EXPORT, namespace)
    name = asked["metadata"]["name"]
    assert asked["spec"]["requestedBy"] == "Customer"
    await exports.wait_parts(name, *BOTH)
    made = await admin.get(STATEFUL_SET, f"export-{name}", namespace)
    [container] = made["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value", "") for each in container["env"]}
    assert (told["EXPORT_NAME"], told["NAMESPACE"]) == (name, namespace)
    volume = tmp_path / "volume"
    volume.mkdir()
    # The same variables, with the files, the database and the port of this machine.
    variables = {
        **os.environ,
        "EXPORT_NAME": told["EXPORT_NAME"],
        "KUBERNETES_TOKEN_FILE": str(tmp_path / "export"),
        "EXPORT_FOLDER": str(volume),
        "PORT": port,
    }
    command = [sys.executable, "-m", "guestpost_crm", *container["args"]]
    pod = await asyncio.to_thread(subprocess.Popen, command, env=variables)
    try:
        status = await exports.wait(name, "Complete", "Complete")
        assert status["counts"]["mailboxes"] == 0
        answer = await asyncio.to_thread(page.get, f"/data/exports/{name}/archive")
        content = b"".join(await asyncio.to_thread(list, answer.streaming_content))
        assert len(content) == status["bytes"]
        assert zipfile.ZipFile(volume / "export.zip").testzip() is None
        # Each may do what it does and nothing more.
        for account, verb, what, allowed in (
            ("export", "delete", "tenantexports", False),
            ("export", "get", "secrets", False),
            ("web", "patch", "tenantexports/status", False),
            ("web", "list", "tenantexports", True),
            ("web", "get", "secrets", False),
        ):
            assert await may(admin, namespace, account, verb, what) is allowed, (account, verb, what)
    finally:
        pod.terminate()
        await asyncio.to_thread(pod.wait, 30)
        monkeypatch.undo()
        environment.current.cache_clear()


async def may(admin: Any, namespace: str, account: str, verb: str, what: str) -> bool:
    resource, _, subresource = what.partition("/")
    group = names.GROUP if resource.startswith("tenant") else ""
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = {
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
            "resourceAttributes": {**attributes, "subresource": subresource},
        }
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = await admin.request("POST", path, review)
    return bool(answer["status"].get("allowed"))
