"""The demo's last words lead somewhere."""

from __future__ import annotations

import re

import yaml
from guestpost_demo import __main__ as demo
from guestpost_demo import guide
from guestpost_demo.platform import ROOT

TENANT = yaml.safe_load(demo.TENANT.read_text())


def words(cluster: str) -> str:
    return guide.text(
        TENANT,
        "http://acme.localhost:8080",
        "http://dashboard.localhost:8080",
        cluster,
        demo.COLLEAGUE[0],
        93.4,
    )


def test_it_names_the_address_and_who_to_be() -> None:
    told = " ".join(words("demo").split())
    assert "Open http://acme.localhost:8080 Sign in press" in told
    assert "choose Anna Reyes <anna@acme.example>" in told
    assert "no password" in told
    assert "Staff http://dashboard.localhost:8080 is the dashboard" in told
    assert f"kubectl create token {guide.STAFF} -n staff" in told
    assert "carla@acme.example at Team" in told
    assert "Everything took 93 s." in told


def test_every_make_target_and_file_is_there() -> None:
    told = words("demo")
    targets = set(re.findall(r"make (?:-s )?([a-z-]+)", told))
    assert targets == {"demo-mail", "cluster-env", "demo-down"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)
    [example] = re.findall(r"examples/\S+", told)
    second = yaml.safe_load((ROOT / example).read_text())
    assert f"http://{second['metadata']['name']}.localhost:8080" in told
    # Its owner can sign in: Google's stand-in knows the account.
    assert second["spec"]["owner"]["email"] in dict(demo.OTHERS)


def test_another_cluster_stands_in_every_command() -> None:
    told = words("mine")
    assert "make demo-mail CLUSTER=mine" in told
    assert "make -s cluster-env CLUSTER=mine" in told
    assert "make demo-down CLUSTER=mine" in told


def test_it_fits_a_terminal() -> None:
    assert max(len(line) for line in words("demo").splitlines()) <= 100
