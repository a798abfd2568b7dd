"""One tenant on the real local cluster, from apply to Ready, against CloudNativePG alone.

    make bench NAME=ready

The floor is the time that CloudNativePG needs to make the very same Cluster ready in an empty namespace,
measured in turn with the tenants in the same run. Everything runs on a cluster named `bench`, which is
taken down at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from guestpost_demo import target
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until
from harness import figure, say

NAME = "bench"
ROUNDS = 5


def tenant(platform: Platform, name: str) -> float:
    """Seconds from applying a tenant until its condition Ready is true."""
    spec = {
        "owner": {"name": "Bench", "email": "bench@example.com"},
        "region": "europe-west1",
        "googleProject": "guestpost-dev",
        "deletion": {"finalExport": "Skip"},
    }
    kind = {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant"}
    started = time.monotonic()
    platform.apply_tenant({**kind, "metadata": {"name": name}, "spec": spec})
    platform.kubectl("wait", "--for=condition=Ready", f"guestposttenant/{name}", "--timeout=300s")
    return time.monotonic() - started


def database(platform: Platform, name: str, spec: dict[str, Any], password: dict[str, Any]) -> float:
    """Seconds from applying the same Cluster in a namespace of its own until it is Ready."""
    place = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": place},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/basic-auth",
            "metadata": {"name": "db-credentials", "namespace": name},
            "data": password,
        },
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "db", "namespace": name},
            "spec": spec,
        },
    ]
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    started = time.monotonic()
    platform.kubectl("apply", "-f", "-", stdin=listing)
    platform.kubectl("wait", "-n", name, "--for=condition=Ready", "cluster/db", "--timeout=300s")
    return time.monotonic() - started


def gone(platform: Platform, namespace: str) -> None:
    """Wait until a namespace is away, so that rounds don't disturb each other."""
    until(
        f"{namespace} to be away",
        lambda: not platform.kubectl("get", "namespace", namespace, "--ignore-not-found"),
        seconds=180,
    )


def main() -> None:
    """Measure in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    platform = target.ready(NAME, target.port(NAME))
    try:
        platform.install_standins()
        platform.install_operator()
        say("one tenant first, whose Cluster is the floor's")
        tenant(platform, "warm")
        spec = platform.get("-n", "gpt-warm", "cluster", "db")["spec"]
        password = platform.get("-n", "gpt-warm", "secret", "db-credentials")["data"]
        walls, floors = [], []
        for number in range(options.rounds):
            floors.append(database(platform, f"floor-{number}", spec, password))
            platform.kubectl("delete", "namespace", f"floor-{number}", "--wait=false")
            gone(platform, f"floor-{number}")
            walls.append(tenant(platform, f"t{number}"))
            platform.kubectl("delete", "guestposttenant", f"t{number}", "--wait=false")
            gone(platform, f"gpt-t{number}")
            say(f"round {number + 1}: tenant {walls[-1]:.1f} s, CloudNativePG alone {floors[-1]:.1f} s")
        figure("ready.wall", statistics.median(walls), "s", statistics.median(floors))
    finally:
        target.remove(NAME, platform.port)


if __name__ == "__main__":
    main()
