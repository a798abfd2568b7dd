"""Two tenants of one production installation, as the chart and the operator render them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator import render, revision, settings
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant, parse
from guestpost_operator.exports import Run
from guestpost_operator.states import Wanted
from guestpost_operator.support import Shell
from localkube import binaries

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/guestpost-operator"
NAMESPACE = "guestpost-system"
UIDS = {"acme": "0b7c4d1e-1111-4222-8333-444455556666", "beta": "1c8d5e2f-1111-4222-8333-444455556666"}


@pytest.fixture(scope="session")
def chart() -> list[dict[str, Any]]:
    """The chart with its production values."""
    command = [str(binaries.ensure("helm")["helm"]), "template", "guestpost", str(CHART), "-n", NAMESPACE,
               "-f", str(CHART / "ci/production-values.yaml")]  # fmt: skip
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


@pytest.fixture(scope="session")
def config(chart: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> settings.Config:
    """The operator's configuration."""
    (found,) = [each for each in chart if each["metadata"]["name"] == "operator-config"]
    path = tmp_path_factory.mktemp("isolation") / "config.yaml"
    path.write_text(found["data"]["config.yaml"], encoding="utf-8")
    return settings.load(path)


@pytest.fixture(scope="session")
def tenants() -> dict[str, Tenant]:
    """Two customers of one region and one Google project."""
    spec = {"owner": {"name": "Anna Reyes", "email": "anna@acme.example"}, "region": "europe-west1",
            "googleProject": "acme-crm-prod"}  # fmt: skip
    bodies = {
        name: {"metadata": {"name": name, "uid": uid, "generation": 1}, "spec": spec}
        for name, uid in UIDS.items()
    }
    return {name: parse(body) for name, body in bodies.items()}


@pytest.fixture(scope="session")
def rendered(tenants: dict[str, Tenant], config: settings.Config) -> dict[str, list[dict[str, Any]]]:
    """Everything of each tenant, with an export, a Shell and a migration under way."""
    secrets = (names.SECRET_DATABASE, names.SECRET_KEYS, names.SECRET_WEB_TLS)
    credentials = render.Credentials(uids=dict.fromkeys(secrets, "x"), web_certificate="")
    shell = Shell("support-one", "grant-uid", "sam@support.example", 3600, "2026-11-24T13:00:00Z")
    now = Wanted(exports=(Run("leaving", "20Gi"),), shells=(shell,), migrate=True)
    current = revision.current(config)
    return {name: render.render(each, current, credentials, "", now) for name, each in tenants.items()}
