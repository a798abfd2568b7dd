"""A real API server with the chart installed by Helm. There is no kubelet: tests run what a pod would run."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from guestpost_operator.api import names
from guestpost_operator.testing import PubSubStandin
from kubernetes import client, config, watch
from localkube import binaries
from localkube.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/guestpost-operator"
NAMESPACE = "guestpost-system"
LEAST = ("--values", str(CHART / "ci/least-values.yaml"))
BORN = {"born": "with-finalizer"}


def gateway_api() -> list[Path]:
    """CRDs of Gateway API, from the Go module that is pinned beside this file."""

    def go(*arguments: str) -> str:
        where = Path(__file__).parent / "gateway-api"
        done = subprocess.run(["go", *arguments], cwd=where, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    go("mod", "download", "sigs.k8s.io/gateway-api")
    folder = go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
    crds = Path(folder) / "config/crd/standard"
    return [crds / f"gateway.networking.k8s.io_{name}.yaml" for name in ("httproutes", "backendtlspolicies")]


def tenant(
    name: str, *, labels: Mapping[str, str] | None = None, finalizers: Sequence[str] = (), **spec: Any
) -> dict[str, Any]:
    """A tenant as a person writes it."""
    least = {
        "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
        "region": "europe-west1",
        "googleProject": "acme-crm-prod",
    }
    return {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "GuestPostTenant",
        "metadata": {"name": name, "labels": dict(labels or {}), "finalizers": list(finalizers)},
        "spec": {**least, **spec},
    }


class Installation:
    """A control plane, and the chart on it as release `guestpost`."""

    # Does in tenants' namespaces what no person may do there, cluster admins included.
    KUBELET = ("--as=kubelet", "--as-group=system:masters", "--as-group=system:nodes")

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.api = config.new_client_from_config(str(plane.kubeconfig))
        self.core = client.CoreV1Api(self.api)
        self.objects = client.CustomObjectsApi(self.api)

    def run(self, program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        homes = {
            f"HELM_{name}_HOME": str(self.folder / "helm" / name) for name in ("CACHE", "CONFIG", "DATA")
        }
        return subprocess.run(
            [str(binaries.ensure(program)[program]), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **homes, "KUBECONFIG": str(self.plane.kubeconfig)},
        )

    def helm(self, *arguments: str) -> str:
        """Run Helm in the release's namespace; it has to succeed."""
        done = self.run("helm", "--namespace", NAMESPACE, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *arguments: str) -> str:
        return self.helm(
            "upgrade", "--install", "guestpost", str(CHART), "--create-namespace", *LEAST, *arguments
        )

    def settle(self) -> None:
        """Install as people have it after an upgrade.

        Only tenants labelled BORN are made with our finalizer: no operator is here to take it away.
        """
        self.install()
        assert "mutatingadmissionpolicy" not in self.helm("get", "manifest", "guestpost").lower()
        self.install()
        narrow = {"spec": {"matchResources": {"objectSelector": {"matchLabels": BORN}}}}
        binding = ("mutatingadmissionpolicybinding", "guestpost-tenant-finalizer")
        self.kubectl("patch", *binding, "--type=merge", "-p", json.dumps(narrow))
        deadline = time.monotonic() + 30
        # At first no tenant can be made: a CRD that is new is not known to policies for some seconds.
        while names.FINALIZER not in self._probe(**BORN).stdout or self.finalizers():
            assert time.monotonic() < deadline, "the policy is not in force"
            time.sleep(0.1)

    def finalizers(self, *others: str, **labels: str) -> list[str]:
        """With which finalizers a tenant would be made that has these labels, and others' finalizers."""
        done = self._probe(*others, **labels)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["metadata"].get("finalizers", ()))

    def _probe(self, *others: str, **labels: str) -> subprocess.CompletedProcess[str]:
        body = tenant("probe", labels=labels, finalizers=others)
        return self.run(
            "kubectl", "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(body)
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl; it has to succeed."""
        done = self.run("kubectl", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl; it has to be refused. Returns what was said."""
        done = self.run("kubectl", *arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def tenant(self, name: str, **spec: Any) -> None:
        """Make a tenant that nobody works on."""
        body = tenant(name, **spec)
        self.objects.create_cluster_custom_object("guestpostcrm.com", "v1alpha1", "guestposttenants", body)

    def secret(self, name: str) -> dict[str, str]:
        return dict(self.core.read_namespaced_secret(name, NAMESPACE).data)

    def token(self, account: str, namespace: str = NAMESPACE, audience: str = "") -> str:
        """A token of a service account, as the kubelet asks for it: nobody else may."""
        words = ("--audience", audience) if audience else ()
        return self.kubectl("create", "token", account, "-n", namespace, *self.KUBELET, *words).strip()

    def _with_token(self, token: str) -> dict[str, Any]:
        """A kubeconfig in which nothing but a token says who asks."""
        content: dict[str, Any] = yaml.safe_load(self.plane.kubeconfig.read_text(encoding="utf-8"))
        content["users"][0]["user"] = {"token": token}
        return content

    def kubeconfig_with(self, token: str) -> str:
        """The argument of kubectl with which it asks as whom a token proves."""
        path = self.folder / "token.kubeconfig"
        path.write_text(json.dumps(self._with_token(token)), encoding="utf-8")
        return f"--kubeconfig={path}"

    def patch_status(self, token: str, path: str, status: dict[str, Any]) -> int:
        """What a PATCH of a status is answered; kubectl would read the object first, which not all may."""
        cluster = self._with_token(token)["clusters"][0]["cluster"]
        context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        answer = httpx.patch(
            cluster["server"] + path, content=json.dumps({"status": status}), headers=headers, verify=context
        )
        return answer.status_code

    def kubeconfig_of(self, account: str) -> Path:
        """A kubeconfig with the rights of one of the release's service accounts."""
        path = self.folder / f"{account}.kubeconfig"
        path.write_text(json.dumps(self._with_token(self.token(account))), encoding="utf-8")
        return path

    def command(self, pod: dict[str, Any], **environment: str) -> dict[str, Any]:
        """How to run the operator's command of a pod here, with the rights of the pod's service account."""
        (container,) = pod["spec"]["containers"]
        said = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        return {
            "args": [sys.executable, "-m", "guestpost_operator", *container["args"]],
            "env": {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "operator"),
                "KUBECONFIG": str(self.kubeconfig_of(pod["spec"]["serviceAccountName"])),
                **said,
                **environment,
            },
        }

    def run_pod(self, pod: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a pod's command to its end."""
        return subprocess.run(
            **self.command(pod, **environment), capture_output=True, text=True, check=False, timeout=60
        )

    @contextlib.contextmanager
    def operator(self, folder: Path, log: Path, **tenants: Any) -> Iterator[None]:
        """The operator's Deployment, run here: its command, its configuration, its account.

        Args:
            folder: for its files.
            log: where it says what it says.
            tenants: values of the chart's `tenants` besides the least.
        """
        sets = [word for key, value in tenants.items() for word in ("--set-json", f"tenants.{key}={value}")]
        text = self.helm("template", "guestpost", str(CHART), *LEAST, *sets)
        objects = [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]
        named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        config = yaml.safe_load(named["ConfigMap", "operator-config"]["data"]["config.yaml"])
        config["operator"] |= {"healthPort": 0, "metricsPort": 0}
        config["tenants"]["broker"]["caFile"] = str(folder / "ca.crt")
        config["rollout"] = {"strategy": "Immediate"}
        (folder / "ca.crt").write_text("")
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        command = self.command(
            named["Deployment", "operator"]["spec"]["template"],
            GUESTPOST_CONFIG=str(folder / "config.yaml"),
            PUBSUB_EMULATOR_HOST=os.environ["PUBSUB_EMULATOR_HOST"],
            USER="operator",
        )
        with log.open("a") as out:
            process = subprocess.Popen(**command, stdout=out, stderr=subprocess.STDOUT)
            try:
                yield
            finally:
                process.terminate()
                process.wait(30)

    def play_hook(self, component: str) -> threading.Thread:
        """Be the kubelet for one pod of a hook: run it, and tell the API server how it ended."""

        def play() -> None:
            events = watch.Watch().stream(
                self.core.list_namespaced_pod,
                NAMESPACE,
                label_selector=f"app.kubernetes.io/component={component}",
                timeout_seconds=60,
            )
            for event in events:
                pod = self.api.sanitize_for_serialization(event["object"])
                if pod["status"]["phase"] != "Pending" or "deletionTimestamp" in pod["metadata"]:
                    continue
                done = self.run_pod(pod)
                phase = "Failed" if done.returncode else "Succeeded"
                self.core.patch_namespaced_pod_status(
                    pod["metadata"]["name"],
                    NAMESPACE,
                    {"status": {"phase": phase, "message": done.stdout[-900:]}},
                )
                return

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        return thread


AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, users: ["system:serviceaccount:guestpost-system:operator"]}
  - {level: None}
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Shared by tests that leave it as it is, or make things under names of their own."""
    folder = tmp_path_factory.mktemp("chart")
    (folder / "audit.yaml").write_text(AUDIT)
    audit = (f"--audit-policy-file={folder}/audit.yaml", f"--audit-log-path={folder}/audit.log")
    # Off by default; where it is on, it must not be a way to customers' volumes.
    gates = "--feature-gates=CrossNamespaceVolumeDataSource=true"
    with ControlPlane(folder, apiserver=(*audit, gates)) as plane:
        installation = Installation(plane, folder)
        for path in gateway_api():
            installation.kubectl("apply", "--server-side", "-f", str(path))
        installation.settle()
        yield installation


@pytest.fixture
def rollout(installed: Installation) -> Iterator[Callable[[], dict[str, str]]]:
    """Whether the rollout is paused; made as the operator makes it."""
    where = ("configmap", "rollout", "-n", NAMESPACE)
    installed.kubectl("delete", "--ignore-not-found", *where)
    installed.kubectl("create", *where, "--from-literal=paused=false", "--from-literal=reason=")
    yield lambda: json.loads(installed.kubectl("get", *where, "-o", "json"))["data"]
    installed.kubectl("delete", *where)


@pytest.fixture
def pubsub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in for Pub/Sub, for operators that are started meanwhile."""
    binary = binaries.ensure("pubsub-standin")["pubsub-standin"]
    with PubSubStandin(binary, tmp_path / "pubsub.log") as standin:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", standin.address)
        yield


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("changing")
    with ControlPlane(folder) as plane:
        installation = Installation(plane, folder)
        installation.settle()
        yield installation


@pytest.fixture
def changing(second: Installation) -> Iterator[Installation]:
    """For tests that install, upgrade and uninstall: the chart as of the least values, and no tenants."""
    second.install("--force-conflicts")
    yield second
    second.kubectl("delete", "gpt", "--all")


@pytest.fixture(scope="session")
def render() -> Callable[..., list[dict[str, Any]]]:
    """What `helm template` makes of a file of values."""

    def template(values: Path, *arguments: str) -> list[dict[str, Any]]:
        program = str(binaries.ensure("helm")["helm"])
        command = [
            program,
            "template",
            "guestpost",
            str(CHART),
            "-n",
            NAMESPACE,
            "-f",
            str(values),
            *arguments,
        ]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]

    return template
