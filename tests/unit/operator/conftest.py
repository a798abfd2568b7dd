"""A tenant and a configuration, as the operator reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant, parse
from guestpost_operator.render import Credentials
from guestpost_operator.settings import Config

UID = "0b7c4d1e-1111-4222-8333-444455556666"
PROJECT = "acme-crm-prod"


def tenant_body(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    least = {
        "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
        "region": "europe-west1",
        "googleProject": PROJECT,
    }
    metadata = {
        "name": "acme",
        "uid": UID,
        "generation": 2,
        "creationTimestamp": "2026-03-01T12:00:00Z",
        "resourceVersion": "7",
        "finalizers": [names.FINALIZER],
    }
    return {"metadata": metadata, "spec": {**least, **spec}, "status": status or {}}


def configuration(**changes: Any) -> Config:
    """A configuration with parts of `tenants` replaced; keys are dotted paths with __ for dots."""
    sizes = {"requests": {"cpu": "25m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}
    plan = {
        "web": {"replicas": 2, "resources": sizes},
        "sync": {"resources": sizes},
        "database": {"instances": 2, "storage": "10Gi", "resources": sizes},
        "quota": {"pods": "12", "requests.memory": "2Gi"},
    }
    document: dict[str, Any] = {
        "tenants": {
            "images": {"crm": "registry.example.com/crm:1.4.2", "postgresql": "registry.example.com/pg:17.5"},
            "plans": {"Starter": plan, "Growth": {**plan, "database": {"storage": "50Gi"}}},
            "regions": {
                "europe-west1": {"nodeSelector": {"zone": "eu"}, "storageClassName": "encrypted"},
                "us-east4": {},
            },
            "routing": {"kind": "Ingress", "domain": "crm.example.com", "allowedNamespaces": ["ingress"]},
            "network": {
                "clusterCIDRs": ["10.0.0.0/14", "fd00:10::/56"],
                "apiServer": {"cidrs": ["192.0.2.1/32"], "ports": [443]},
                "monitoringNamespaces": ["monitoring"],
            },
            "supportContact": "support@example.com",
        },
        "googleProjects": {
            PROJECT: {
                "number": "123456789012",
                "workloadIdentityPool": "acme.svc.id.goog",
                "clientId": "client.apps.googleusercontent.com",
            }
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document["tenants"]
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return Config.model_validate(document)


@pytest.fixture
def make_tenant() -> Callable[..., Tenant]:
    return lambda status=None, **spec: parse(tenant_body(status, **spec))


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    return tenant_body


@pytest.fixture
def configure() -> Callable[..., Config]:
    return configuration


@pytest.fixture
def credentials() -> Credentials:
    uids = {
        name: f"uid of {name}" for name in (names.SECRET_DATABASE, names.SECRET_KEYS, names.SECRET_WEB_TLS)
    }
    return Credentials(uids=uids, web_certificate="PEM of the web\n")
