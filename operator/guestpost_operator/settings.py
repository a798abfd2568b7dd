"""The operator's configuration: one YAML file, written by the chart, validated here.

The `tenants` part is what tenants are rendered from; it goes into the pinned revision
(see docs/decisions/pinned-revisions.md), so changing it moves no existing tenant by itself.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

CONFIG_VARIABLE = "GUESTPOST_CONFIG"
DEFAULT_CONFIG = Path("/etc/guestpost/config.yaml")

Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([mkMGTP]|[KMGTP]i)?$")]


class ConfigurationError(Exception):
    """The configuration file is missing, unreadable or wrong; the message says where."""


class Section(BaseModel):
    """A part of the file: camelCase keys, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Resources(Section):
    """Container resources, as Kubernetes writes them."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class Workload(Section):
    """Size of the web or sync Deployment."""

    replicas: int = Field(1, ge=0, le=20)
    resources: Resources = Resources()


class DatabasePlan(Section):
    """Size of the PostgreSQL Cluster; `storage` is the least a tenant gets."""

    instances: int = Field(1, ge=1, le=9)
    resources: Resources = Resources()
    storage: Quantity = "1Gi"


class Plan(Section):
    """What a tenant of this plan gets. `quota` is ResourceQuota.spec.hard."""

    web: Workload = Workload()
    sync: Workload = Workload()
    database: DatabasePlan = DatabasePlan()
    quota: dict[str, Quantity] = {}


class Region(Section):
    """Where a region's pods and volumes go; an empty storage class means the cluster's default."""

    node_selector: dict[str, str] = {}
    storage_class_name: str = ""


class Images(Section):
    """Container images of a tenant's pods."""

    crm: str = Field(min_length=1)
    postgresql: str = Field(min_length=1)


class RoutingKind(StrEnum):
    """How requests reach a tenant's web."""

    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"
    NONE = "None"


class Gateway(Section):
    """The Gateway that an HTTPRoute attaches to."""

    name: str = ""
    namespace: str = ""
    section_name: str = ""


class Routing(Section):
    """Host names, public addresses, and who may connect to the web's port."""

    kind: RoutingKind = RoutingKind.NONE
    domain: str = Field("localhost", min_length=1)
    scheme: str = Field("https", pattern=r"^https?$")
    port: int | None = Field(None, ge=1, le=65535)
    class_name: str = ""
    gateway: Gateway = Gateway()
    tls_secret_name: str = ""
    annotations: dict[str, str] = {}
    allowed_namespaces: list[str] = []


class Dns(Section):
    """Where the cluster's DNS answers: pods by label, addresses where it runs outside pods."""

    namespace: str = "kube-system"
    pod_labels: dict[str, str] = {"k8s-app": "kube-dns"}
    cidrs: list[str] = []


class ApiServer(Section):
    """Where the Kubernetes API server answers; only database pods may connect to it."""

    cidrs: list[str] = ["0.0.0.0/0"]
    ports: list[int] = [443, 6443]


class Network(Section):
    """What network policies need to know about this cluster."""

    cluster_cidrs: list[str] = Field(default=[], alias="clusterCIDRs")
    dns: Dns = Dns()
    api_server: ApiServer = ApiServer()
    broker_namespace: str = "guestpost-system"
    database_operator_namespace: str = "cnpg-system"
    monitoring_namespaces: list[str] = []
    extra_egress: list[dict[str, Any]] = []


class Google(Section):
    """Google's addresses; all default to the real ones in the CRM itself."""

    gmail_api_endpoint: str = ""
    issuer: str = ""
    certs_url: str = ""
    pubsub_emulator_host: str = ""


class Broker(Section):
    """Where tenants reach the consent broker, and the CA file that vouches for it."""

    url: str = "https://broker.guestpost-system.svc"
    ca_file: str = ""


class TenantsConfig(Section):
    """Everything tenants are rendered from, besides the templates."""

    images: Images
    image_pull_policy: str = Field("IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    plans: dict[str, Plan]
    regions: dict[str, Region]
    routing: Routing = Routing()
    network: Network = Network()
    google: Google = Google()
    broker: Broker = Broker()
    support_contact: str = ""


class GoogleProject(Section):
    """A Google project that tenants may live in."""

    number: str = Field("", pattern="^[0-9]*$", coerce_numbers_to_str=True)
    workload_identity_pool: str = ""
    client_id: str = ""
    gmail_push_account: str = "gmail-api-push@system.gserviceaccount.com"


class Rollout(StrEnum):
    """Pinned: existing tenants keep their revision. Immediate: all move at once (development)."""

    PINNED = "Pinned"
    IMMEDIATE = "Immediate"


class OperatorSettings(Section):
    """How the operator itself runs. `concurrency` bounds tenants at work and writes under way."""

    concurrency: int = Field(16, ge=1, le=256)
    resync_seconds: float = Field(3600, gt=0)
    request_timeout_seconds: float = Field(30, gt=0)
    metrics_port: int = Field(9090, ge=0, le=65535)
    health_port: int = Field(8080, ge=0, le=65535)
    namespace: str = Field("guestpost-system", min_length=1)
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


class Config(Section):
    """The whole file."""

    tenants: TenantsConfig
    google_projects: dict[str, GoogleProject]
    rollout: Rollout = Rollout.PINNED
    operator: OperatorSettings = OperatorSettings()


def load(path: Path | None = None) -> Config:
    """Read and validate the configuration file.

    Args:
        path: the file; by default what GUESTPOST_CONFIG names, else /etc/guestpost/config.yaml.

    Raises:
        ConfigurationError: when it can't be read, isn't YAML or doesn't fit.
    """
    path = path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; set {CONFIG_VARIABLE} to the file") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"{path}: {problems}") from error
