"""What the network policies of two tenants and of the installation let through, as cyclonus reads them.

This is what is written, not what a network does: on the local cluster nothing enforces it.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
import yaml
from localkube import binaries

PORTS = (22, 53, 80, 443, 5432, 6443, 8000, 8080, 8443, 9090, 9187)
TENANTS = ("acme", "beta")
# What the cluster's own pods are like; their namespaces carry no label but their name.
AROUND = {
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "gateway": ("gateway", {"app": "gateway"}),
    "cloudnative-pg": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
    "monitoring": ("monitoring", {"app": "prometheus"}),
    "somebody": ("default", {"app.kubernetes.io/component": "web"}),
}
OUTSIDE = {
    "internet": "142.250.0.1",
    "private": "192.168.7.7",
    "metadata": "169.254.169.254",
    "api-server": "172.16.0.2",
}


class Peer(NamedTuple):
    """A pod, or an address outside."""

    name: str
    namespace: str
    labels: dict[str, str]
    namespace_labels: dict[str, str]
    ip: str

    def as_json(self) -> dict[str, Any]:
        inside = {
            "PodLabels": self.labels,
            "NamespaceLabels": self.namespace_labels,
            "Namespace": self.namespace,
        }
        return {"Internal": inside if self.namespace else None, "IP": self.ip}


class Attempt(NamedTuple):
    """Somebody tries to connect to somebody."""

    source: Peer
    destination: Peer
    port: int

    def as_json(self) -> dict[str, Any]:
        """As cyclonus reads it."""
        return {
            "Source": self.source.as_json(),
            "Destination": self.destination.as_json(),
            "ResolvedPort": self.port,
            "ResolvedPortName": "",
            "Protocol": "UDP" if self.port == 53 else "TCP",
        }


def templates(objects: Iterable[dict[str, Any]]) -> Iterable[tuple[str, dict[str, str]]]:
    """Names and labels of the pods that the objects make."""
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["metadata"]["labels"]
        elif each["kind"] == "Pod":
            yield each["metadata"]["name"], each["metadata"]["labels"]
        elif each["kind"] == "Cluster":
            # As CloudNativePG labels them.
            yield "db", {"cnpg.io/cluster": each["metadata"]["name"], "cnpg.io/podRole": "instance"}


@pytest.fixture(scope="session")
def peers(rendered: dict[str, Any], chart: list[dict[str, Any]]) -> dict[str, Peer]:
    """Every pod that there is, and a stranger in each tenant's namespace."""
    found: dict[str, Peer] = {}

    def add(name: str, namespace: str, labels: dict[str, str], own: dict[str, str]) -> None:
        own = {"kubernetes.io/metadata.name": namespace, **own}
        found[name] = Peer(name, namespace, labels, own, f"10.0.{len(found)}.1")

    for tenant, objects in rendered.items():
        (namespace,) = [each for each in objects if each["kind"] == "Namespace"]
        pods = [*templates(objects), ("stranger", {})]
        for name, labels in pods:
            add(f"{tenant}/{name}", f"gpt-{tenant}", labels, namespace["metadata"]["labels"])
    for name, labels in templates(chart):
        add(f"system/{name}", "guestpost-system", labels, {})
    for name, (where, labels) in AROUND.items():
        add(name, where, labels, {})
    for name, address in OUTSIDE.items():
        found[name] = Peer(name, "", {}, {}, address)
    return found


@pytest.fixture(scope="session")
def allowed(
    rendered: dict[str, Any],
    chart: list[dict[str, Any]],
    peers: dict[str, Peer],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str, int], bool]:
    """cyclonus' verdict on every attempt of every peer at every other, on every port."""
    folder = tmp_path_factory.mktemp("cyclonus")
    policies = [
        each for objects in (*rendered.values(), chart) for each in objects if each["kind"] == "NetworkPolicy"
    ]
    (folder / "policies").mkdir()
    for number, policy in enumerate(policies):
        (folder / f"policies/{number}.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    attempts = [
        Attempt(source, destination, port)
        for source, destination in itertools.permutations(peers.values(), 2)
        if source.namespace or destination.namespace
        for port in PORTS
    ]
    traffic = [each.as_json() for each in attempts]
    (folder / "traffic.json").write_text(json.dumps(traffic), encoding="utf-8")
    paths = ("--policy-path", str(folder / "policies"), "--traffic-path", str(folder / "traffic.json"))
    command = [str(binaries.ensure("cyclonus")["cyclonus"]), "analyze", "--mode", "query-traffic", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    verdicts = re.findall(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)", done.stdout)
    assert len(verdicts) == len(attempts), done.stdout[-2000:] + done.stderr[-2000:]
    return {
        (each.source.name, each.destination.name, each.port): verdict == "TRUE"
        for each, verdict in zip(attempts, verdicts, strict=True)
    }


def of(name: str) -> str:
    """Whose pod it is: a tenant's name, `system`, or what is around."""
    return name.partition("/")[0] if "/" in name else "around"


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P8.2")
def test_nothing_crosses_between_tenants(
    allowed: dict[tuple[str, str, int], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    tried = {key: verdict for key, verdict in allowed.items() if {of(key[0]), of(key[1])} == set(TENANTS)}
    crossed = [key for key, verdict in tried.items() if verdict]
    with capsys.disabled():
        print(f" isolation.network: {len(crossed)} crossed / {len(tried)} tried", end="")
    assert crossed == []
    assert len(tried) > 1000


# What may come in, from elsewhere, to a tenant's pods: from whom, to whom, on which port.
INTO = {
    ("gateway", "web", 8443),
    ("cloudnative-pg", "db", 5432),
    ("cloudnative-pg", "db", 8000),
}
# What may go out of a tenant's pods; GKE's metadata server gives a pod tokens of its own identity only.
OUT = {
    *((name, "system/broker", 8443) for name in ("web", "sync", "migrate")),
    *((name, "internet", 443) for name in ("web", "sync", "migrate")),
    *((name, "metadata", 80) for name in ("web", "sync", "migrate")),
    *((name, "api-server", 443) for name in ("web", "db", "export-leaving")),
}


def ours(name: str) -> str:
    """A tenant's pod without the tenant, and a Job without what makes its name its own."""
    pod = name.partition("/")[2]
    return "migrate" if pod.startswith("migrate-") else pod


@pytest.mark.promise("P5.3")
@pytest.mark.parametrize("tenant", TENANTS)
def test_a_tenant_is_open_for_what_is_used_and_for_nothing_else(
    allowed: dict[tuple[str, str, int], bool], tenant: str
) -> None:
    open_ = [key for key, verdict in allowed.items() if verdict]
    into = {
        (source, ours(to), port) for source, to, port in open_ if of(to) == tenant and of(source) != tenant
    }
    monitored = {each for each in into if each[0] == "monitoring"}
    assert {port for _, _, port in monitored} == {9090, 9187}
    assert into - monitored == INTO
    out = {
        (ours(source), to, port) for source, to, port in open_ if of(source) == tenant and of(to) != tenant
    }
    names = {each for each in out if each[1:] == ("dns", 53)}
    assert len(names) == len({key[0] for key in allowed if of(key[0]) == tenant}), (
        "every pod may ask for names"
    )
    assert out - names == OUT


@pytest.mark.parametrize("tenant", TENANTS)
def test_a_stranger_in_a_tenants_namespace_gets_nowhere(
    allowed: dict[tuple[str, str, int], bool], tenant: str
) -> None:
    """A pod without our labels, such as one that somebody smuggled in."""
    stranger = f"{tenant}/stranger"
    open_ = {key for key, verdict in allowed.items() if verdict and stranger in key[:2]}
    monitored = {("monitoring", stranger, port) for port in (9090, 9187)}
    assert open_ - monitored == {(stranger, "dns", 53)}


def test_tenants_reach_nothing_of_the_installation_but_the_broker(
    allowed: dict[tuple[str, str, int], bool],
) -> None:
    reached = {
        (key[1], key[2])
        for key, verdict in allowed.items()
        if verdict and of(key[0]) in TENANTS and of(key[1]) == "system"
    }
    assert reached == {("system/broker", 8443)}


def test_the_private_world_around_is_out_of_reach(allowed: dict[tuple[str, str, int], bool]) -> None:
    """Neither the company's other networks, nor nodes and pods by their addresses."""
    ours = {key for key, verdict in allowed.items() if verdict and of(key[0]) != "around"}
    assert {key for key in ours if key[1] == "private"} == set()
    assert {key[2] for key in ours if key[1] == "metadata"} == {80}
    assert {key for key in ours if key[1] in AROUND} == {key for key in ours if key[1:] == ("dns", 53)}
