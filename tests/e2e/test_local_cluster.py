"""Local clusters: interrupted, side by side, borrowed as `current`, killed, and gone without a trace.

They have clusters of their own. A test may use what those above it left; each cluster's last test takes
it down.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest
from localkube import images, paths, target
from localkube.box import UnsupportedMachineError, require_machine
from localkube.cluster import Cluster
from localkube.process import find, free_port

PROGRAM = [sys.executable, "-m", "localkube"]
PAUSE = images.IMAGES["pause"].reference
# A node's own, which last; what they run for a moment comes and goes.
PROGRAMS = (
    "containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
    "kubelet",
)  # fmt: skip
# Where a node's programs write when nobody tells them elsewhere.
PLACES = (
    "/etc/cni", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/runc",
    "/run/kubernetes", "/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet",
    "/var/lib/kube-proxy", "/var/log/containers", "/var/log/pods",
)  # fmt: skip
# What of the machine's kernel a kubelet or kube-proxy would set.
SETTINGS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
)  # fmt: skip


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Machine:
    """What belongs to no cluster, whichever run: the same before and after one."""

    interfaces: list[str]
    network_namespaces: list[str]
    firewall: list[str]
    mounts: list[str]
    settings: dict[str, str]
    places: list[str]


def machine() -> Machine:
    rules = [*output("iptables-save").splitlines(), *output("ip6tables-save").splitlines()]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return Machine(
        interfaces=sorted(path.name for path in Path("/sys/class/net").iterdir()),
        network_namespaces=sorted(output("ip", "netns").splitlines()),
        # Counters behind a bracket, the date in comments.
        firewall=[line.split(" [")[0] for line in rules if not line.startswith("#")],
        # Another checkout may be building images meanwhile.
        mounts=sorted(path for path in mounts if "buildah" not in path),
        settings={name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        places=[name for name in PLACES if Path(name).exists()],
    )


class Traces:
    """What a running cluster made on this machine, told from what others make beside it.

    Known by the names of its folder, control group and containers; processes also by where they ran.
    """

    def __init__(self, cluster: Cluster) -> None:
        assert cluster.box.pid is not None
        box = psutil.Process(cluster.box.pid)
        self._inside = [box, *box.children(recursive=True)]
        socket = str(cluster.box.folder / "run/containerd.sock")
        containers = output("ctr", "--address", socket, "-n", "k8s.io", "containers", "ls", "-q").split()
        self.words = (str(cluster.box.folder), cluster.box.group.name, *containers)
        self._spaces: dict[str, IO[str]] = {}
        for path in (Path(f"/proc/{each.pid}/ns/{kind}") for each in self._inside for kind in ("net", "pid")):
            # A probe's command has ended meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if str(path.readlink()) not in self._spaces:
                    # Held open, so that nobody else's namespace gets the same number.
                    self._spaces[str(path.readlink())] = path.open()

    def close(self) -> None:
        for handle in self._spaces.values():
            handle.close()

    def _named(self, text: str) -> bool:
        return any(word in text for word in self.words)

    def processes(self) -> list[int]:
        """Those of its box that still run, and whatever is in its namespaces or groups or has its name."""
        found = {each.pid for each in self._inside if each.is_running()}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                with contextlib.suppress(OSError):
                    spaces = {str((folder / "ns" / kind).readlink()) for kind in ("net", "pid")}
                    told = (folder / "cmdline").read_text() + (folder / "cgroup").read_text()
                    if spaces & self._spaces.keys() or self._named(told):
                        found.add(int(folder.name))
        return sorted(pid for pid in found if not ended(pid))

    def mounts(self) -> list[str]:
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if self._named(line)]

    def groups(self) -> list[str]:
        return [str(path) for path in below("/sys/fs/cgroup") if self._named(str(path))]

    def files(self) -> list[str]:
        """Files that are named like something of it, or are links that lead into it."""
        roots = ("/etc", "/opt", "/run", "/usr/libexec", "/var/lib", "/var/log", paths.clusters())
        return [
            str(path)
            for root in roots
            for path in below(root)
            if self._named(f"{path} {path.readlink() if path.is_symlink() else ''}")
        ]


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent, maybe this one, to ask how it ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def below(root: str | Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield Path(folder, name)


def page(port: int) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/healthz", headers={"Host": "nobody.example"})


def containers(cluster: Cluster) -> dict[tuple[str, str], tuple[str, int]]:
    """Id and number of restarts of each container."""
    return {
        (pod["metadata"]["name"], each["name"]): (each["containerID"], each["restartCount"])
        for pod in cluster.get("pods", "-A")["items"]
        for each in pod["status"]["containerStatuses"]
    }


def assert_works(cluster: Cluster) -> None:
    """One box, one way in to each of its two sockets, a ready node, pods that run and are reached."""
    folder = str(cluster.box.folder)
    assert len(find(lambda words: words[0] == "unshare" and folder in words)) == 1
    listening = find(
        lambda words: words[0] == "socat" and words[1].startswith("TCP-L") and folder in words[2]
    )
    ways = set()
    for pid in listening:
        # One that only serves a connection may have ended.
        with contextlib.suppress(psutil.NoSuchProcess):
            ways.add(psutil.Process(pid).cmdline()[1])
    assert len(ways) == 2
    cluster.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=5s")
    # Pods that are none of the cluster's own begin when they can.
    cluster.kubectl("wait", "pods", "-A", "--all", "--for=condition=Ready", "--timeout=60s")
    assert page(cluster.box.ports["gateway"]).text == "ok\n"
    assert cluster.status()["running"]


@pytest.fixture(scope="module")
def before() -> Iterator[Machine]:
    """The machine without the clusters of this file."""
    try:
        require_machine()
    except UnsupportedMachineError as missing:
        pytest.skip(str(missing))
    clusters = [Cluster("first"), Cluster("second")]
    for cluster in clusters:
        cluster.down()
    yield machine()
    for cluster in clusters:
        cluster.down()


def killed_at(words: str, *command: str) -> None:
    """Begin a command, and kill it and its children as soon as it prints something."""
    process = subprocess.Popen(
        [*PROGRAM, *command], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    printed = []
    for line in process.stderr:
        printed.append(line)
        if words in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    assert process.wait(60) == -signal.SIGKILL, "".join(printed)


@pytest.fixture(scope="module")
def second(before: Machine) -> Cluster:
    """A cluster whose start was interrupted at three moments before it was let through."""
    cluster, port = Cluster("second"), free_port()
    for moment in ("control plane and node …", "add-ons …", f"importing {images.REGISTRY}/cloudnative-pg"):
        killed_at(moment, "up", "--name", cluster.name, "--port", str(port))
    cluster.up(port)
    return cluster


@pytest.fixture(scope="module")
def first(before: Machine) -> Cluster:
    cluster = Cluster("first")
    cluster.up(free_port())
    return cluster


def test_an_interrupted_start_can_be_repeated(second: Cluster) -> None:
    assert_works(second)


def test_two_clusters_stand_side_by_side(first: Cluster, second: Cluster) -> None:
    for cluster in (first, second):
        assert_works(cluster)
    assert len({*first.box.ports.values(), *second.box.ports.values()}) == 4
    nodes = [cluster.get("nodes")["items"][0]["metadata"]["uid"] for cluster in (first, second)]
    assert nodes[0] != nodes[1]
    # Neither trusts the other's admin.
    with pytest.raises(subprocess.CalledProcessError) as refused:
        first.kubectl("get", "nodes", f"--server=https://127.0.0.1:{second.box.ports['api']}")
    assert "certificate signed by unknown authority" in refused.value.stderr
    second.kubectl("create", "deployment", "only-here", f"--image={PAUSE}")
    second.kubectl("rollout", "status", "deployment/only-here", "--timeout=60s")
    with pytest.raises(subprocess.CalledProcessError) as unknown:
        first.kubectl("get", "deployment", "only-here")
    assert 'deployments.apps "only-here" not found' in unknown.value.stderr


def test_a_second_up_changes_nothing(first: Cluster) -> None:
    def programs() -> set[tuple[int, float]]:
        assert first.box.pid is not None
        running = psutil.Process(first.box.pid).children(recursive=True)
        found = {each.name(): (each.pid, each.create_time()) for each in running if each.name() in PROGRAMS}
        assert set(found) == set(PROGRAMS)
        return set(found.values())

    def state() -> tuple[object, ...]:
        listed = first.get("deployments,daemonsets,services,namespaces,nodes,pods", "-A")["items"]
        objects = {each["metadata"]["uid"]: each["metadata"].get("generation") for each in listed}
        return (
            first.box.pid,
            programs(),
            first.box.ports,
            objects,
            containers(first),
            first.kubeconfig.read_bytes(),
        )

    earlier = state()
    port = str(first.box.ports["gateway"])
    subprocess.run([*PROGRAM, "up", "--name", first.name, "--port", port], check=True, capture_output=True)
    assert state() == earlier


@pytest.fixture
def current(first: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cluster]:
    """The first cluster as somebody's own: kubectl's current one, whose nodes have the gateway's image."""
    images.import_images(first.box, ["gateway"])
    # Of its own, should the whole run be on a current cluster.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(first.kubeconfig))
    monkeypatch.setenv(target.REGISTRY_VARIABLE, images.REGISTRY)
    yield first
    target.release(target.CURRENT)


def everything(cluster: Cluster) -> set[tuple[str, str, str, str]]:
    """Kind, namespace, name and uid of every object of every kind but events, which come and go."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "componentstatuses"))]
    column = "{range .items[*]}{.kind},{.metadata.namespace},{.metadata.name},{.metadata.uid}{'\\n'}{end}"
    lines = cluster.kubectl("get", ",".join(kinds), "-A", "-o", f"jsonpath={column}").splitlines()
    return {
        (kind, namespace, name, uid) for kind, namespace, name, uid in (line.split(",") for line in lines)
    }


def test_somebody_elses_namespace_gateway_is_left_alone(current: Cluster) -> None:
    earlier = everything(current)
    with pytest.raises(target.TargetError, match="namespace `gateway` that was not made by this"):
        target.resolve(target.CURRENT, free_port())
    target.release(target.CURRENT)
    assert everything(current) == earlier


def test_the_current_cluster_gets_a_gateway_and_nothing_else(current: Cluster) -> None:
    current.kubectl("delete", "namespace", "gateway")
    earlier, port = everything(current), free_port()
    chosen = target.resolve(target.CURRENT, port)
    placed = everything(current)
    assert page(port).text == "ok\n"
    assert chosen.page("acme") == f"http://acme.localhost:{port}"
    assert placed > earlier
    new = placed - earlier
    assert {namespace for _, namespace, _, _ in new} == {"gateway", ""}
    assert {(kind, name) for kind, namespace, name, _ in new if not namespace and kind != "IPAddress"} == {
        ("Namespace", "gateway")
    }
    assert {kind for kind, *_ in new} >= {"Deployment", "Service", "Pod"}
    target.release(target.CURRENT)
    assert everything(current) == earlier
    with pytest.raises(httpx.ConnectError):
        page(port)


def test_a_current_cluster_is_told_what_it_lacks(current: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal() -> str:
        with pytest.raises(target.TargetError) as error:
            target.resolve(target.CURRENT, free_port())
        return str(error.value)

    earlier = everything(current)
    monkeypatch.delenv(target.REGISTRY_VARIABLE)
    assert refusal().startswith("set IMAGE_REGISTRY to a registry that the current cluster pulls from")
    monkeypatch.setenv(target.REGISTRY_VARIABLE, images.REGISTRY)
    default = "storageclass.kubernetes.io/is-default-class"
    current.kubectl("annotate", "storageclass", "local-path", f"{default}-")
    assert refusal() == "the current cluster lacks a default StorageClass: install it, then try again"
    current.kubectl("annotate", "storageclass", "local-path", f"{default}=true")
    assert everything(current) == earlier
    current.kubectl("delete", "crd", "clusters.postgresql.cnpg.io")
    lacks = "the current cluster lacks CloudNativePG (https://cloudnative-pg.io/docs/)"
    assert refusal() == f"{lacks}: install it, then try again"
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    assert refusal().startswith("no current cluster: set KUBECONFIG, or kubectl's context")


def test_a_cluster_comes_back_after_its_box_was_killed(second: Cluster) -> None:
    earlier = containers(second)
    assert second.box.pid is not None
    os.kill(second.box.pid, signal.SIGKILL)
    second.up(second.box.ports["gateway"])
    assert_works(second)
    later = containers(second)
    assert earlier.keys() == later.keys()
    assert all(later[name][0] != earlier[name][0] for name in earlier)


def killed(cluster: Cluster) -> None:
    """As after a crash: its first process is gone, what forwards to it is not."""
    assert cluster.box.pid is not None
    os.kill(cluster.box.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "accident"), [("second", killed), ("first", lambda _: None)], ids=["killed", "running"]
)
def test_down_leaves_nothing_behind(
    before: Machine, name: str, accident: Callable[[Cluster], None], request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue(name)
    traces = Traces(cluster)
    with contextlib.closing(traces):
        # It is really looked for: there is a lot while it runs.
        assert len(traces.processes()) > 15
        assert traces.groups()
        assert traces.files()
        accident(cluster)
        cluster.down()
        assert traces.processes() == []
        assert traces.mounts() == []
        assert traces.groups() == []
        assert traces.files() == []
        assert machine() == before
        assert not cluster.status()["running"]
