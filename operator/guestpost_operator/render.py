"""From a tenant and its revision to manifests. Pure: same input, same output."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guestpost_operator import drift, states, support
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.exports import Run
from guestpost_operator.revision import (
    EXPORT_TEMPLATE,
    NAMESPACE_TEMPLATE,
    SUPPORT_TEMPLATE,
    Object,
    Revision,
    RevisionError,
)
from guestpost_operator.states import Wanted
from guestpost_operator.support import Shell

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
        login: of PostgreSQL, that the CRM uses.
        other_login: the one that is there from the first rotation on, until then "".
        keys: name of the Secret with the tenant's keys that pods mount.
    """

    uids: Mapping[str, str]
    web_certificate: str
    login: str = names.LOGIN
    other_login: str = ""
    keys: str = names.SECRET_KEYS

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


def render(
    tenant: Tenant,
    revision: Revision,
    credentials: Credentials,
    broker_ca: str,
    now: Wanted | None = None,
    app: Revision | None = None,
) -> list[Object]:
    """Everything that the tenant is made of, besides Secrets and Pub/Sub.

    Each manifest carries the hash of itself, so that a field that is no longer rendered is noticed.

    Args:
        tenant: what is asked for.
        revision: templates and configuration.
        credentials: of the tenant.
        broker_ca: PEM of the CA that vouches for the consent broker.
        now: who runs; everybody by default.
        app: revision of web and sync, if another one: they follow when the database is migrated.

    Raises:
        UnsatisfiableError: when plan, region or project are unknown.
        RevisionError: when a template fails.
    """
    check(tenant, revision)
    manifests = revision.render(context(tenant, revision), values(tenant, revision, credentials, broker_ca))
    now = now or Wanted()
    migrations = []
    if now.migrate:
        migrations = [states.job(_workload(manifests, states.SYNC), states.MIGRATE, revision.id)]
    if app is not None and app.id != revision.id:
        check(tenant, app)
        before = app.render(context(tenant, app), values(tenant, app, credentials, broker_ca))
        kept = [_workload(before, key) for key in (states.WEB, states.SYNC)]
        manifests = [each for each in manifests if not _is_app(each)] + kept
    manifests = states.apply(manifests, now) + migrations
    for run in now.exports:
        manifests += _export(tenant, revision, credentials, run)
    for shell in now.shells:
        manifests += _shell(tenant, revision, credentials, shell)
    if now.shells:
        own = _workload(manifests, ("Namespace", tenant.namespace))["metadata"]
        own["annotations"] = own.get("annotations", {}) | support.marks(now.shells)
    for manifest in manifests:
        stamp(manifest)
    return manifests


def _export(tenant: Tenant, revision: Revision, credentials: Credentials, run: Run) -> list[Object]:
    """What runs for one export."""
    given = values(tenant, revision, credentials, "") | {"export": {"name": run.name, "size": run.size}}
    manifests = revision.render(context(tenant, revision), given, only=EXPORT_TEMPLATE)
    for manifest in manifests:
        if manifest["kind"] == "StatefulSet" and not run.runs:
            manifest["spec"]["replicas"] = 0
    return manifests


def _shell(tenant: Tenant, revision: Revision, credentials: Credentials, shell: Shell) -> list[Object]:
    """What runs for one Shell, for as long as it may."""
    given = {"job": shell.job, "grant": shell.grant, "subject": shell.subject, "expires": shell.expires_at}
    both = values(tenant, revision, credentials, "") | {"support": given}
    manifests = revision.render(context(tenant, revision), both, only=SUPPORT_TEMPLATE)
    for manifest in manifests:
        if manifest["kind"] == "Job":
            manifest["spec"]["template"]["spec"]["activeDeadlineSeconds"] = shell.seconds
    return manifests


def _is_app(manifest: Object) -> bool:
    return (manifest["kind"], manifest["metadata"]["name"]) in (states.WEB, states.SYNC)


def _workload(manifests: Iterable[Object], key: tuple[str, str]) -> Object:
    return next(each for each in manifests if (each["kind"], each["metadata"]["name"]) == key)


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
    login = names.LOGINS[credentials.login]
    both = (login, names.SECRET_KEYS)
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
            "login": credentials.login,
            "loginSecret": login,
            # What the other login acts as.
            "role": "" if credentials.login == names.LOGIN else names.LOGIN,
            "otherLogin": credentials.other_login,
            "keysSecret": credentials.keys,
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
