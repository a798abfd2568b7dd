"""The kubeconfig's cluster as a target: what it is asked and given, by a kubectl that writes it down."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from localkube import addons, binaries, images, target
from localkube.process import StartError, find
from localkube.target import TargetError

CONTEXT = {"current-context": "mine", "clusters": [], "contexts": [], "users": []}
DEFAULT = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
OTHER = {"metadata": {"name": "other"}}
ABSENT = "printf ''"
FINE = {
    "config view": f"echo {shlex.quote(json.dumps(CONTEXT))}",
    "get --raw /readyz": "echo ok",
    "get crd clusters.postgresql.cnpg.io": "echo found",
    "get storageclass": f"echo {shlex.quote(json.dumps({'items': [OTHER, DEFAULT]}))}",
    "get namespace gateway": ABSENT,
    "apply": "cat > applied.yaml",
    "-n gateway rollout": "echo available",
    "delete": "echo deleted",
    # As kubectl does: it says so, and goes on until it is ended.
    "--kubeconfig": "mkfifo hold; echo Forwarding from 127.0.0.1; read line <> hold",
}
Kubectl = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """Says what kubectl does by how its arguments begin; it writes each call to `calls`."""
    program = tmp_path / "kubectl"

    def does(answers: dict[str, str]) -> None:
        # The first that fits is taken.
        cases = "".join(
            f"  {shlex.quote(begin)}*) {action};;\n"
            for begin, action in (answers | {key: FINE[key] for key in FINE if key not in answers}).items()
        )
        text = f'cd {tmp_path}\necho "$KUBECONFIG $*" >> calls\ncase "$*" in\n{cases}  *) exit 9;;\nesac\n'
        program.write_text(f"#!/bin/sh\n{text}")
        program.chmod(0o755)

    does({})
    monkeypatch.setattr(binaries, "ensure", lambda *names: dict.fromkeys(names, program))
    monkeypatch.setattr(images, "build_all", lambda names: {name: f"local/{name}:1" for name in names})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", "/somewhere/config")
    monkeypatch.setenv(target.REGISTRY_VARIABLE, images.REGISTRY)
    return does


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def refusal() -> str:
    with pytest.raises(TargetError) as refused:
        target.resolve(target.CURRENT, 8080)
    return str(refused.value)


def test_without_a_registry_it_says_which_one_to_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(target.REGISTRY_VARIABLE)
    assert refusal() == (
        "set IMAGE_REGISTRY to a registry that the current cluster pulls from and this machine may push to,"
        " such as registry.example.com/guestpost; guestpost.local where its nodes have the images already"
    )
    assert not (tmp_path / "calls").exists()


def test_without_a_context_it_says_so_with_kubectls_words(kubectl: Kubectl) -> None:
    kubectl({"config view": "echo 'error: cannot locate context' >&2; exit 1"})
    said = refusal()
    assert said.startswith("no current cluster: set KUBECONFIG, or kubectl's context (kubectl config view")
    assert "cannot locate context" in said


def test_a_cluster_that_does_not_answer_is_told_with_kubectls_words(kubectl: Kubectl) -> None:
    kubectl({"get --raw": "echo 'connection refused - did you specify the right host' >&2; exit 1"})
    assert refusal() == "kubectl get --raw /readyz: connection refused - did you specify the right host"


CNPG = "CloudNativePG (https://cloudnative-pg.io/docs/)"
NO_CNPG = {"get crd": "echo 'not found' >&2; exit 1"}
NO_DEFAULT = {"get storageclass": f"echo {shlex.quote(json.dumps({'items': [OTHER]}))}"}


@pytest.mark.parametrize(
    ("answers", "lacks"),
    [
        (NO_CNPG, CNPG),
        (NO_DEFAULT, "a default StorageClass"),
        ({**NO_CNPG, **NO_DEFAULT}, f"{CNPG} and a default StorageClass"),
    ],
    ids=["CloudNativePG", "StorageClass", "both"],
)
def test_what_it_lacks_is_named_and_nothing_is_placed(
    kubectl: Kubectl, tmp_path: Path, answers: dict[str, str], lacks: str
) -> None:
    kubectl(answers)
    assert refusal() == f"the current cluster lacks {lacks}: install it, then try again"
    assert not any(" apply" in call for call in calls(tmp_path))


def namespace(labels: Mapping[str, str]) -> str:
    return f"echo {shlex.quote(json.dumps({'metadata': {'name': 'gateway', 'labels': labels}}))}"


def test_somebody_elses_namespace_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl({"get namespace gateway": namespace({"team": "edge"})})
    assert "has a namespace `gateway` that was not made by this" in refusal()
    assert not any(" apply" in call for call in calls(tmp_path))


def test_it_is_made_ready_from_a_copy_of_the_context_and_taken_back(kubectl: Kubectl, tmp_path: Path) -> None:
    label, value = addons.OURS.split("=")
    kubectl({"get namespace gateway": namespace({label: value})})
    chosen = target.resolve(target.CURRENT, 18080)
    config = target.kubeconfig_of_current()
    try:
        assert chosen.kubeconfig == config
        assert json.loads(config.read_text()) == CONTEXT
        assert config.stat().st_mode & 0o077 == 0
        assert chosen.images.keys() == {*images.APPLICATIONS, "gateway"}
        assert chosen.page("acme") == "http://acme.localhost:18080"
        # The user's own file is read once, and all else goes to the copy.
        assert [call.split()[0] for call in calls(tmp_path)] == [
            "/somewhere/config",
            *[str(config)] * (len(calls(tmp_path)) - 1),
        ]
        applied = list(yaml.safe_load_all((tmp_path / "applied.yaml").read_text()))
        assert applied[0]["metadata"]["labels"][label] == value
        assert len(forwarders(tmp_path)) == 1
    finally:
        target.release(target.CURRENT)
    assert calls(tmp_path)[-1] == f"{config} delete namespace --selector {addons.OURS}"
    assert forwarders(tmp_path) == []
    assert not config.parent.exists()


def forwarders(tmp_path: Path) -> list[int]:
    return find(lambda words: str(tmp_path / "kubectl") in words and "port-forward" in words)


def test_another_registry_gets_every_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pushed = []

    def push(names: tuple[str, ...], registry: str) -> dict[str, str]:
        pushed.append((names, registry))
        return {name: f"{registry}/{name}:1" for name in names}

    monkeypatch.setattr(images, "push", push)
    monkeypatch.setenv(target.REGISTRY_VARIABLE, "registry.example.com/team")
    try:
        chosen = target.resolve(target.CURRENT, 18080)
        assert pushed == [((*images.APPLICATIONS, "gateway"), "registry.example.com/team")]
        assert chosen.images["crm"] == "registry.example.com/team/crm:1"
        assert "image: registry.example.com/team/gateway:1" in (tmp_path / "applied.yaml").read_text()
    finally:
        target.release(target.CURRENT)


def test_a_port_that_is_taken_is_told(kubectl: Kubectl) -> None:
    kubectl({"--kubeconfig": "echo 'unable to listen on port 8080: address already in use'; exit 1"})
    with pytest.raises(StartError, match="address already in use"):
        target.resolve(target.CURRENT, 8080)
    target.release(target.CURRENT)


def test_release_without_resolve_asks_nothing(tmp_path: Path) -> None:
    target.release(target.CURRENT)
    assert not (tmp_path / "calls").exists()


def test_a_failed_release_can_be_repeated(kubectl: Kubectl) -> None:
    target.resolve(target.CURRENT, 18080)
    kubectl({"delete": "echo 'connection refused' >&2; exit 1"})
    with pytest.raises(TargetError, match="connection refused"):
        target.release(target.CURRENT)
    assert target.kubeconfig_of_current().exists()
    kubectl({})
    target.release(target.CURRENT)
    assert not target.kubeconfig_of_current().exists()
    assert os.environ["KUBECONFIG"] == "/somewhere/config"
