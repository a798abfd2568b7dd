"""The local cluster: interrupted, repeated, beside another, borrowed as `current`, gone without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guestpost_demo.platform import Platform
from localkube import images, target
from localkube.cluster import Cluster
from localkube.process import free_port

NAME = "second"
PROGRAM = [sys.executable, "-m", "localkube"]
KINDS = ("net", "mnt", "pid")


def killed_at(words: str, port: int) -> None:
    """Begin `up`, and kill it as soon as it prints something."""
    command = [*PROGRAM, "up", "--name", NAME, "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if words in line:
            process.kill()
            break
    assert process.wait(30) == -signal.SIGKILL, "".join(printed)


@pytest.fixture(scope="module")
def second(platform: Platform) -> Iterator[Cluster]:
    """A cluster beside the session's, whose start was interrupted twice."""
    if os.environ.get("E2E_CLUSTER") == target.CURRENT:
        pytest.skip("E2E_CLUSTER is current: no local cluster is started")
    cluster, port = Cluster(NAME), free_port()
    cluster.down()
    try:
        killed_at("control plane and node", port)
        killed_at("add-ons", port)
        cluster.up(port)
        yield cluster
    finally:
        cluster.down()


def containers(cluster: Cluster) -> dict[str, str]:
    """Ids of all running containers by pod."""
    pods = cluster.get("pods", "-A")["items"]
    return {
        pod["metadata"]["name"]: each["containerID"]
        for pod in pods
        for each in pod["status"].get("containerStatuses", ())
    }


def test_an_interrupted_start_is_repeated(second: Cluster) -> None:
    [node] = second.get("nodes")["items"]
    [ready] = [each for each in node["status"]["conditions"] if each["type"] == "Ready"]
    assert ready["status"] == "True"
    # Names are found and addresses of services lead somewhere: the gateway asks for both.
    answer = second.kubectl("get", "--raw", "/api/v1/namespaces/gateway/services/gateway:80/proxy/healthz")
    assert answer == "ok\n"


def test_two_clusters_know_nothing_of_each_other(second: Cluster, platform: Platform) -> None:
    second.kubectl("create", "namespace", "only-here")
    assert "only-here" not in platform.kubectl("get", "namespaces")
    assert "google" in platform.kubectl("get", "namespaces")
    assert "google" not in second.kubectl("get", "namespaces")
    assert second.box.ports["gateway"] != platform.port
    assert platform.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}") != second.kubectl(
        "get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}"
    )


def test_a_second_call_restarts_nothing(second: Cluster) -> None:
    before, pid = containers(second), second.box.pid
    second.up(second.box.ports["gateway"])
    assert (containers(second), second.box.pid) == (before, pid)


def everything(cluster: Cluster) -> set[tuple[str, ...]]:
    """Kind, namespace, name and uid of every object that people or charts make."""
    listed = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    passing = ("events", "leases", "endpoint", "metrics", "componentstatuses", "podtemplates", "ipaddresses")
    kinds = [each for each in listed if not each.startswith(passing)]
    items = cluster.get(",".join(kinds), "-A")["items"]
    return {
        (
            each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
            each["metadata"]["uid"],
        )
        for each in items
    }


@pytest.fixture
def borrowed(second: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cluster]:
    """The second cluster as somebody's own: without our gateway, reached by the kubeconfig."""
    second.kubectl("delete", "namespace", "gateway", "--ignore-not-found")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(second.kubeconfig))
    monkeypatch.setenv(target.REGISTRY_VARIABLE, images.REGISTRY)
    yield second
    target.release(target.CURRENT)


def test_the_current_cluster_gets_a_gateway_and_nothing_else(borrowed: Cluster) -> None:
    import httpx

    images.import_images(borrowed.box, ["gateway"])
    before = everything(borrowed)
    used = target.resolve(target.CURRENT, free_port())
    added = everything(borrowed) - before
    assert {namespace or name for _, namespace, name, _ in added} == {"gateway"}
    assert httpx.get(f"http://127.0.0.1:{used.port}/healthz", headers={"Host": "x"}).text == "ok\n"
    target.release(target.CURRENT)
    assert everything(borrowed) == before
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{used.port}/healthz")


def test_a_current_cluster_that_lacks_something_is_told_what(
    borrowed: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [name] = [each["metadata"]["name"] for each in borrowed.get("storageclass")["items"]]
    mark = "storageclass.kubernetes.io/is-default-class"
    borrowed.kubectl("annotate", "storageclass", name, f"{mark}-")
    with pytest.raises(target.TargetError, match="lacks a default StorageClass: install it, then try again"):
        target.resolve(target.CURRENT, free_port())
    borrowed.kubectl("annotate", "storageclass", name, f"{mark}=true")
    monkeypatch.delenv(target.REGISTRY_VARIABLE)
    with pytest.raises(target.TargetError, match="set IMAGE_REGISTRY to a registry"):
        target.resolve(target.CURRENT, free_port())
    monkeypatch.setenv(target.REGISTRY_VARIABLE, images.REGISTRY)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(target.TargetError, match="no current cluster: set KUBECONFIG"):
        target.resolve(target.CURRENT, free_port())


def namespaces_of(pid: int) -> dict[str, str]:
    return {kind: str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in KINDS}


def processes_in(spaces: dict[str, str]) -> list[str]:
    """Processes that live in one of these namespaces."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str((folder / "ns" / kind).readlink()) == space for kind, space in spaces.items()):
                    found.append((folder / "cmdline").read_text())
    return found


def mentioning(folder: Path) -> list[str]:
    """Processes, mounts and control groups that carry the cluster's folder or name."""
    words = (str(folder), f"guestpost-{NAME}")
    found = [
        line
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if any(w in line for w in words)
    ]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_text()
                found += [command] if any(word in command for word in words) else []
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/guestpost-{NAME}*")]
    return found


def machine() -> dict[str, Any]:
    """Interfaces, named network namespaces and firewall rules of the machine itself."""

    def run(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    rules = [line.split(" [")[0] for line in run("iptables-save").splitlines() if not line.startswith("#")]
    links = sorted(each["ifname"] for each in json.loads(run("ip", "-j", "link")))
    return {"links": links, "namespaces": run("ip", "netns"), "rules": rules}


def test_down_leaves_nothing_behind(second: Cluster) -> None:
    folder, pid = second.box.folder, second.box.pid
    assert pid is not None
    spaces, beside = namespaces_of(pid), machine()
    assert namespaces_of(os.getpid()).items().isdisjoint(spaces.items())
    assert len(processes_in(spaces)) > 10
    assert mentioning(folder)
    # As after a crash: its first process is gone, what forwards to it is not.
    os.kill(pid, signal.SIGKILL)
    second.down()
    assert processes_in(spaces) == []
    assert mentioning(folder) == []
    assert not folder.exists()
    assert machine() == beside
