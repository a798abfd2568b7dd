"""The rollout of releases: status, pause, resume, as kubectl has them for Deployments."""

from __future__ import annotations

import argparse

from kubectl_guestpost import words
from kubectl_guestpost.cluster import TENANT, Cluster, Object
from kubectl_guestpost.errors import PluginError
from kubectl_guestpost.tenants import now


def show_status(cluster: Cluster, options: argparse.Namespace) -> None:
    """Whether it is paused and why, and which versions tenants run."""
    found = cluster.rollout(options.namespace)
    print(words.rollout(found, cluster.list(TENANT), now()))


def pause(cluster: Cluster, options: argparse.Namespace) -> None:
    """Nobody begins a move any more, forward or back; those on the way finish."""
    if not options.reason.strip():
        raise PluginError("say why: everybody reads it until the rollout is resumed")
    found = cluster.rollout(options.namespace)
    if words.is_paused(found):
        raise PluginError(f"the rollout is paused already: {(found.get('data') or {}).get('reason', '')}")
    _write(cluster, options.namespace, found, paused=True, reason=options.reason.strip())
    print("the rollout is paused: nobody begins a move, and those on the way finish")


def resume(cluster: Cluster, options: argparse.Namespace) -> None:
    """A release that waits begins, or goes on."""
    found = cluster.rollout(options.namespace)
    if not words.is_paused(found):
        raise PluginError("the rollout is not paused")
    _write(cluster, options.namespace, found, paused=False, reason="")
    print("the rollout goes on within seconds")


def _write(cluster: Cluster, namespace: str, found: Object, *, paused: bool, reason: str) -> None:
    body = {
        "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
        "data": {"paused": "true" if paused else "false", "reason": reason},
    }
    cluster.write_rollout(namespace, body, f"{'pause' if paused else 'resume'} the rollout")
