"""How a box, a forwarder and a control group are known, and what a machine that can't have one is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from localkube import box, cgroups, cluster, forward, paths
from localkube.box import Box, UnsupportedMachineError, require_machine
from localkube.cgroups import Group
from localkube.process import StartError, find, log_tail, spawn, stop, wait_until

Dummy = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder of its own, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lk") as folder:
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        yield


@pytest.fixture
def dummy() -> Iterator[Dummy]:
    """Starts processes that wait, under any name and with any words."""
    started = []

    def start(*words: str, name: str = sys.executable) -> subprocess.Popen[bytes]:
        command = [name, "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
        process = subprocess.Popen(
            command, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_box_is_known_by_its_module_and_its_whole_folder(dummy: Dummy) -> None:
    first, longer = Box("first"), Box("first-2")
    assert first.pid is None
    dummy("localkube.inside", str(longer.folder))
    dummy("tail", str(first.folder))
    dummy("localkube.inside", f"{first.folder}/logs")
    assert first.pid is None
    process = dummy("localkube.inside", str(first.folder))
    assert first.pid == process.pid
    stop(process)
    assert first.pid is None


def test_its_parent_is_not_the_box_but_belongs_to_it(dummy: Dummy) -> None:
    parent = dummy("localkube.inside", str(Box("first").folder), name="unshare")
    assert Box("first").pid is None
    assert Box("first")._rest() == [parent.pid]


def test_who_reads_the_logs_does_not_belong_to_it(dummy: Dummy) -> None:
    dummy(str(Box("first").folder / "logs/kubelet.log"))
    assert Box("first")._rest() == []


def test_stopping_ends_what_belongs_to_it_and_nothing_else(dummy: Dummy) -> None:
    first, second = Box("first"), Box("second")
    ours = [
        dummy("localkube.inside", str(first.folder)),
        dummy(f"UNIX-CONNECT:{first.folder}/run/apiserver.sock", name="socat"),
        dummy(f"UNIX-CONNECT:{first.folder}/run/gateway.sock", name="socat"),
    ]
    theirs = [
        dummy("localkube.inside", str(second.folder)),
        dummy(f"UNIX-CONNECT:{second.folder}/run/apiserver.sock", name="socat"),
        dummy(str(first.folder / "logs/kubelet.log")),
    ]
    first.stop()
    assert [process.wait(10) for process in ours] == [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGTERM]
    assert [process.poll() for process in theirs] == [None] * 3


def test_clusters_of_one_name_in_two_places_have_control_groups_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Box("demo").group.name
    assert here == Box("demo").group.name
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert Box("demo").group.name != here
    assert here.startswith("guestpost-demo-")


def test_ports_are_none_before_the_first_start_and_what_was_written_then() -> None:
    demo = Box("demo")
    assert demo.ports == {}
    demo.folder.mkdir(parents=True)
    (demo.folder / "box.json").write_text('{"ports": {"api": 1, "gateway": 2}}')
    assert demo.ports == {"api": 1, "gateway": 2}


def test_clusters_are_known_by_their_folders_and_removed_ones_are_not() -> None:
    assert cluster.known() == []
    for name in ("demo", "test", ".gone"):
        (paths.clusters() / name).mkdir(parents=True)
    assert cluster.known() == ["demo", "test"]
    assert cluster.Cluster("demo").status() == {
        "name": "demo",
        "running": False,
        "api": None,
        "pages": None,
        "kubeconfig": None,
    }


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnsupportedMachineError, match="needs root for its namespaces: run it with sudo"):
        require_machine()


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        shutil, "which", lambda program: None if program in {"ip", "socat"} else "/usr/bin/true"
    )
    with pytest.raises(UnsupportedMachineError) as refused:
        require_machine()
    assert "run dev/bootstrap, or install " in str(refused.value)
    assert set(str(refused.value).rpartition("install ")[2].split()) >= {"iproute2", "socat"}
    assert set(box.PACKAGES) >= {"ip", "socat"}


def test_too_few_watchers_are_told_before_a_cluster_fails_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/true")
    monkeypatch.setattr(box, "CNI", tmp_path)
    monkeypatch.setattr(box, "WATCHERS", limit)
    with pytest.raises(UnsupportedMachineError, match="max_user_instances is below 512: run dev/bootstrap"):
        require_machine()
    limit.write_text("1024\n")
    require_machine()


@pytest.mark.parametrize("unified", [True, False], ids=["unified", "version 1"])
def test_a_control_group_is_made_and_removed_in_every_hierarchy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unified: bool
) -> None:
    mount = tmp_path / "cgroup"
    roots = [mount] if unified else [mount / "cpuset", mount / "memory"]
    for root in roots:
        root.mkdir(parents=True)
    if unified:
        (mount / "cgroup.controllers").touch()
    monkeypatch.setattr(cgroups, "_MOUNT", mount)
    group = Group("guestpost-demo")
    assert group.path == "/guestpost-demo"
    group.create()
    group.create()
    for root in roots:
        (root / "guestpost-demo/kubepods/pod1").mkdir(parents=True)
        (root / "guestpost-demo-2").mkdir()
    group.remove()
    assert not group.exists()
    assert all((root / "guestpost-demo-2").exists() for root in roots)
    group.remove()


def test_an_empty_cpuset_is_filled_so_that_it_takes_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "cpuset/guestpost-demo"
    own.mkdir(parents=True)
    for folder, cpus in ((own.parent, "0-1\n"), (own, "\n")):
        (folder / "cpuset.cpus").write_text(cpus)
        (folder / "cpuset.mems").write_text("0\n")
    monkeypatch.setattr(cgroups, "_MOUNT", tmp_path)
    Group("guestpost-demo").create()
    assert (own / "cpuset.cpus").read_text() == "0-1\n"


def test_ending_a_forwarding_ends_only_that_of_its_folder(dummy: Dummy, tmp_path: Path) -> None:
    ours, theirs = (
        dummy(f"--kubeconfig={tmp_path}/{name}/kubeconfig", "port-forward") for name in ("mine", "other")
    )
    watching = dummy(f"--kubeconfig={tmp_path}/mine/kubeconfig", "get", "--watch")
    forward.stop(tmp_path / "mine")
    assert ours.wait(10) == -signal.SIGTERM
    assert theirs.poll() is None
    assert watching.poll() is None


def test_a_program_ends_with_who_started_it_however_that_ends(tmp_path: Path) -> None:
    parent = f"""
import pathlib, sys
from localkube.process import spawn
command = [sys.executable, "-c", "import signal; signal.pause()", {str(tmp_path)!r}]
spawn("child", command, pathlib.Path({str(tmp_path)!r}))
print(flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT / "dev/cluster")}
    starter = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert starter.stdout is not None
    starter.stdout.readline()

    def children() -> list[int]:
        return find(lambda words: words[-1] == str(tmp_path) and "signal.pause()" in words[-2])

    wait_until("the child", lambda: bool(children()), seconds=10)
    starter.kill()
    starter.communicate()
    wait_until("the child to end", lambda: not children(), seconds=10)


def test_what_a_program_says_is_in_its_log(tmp_path: Path) -> None:
    process = spawn("etcd", ["sh", "-c", "echo $WORD; exit 3"], tmp_path, {"WORD": "disk is full"})
    with pytest.raises(StartError, match=r"etcd ended with 3\ndisk is full"):
        wait_until("etcd", lambda: False, seconds=10, process=process, log_folder=tmp_path)
    assert log_tail("etcd", tmp_path, characters=5) == "full\n"
    assert log_tail("nothing", tmp_path) == "(no log)"


def test_a_program_that_does_not_end_when_asked_is_ended(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do read line < /dev/zero; done"
    process = spawn("deaf", ["sh", "-c", script], tmp_path)
    wait_until("deaf", lambda: "ready" in log_tail("deaf", tmp_path), seconds=10)
    stop(process, grace=0.1)
    assert process.returncode == -signal.SIGKILL
