"""The kinds that the operator owns objects of, and their addresses in the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass

from guestpost_operator.api import names


@dataclass(frozen=True)
class Kind:
    """One kind of the Kubernetes API.

    Attributes:
        secret: its content is never read as a whole: watches and lists ask for metadata only.
        optional: its API may be missing in a cluster.
    """

    api_version: str
    name: str
    plural: str
    namespaced: bool = True
    secret: bool = False
    optional: bool = False

    @property
    def root(self) -> str:
        """Path of the group and version."""
        return f"/{'apis' if '/' in self.api_version else 'api'}/{self.api_version}"

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of an object or a collection; without a namespace, of the collection in all."""
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{middle}/{self.plural}" + (f"/{name}" if name else "")


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("v1", "Secret", "secrets", secret=True)
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
CLUSTER = Kind("postgresql.cnpg.io/v1", "Cluster", "clusters", optional=True)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
JOB = Kind("batch/v1", "Job", "jobs")
SERVICE = Kind("v1", "Service", "services")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", optional=True)
BACKEND_TLS_POLICY = Kind(
    "gateway.networking.k8s.io/v1", "BackendTLSPolicy", "backendtlspolicies", optional=True
)

# What is watched, kept as rendered, and pruned. The order is the one in which they are applied.
OWNED = (
    NAMESPACE,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    NETWORK_POLICY,
    SERVICE_ACCOUNT,
    ROLE_BINDING,
    SECRET,
    CONFIG_MAP,
    CLUSTER,
    DEPLOYMENT,
    STATEFUL_SET,
    JOB,
    SERVICE,
    INGRESS,
    HTTP_ROUTE,
    BACKEND_TLS_POLICY,
)
BY_NAME = {kind.name: kind for kind in OWNED}

TENANT = Kind(f"{names.GROUP}/{names.VERSION}", "GuestPostTenant", names.TENANTS, namespaced=False)
CLAIM = Kind(f"{names.GROUP}/{names.VERSION}", "MailboxClaim", names.CLAIMS, namespaced=False)
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
EXPORT = Kind(f"{names.GROUP}/{names.VERSION}", "TenantExport", names.EXPORTS, optional=True)
REQUEST = Kind(f"{names.GROUP}/{names.VERSION}", "TenantRequest", names.REQUESTS, optional=True)
GRANT = Kind(f"{names.GROUP}/{names.VERSION}", "SupportGrant", names.GRANTS, optional=True)
RECEIPT = Kind(f"{names.GROUP}/{names.VERSION}", "ErasureReceipt", names.RECEIPTS, namespaced=False)
# What people ask for in tenants' namespaces, watched as a whole.
ASKED = (EXPORT, REQUEST, GRANT)
VOLUME_CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
POD = Kind("v1", "Pod", "pods")
ADMISSION_POLICY = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
ADMISSION_BINDING = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
PERSISTENT_VOLUME = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
VOLUME_SNAPSHOT = Kind("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "volumesnapshots", optional=True)
VOLUME_SNAPSHOT_CONTENT = Kind(
    "snapshot.storage.k8s.io/v1",
    "VolumeSnapshotContent",
    "volumesnapshotcontents",
    namespaced=False,
    optional=True,
)
