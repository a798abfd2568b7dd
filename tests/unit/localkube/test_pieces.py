"""Names, ports, keys and kubeconfigs of local clusters."""

from __future__ import annotations

import json
import ssl
import stat
from pathlib import Path

import pytest
from localkube import kubeconfig, paths, pki
from localkube.process import StartError, free_ports, wait_until


@pytest.mark.parametrize("name", ["demo", "a", "test-2", "a" * 20])
def test_a_cluster_may_be_called(name: str) -> None:
    assert paths.cluster(name).name == name


@pytest.mark.parametrize("name", ["", "Demo", "a b", "../up", "a" * 21, "current/..", "-"])
def test_a_cluster_may_not_be_called(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        paths.cluster(name)


def test_ports_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 < port < 65536 for port in ports)


def test_an_authority_issues_what_programs_trust(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path)
    certificate, key = authority.issue("apiserver", "kube-apiserver", alternatives=["IP:127.0.0.1"])
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) & 0o077 == 0
    assert pki.Authority(tmp_path).issue("apiserver", "kube-apiserver", alternatives=["IP:127.0.0.1"]) == (
        certificate,
        key,
    )


def test_a_kubeconfig_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path / "pki")
    certificate, key = authority.issue("admin", "admin", groups=["system:masters"])
    path = kubeconfig.write(
        tmp_path / "kubeconfig",
        server="https://127.0.0.1:1",
        authority=authority.certificate,
        certificate=certificate,
        key=key,
        name="localkube-demo",
    )
    content = json.loads(path.read_text())
    assert content["current-context"] == "localkube-demo"
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert str(tmp_path) not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_waiting_says_what_for_and_shows_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "etcd.log").write_text("x" * 5000 + "disk is full\n")
    with pytest.raises(StartError, match=r"etcd was not ready after 0 s[\s\S]*disk is full"):
        wait_until("etcd", lambda: False, seconds=0, log_folder=tmp_path)
