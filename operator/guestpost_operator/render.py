"""From a tenant and its revision to manifests. Pure: same input, same output."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guestpost_operator import drift
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.revision import NAMESPACE_TEMPLATE, Object, Revision, RevisionError

# Where the CRM has no business besides the cluster's own ranges: private, shared, link-local,
# loopback (RFC 1918, 6598, 3927, 4193, 4291).
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
           "::1/128", "fc00::/7", "fe80::/10")  # fmt: skip


class UnsatisfiableError(Exception):
    """What the tenant asks for does not exist in its revision.

    Attributes:
        reason: CamelCase, for the condition.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Credentials:
    """What rendering needs to know of the tenant's Secrets: never their secret values.

    Attributes:
        uids: Secret name → uid; a Secret made again has another uid, and pods must roll.
        web_certificate: PEM of the web's certificate.
    """

    uids: Mapping[str, str]
    web_certificate: str

    def stamp(self, *secrets: str) -> str:
        """A short value that changes when one of these Secrets is made again."""
        return hashlib.sha256("/".join(self.uids[name] for name in secrets).encode()).hexdigest()[:16]


def hostname(tenant: Tenant, revision: Revision) -> str:
    """The tenant's host name: its own, else its name below the installation's domain."""
    return tenant.spec.hostname or f"{tenant.name}.{revision.config['routing']['domain']}"


def url(tenant: Tenant, revision: Revision) -> str:
    """The public address of the tenant's CRM, without a trailing slash."""
    routing = revision.config["routing"]
    default = {"http": 80, "https": 443}[routing["scheme"]]
    port = "" if routing["port"] in (None, default) else f":{routing['port']}"
    return f"{routing['scheme']}://{hostname(tenant, revision)}{port}"


def check(tenant: Tenant, revision: Revision) -> None:
    """Whether the revision has what the tenant asks for.

    Raises:
        UnsatisfiableError: with what there is instead.
    """
    config, spec = revision.config, tenant.spec
    for what, name, known in (
        ("Plan", spec.plan, config["plans"]),
        ("Region", spec.region, config["regions"]),
        ("GoogleProject", spec.google_project, config["clientIds"]),
    ):
        if name not in known:
            field = what[0].lower() + what[1:]
            raise UnsatisfiableError(
                f"Unknown{what}",
                f"spec.{field} {name!r} is not one of this installation's: "
                f"{', '.join(sorted(known)) or 'none'}. Add it to the chart's values, or use one of these.",
            )


def render(tenant: Tenant, revision: Revision, credentials: Credentials, broker_ca: str) -> list[Object]:
    """Everything that the tenant is made of, besides Secrets and Pub/Sub.

    Each manifest carries the hash of itself, so that a field that is no longer rendered is noticed.

    Raises:
        UnsatisfiableError: when plan, region or project are unknown.
        RevisionError: when a template fails.
    """
    check(tenant, revision)
    manifests = revision.render(context(tenant, revision), values(tenant, revision, credentials, broker_ca))
    for manifest in manifests:
        stamp(manifest)
    return manifests


def namespace(tenant: Tenant, revision: Revision) -> Object:
    """The tenant's Namespace alone; the same as `render` gives.

    Raises:
        RevisionError: when the template fails or gives something else.
    """
    own = {"tenant": {"name": tenant.name, "uid": tenant.uid, "namespace": tenant.namespace}}
    manifests = revision.render({"config": revision.config}, own, only=NAMESPACE_TEMPLATE)
    if [each["kind"] for each in manifests] != ["Namespace"]:
        raise RevisionError(f"template {NAMESPACE_TEMPLATE} of revision {revision.id}: not one Namespace")
    stamp(manifests[0])
    return manifests[0]


def stamp(manifest: Object) -> None:
    """Write the manifest's own hash into its annotations."""
    digest = drift.rendered_hash(manifest)
    manifest["metadata"].setdefault("annotations", {})[names.ANNOTATION_APPLIED] = digest


def context(tenant: Tenant, revision: Revision) -> dict[str, Any]:
    """What templates see that tenants of the same plan, region and project share.

    Revisions outlive releases: add to this and to `values`, never take away or rename.
    """
    config, spec = revision.config, tenant.spec
    return {
        "plan": config["plans"][spec.plan],
        "region": config["regions"][spec.region],
        "config": config,
        "google": {"clientId": config["clientIds"][spec.google_project]},
        "outside": outside(config["network"]["clusterCIDRs"]),
    }


def values(
    tenant: Tenant, revision: Revision, credentials: Credentials, broker_ca: str
) -> dict[str, dict[str, Any]]:
    """What templates see that is the tenant's own: strings, which they insert or find empty."""
    spec = tenant.spec
    both = (names.SECRET_DATABASE, names.SECRET_KEYS)
    return {
        "tenant": {
            "name": tenant.name,
            "uid": tenant.uid,
            "namespace": tenant.namespace,
            "owner": {"name": spec.owner.name, "email": spec.owner.email},
            "hostname": hostname(tenant, revision),
            "url": url(tenant, revision),
            "databaseSize": database_size(tenant, revision),
            "storageClass": storage_class(tenant, revision),
        },
        "messaging": {
            "topic": names.topic(spec.google_project, tenant.name, tenant.uid),
            "subscription": names.subscription(spec.google_project, tenant.name, tenant.uid),
        },
        "credentials": {
            "web": credentials.stamp(*both, names.SECRET_WEB_TLS),
            "sync": credentials.stamp(*both),
        },
        "trust": {"brokerCa": broker_ca, "webCa": credentials.web_certificate},
    }


def outside(cluster_cidrs: Iterable[str]) -> dict[str, list[str]]:
    """The ranges that "443 outside the cluster and private ranges" leaves out, by address family."""
    networks = {ipaddress.ip_network(cidr, strict=False) for cidr in (*PRIVATE, *cluster_cidrs)}
    v4 = ipaddress.collapse_addresses(
        sorted(each for each in networks if isinstance(each, ipaddress.IPv4Network))
    )
    v6 = ipaddress.collapse_addresses(
        sorted(each for each in networks if isinstance(each, ipaddress.IPv6Network))
    )
    return {"v4": [str(each) for each in v4], "v6": [str(each) for each in v6]}


def database_size(tenant: Tenant, revision: Revision) -> str:
    """Size of the database's volume: what is asked for, at least the plan's, never less than it was."""
    sizes = (
        revision.config["plans"][tenant.spec.plan]["database"]["storage"],
        tenant.spec.storage.database,
        str(tenant.status.database.get("size", "")),
    )
    return max((size for size in sizes if size), key=lambda size: drift.quantity(size) or 0)


def storage_class(tenant: Tenant, revision: Revision) -> str:
    """StorageClass of the database's volume: once made it stays; empty is the cluster's default."""
    if tenant.status.database:
        return str(tenant.status.database.get("storageClassName", ""))
    default: str = revision.config["regions"][tenant.spec.region]["storageClassName"]
    return tenant.spec.storage.class_name or default
