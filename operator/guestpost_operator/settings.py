"""The operator's configuration: one YAML file, written by the chart, validated here.

The `tenants` part is what tenants are rendered from; it goes into the pinned revision
(see docs/decisions/pinned-revisions.md), so changing it moves no existing tenant by itself.
"""

from __future__ import annotations

import os
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
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

    replicas: int = Field(1, ge=1, le=20)
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


class KeyKind(StrEnum):
    """What a tenant's key is in its Secret: itself, or wrapped by a key in Google's KMS."""

    SECRET = "Secret"  # noqa: S105 - a kind of object
    KMS = "KMS"


class TenantKeys(Section):
    """Where tenants' keys are.

    Attributes:
        key_ring: of each Google project and region, where a key per tenant is made.
        egress: of exports, which else reach no Google: how they get to KMS and to their identity.
    """

    kind: KeyKind = KeyKind.SECRET
    key_ring: str = Field("", pattern="^[a-zA-Z0-9_-]{0,63}$")
    egress: list[dict[str, Any]] = []

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == KeyKind.KMS and not self.key_ring:
            raise ValueError("kind KMS needs keyRing: the name of the key ring in each project and region")
        return self


class Google(Section):
    """Google's addresses; all default to the real ones in the CRM itself."""

    gmail_api_endpoint: str = ""
    issuer: str = ""
    certs_url: str = ""
    pubsub_emulator_host: str = ""
    kms_emulator_host: str = ""


class MailSecurity(StrEnum):
    """How the way to a mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Mail(Section):
    """The mail server that CRMs write invitations and notices through; without a host they write none.

    Attributes:
        user: whom sync signs in as; empty where the server knows us by our network.
        secret_name: Secret of each tenant's namespace with `password`; the operator does not make it.
        sender: the address that notices come from.
        ca: PEM of the authority that the server's certificate is checked with; empty is the system's.
        peers: where the server is, as NetworkPolicy writes it; empty is outside the cluster.
    """

    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    security: MailSecurity = MailSecurity.STARTTLS
    user: str = ""
    secret_name: str = ""
    sender: str = Field("", alias="from")
    ca: str = ""
    peers: list[dict[str, Any]] = []

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.host and "@" not in self.sender:
            raise ValueError("host needs from: the address that notices come from")
        if bool(self.user) != bool(self.secret_name):
            raise ValueError("user and secretName go together: the Secret with the user's password")
        if self.user and self.security == MailSecurity.NONE:
            raise ValueError("security none would send the password of user for all to read")
        return self


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
    keys: TenantKeys = TenantKeys()
    broker: Broker = Broker()
    mail: Mail = Mail()
    support_contact: str = ""


class GoogleProject(Section):
    """A Google project that tenants may live in."""

    number: str = Field("", pattern="^[0-9]*$", coerce_numbers_to_str=True)
    workload_identity_pool: str = ""
    client_id: str = ""
    gmail_push_account: str = "gmail-api-push@system.gserviceaccount.com"


class Strategy(StrEnum):
    """How existing tenants get another revision.

    Waves: canaries, a soak, then so many at a time. Hold: not at all. Immediate: all at once (development).
    """

    WAVES = "Waves"
    HOLD = "Hold"
    IMMEDIATE = "Immediate"


class Day(StrEnum):
    """A day of the week, in ISO's order."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class Window(Section):
    """When tenants of some regions, or of all, may be moved; at most a day long."""

    regions: list[str] = []
    days: list[Day] = Field(default=list(Day), min_length=1)
    # As text: YAML takes 02:00 without quotes for a number.
    start: str = Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")
    duration_minutes: int = Field(ge=1, le=1440)
    time_zone: str = "UTC"

    @property
    def begins(self) -> time:
        """The time of day at which it begins."""
        return time.fromisoformat(self.start)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; write Europe/Berlin") from error
        return value


class Rollout(Section):
    """How releases move through the fleet: docs/decisions/releases.md.

    Attributes:
        canary_soak_seconds: how long canaries have to be well before anybody else moves.
        wave_size: how many move at a time.
        wave_soak_seconds: how long a wave has to be well before the next one moves.
        fail_after_seconds: after so long without being well, a move has failed.
        max_failures: with more failures than this nobody else moves.
        keep_revisions_days: how long a stored revision is kept that no tenant uses.
    """

    strategy: Strategy = Strategy.WAVES
    canary_soak_seconds: float = Field(3600, ge=0)
    wave_size: int = Field(10, ge=1)
    wave_soak_seconds: float = Field(300, ge=0)
    fail_after_seconds: float = Field(900, gt=0)
    max_failures: int = Field(0, ge=0)
    windows: list[Window] = []
    keep_revisions_days: float = Field(30, ge=0)

    @property
    def keep_revisions(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(days=self.keep_revisions_days)

    @property
    def canary_soak(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(seconds=self.canary_soak_seconds)

    @property
    def wave_soak(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(seconds=self.wave_soak_seconds)

    @property
    def fail_after(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(seconds=self.fail_after_seconds)


class OperatorSettings(Section):
    """How the operator itself runs.

    `concurrency` bounds tenants at work and writes under way. `lease_seconds` is for how long another
    operator waits for one that has fallen silent. `admission_policies` are those that the chart has made.
    Every `rotate_keys_days` a tenant's keys and passwords are exchanged, 0 for only when somebody asks;
    for `key_overlap_seconds` the old keys still verify.
    """

    concurrency: int = Field(16, ge=1, le=256)
    resync_seconds: float = Field(3600, gt=0)
    request_timeout_seconds: float = Field(30, gt=0)
    lease_seconds: int = Field(12, ge=6, le=60)
    rotate_keys_days: int = Field(0, ge=0, le=3650)
    key_overlap_seconds: float = Field(43_200, ge=0, le=2_592_000)
    metrics_port: int = Field(9090, ge=0, le=65535)
    health_port: int = Field(8080, ge=0, le=65535)
    namespace: str = Field("guestpost-system", min_length=1)
    admission_policies: list[str] = []
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


class Config(Section):
    """The whole file."""

    tenants: TenantsConfig
    google_projects: dict[str, GoogleProject]
    rollout: Rollout = Rollout()
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
