"""The kinds that pages ask the API server for, and their addresses there."""

from __future__ import annotations

import re
from dataclasses import dataclass

GROUP, VERSION = "guestpostcrm.com", "v1alpha1"
# Of objects and namespaces (DNS subdomains): nothing else gets into a path of the API server.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL_UID = f"{GROUP}/tenant-uid"


@dataclass(frozen=True)
class Kind:
    """One kind of the Kubernetes API.

    Attributes:
        group: empty for the core group.
        name: such as "Deployment".
    """

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As objects write it, such as "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Path of an object or a collection; without a namespace, of the collection in all.

        Raises:
            ValueError: that is no name.
        """
        for each in filter(None, (namespace, name)):
            if not NAME.fullmatch(each):
                raise ValueError("not a name of Kubernetes")
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{middle}/{self.plural}" + (f"/{name}" if name else "")


TENANT = Kind(GROUP, VERSION, "GuestPostTenant", "guestposttenants", namespaced=False)
EXPORT = Kind(GROUP, VERSION, "TenantExport", "tenantexports")
GRANT = Kind(GROUP, VERSION, "SupportGrant", "supportgrants")
REQUEST = Kind(GROUP, VERSION, "TenantRequest", "tenantrequests")
USAGE = Kind(GROUP, VERSION, "TenantUsage", "tenantusages")
# The one of a tenant.
USAGE_NAME = "usage"
EVENT = Kind("events.k8s.io", "v1", "Event", "events")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
# The only one that is anybody's here, in the operator's namespace: whether the rollout is paused.
ROLLOUT_NAME = "rollout"

# What a tenant is made of. No Secrets and no ConfigMaps: what those hold is nobody's here.
MADE_OF = (
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
    Kind("batch", "v1", "Job", "jobs"),
    Kind("", "v1", "Pod", "pods"),
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("", "v1", "Service", "services"),
    Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    Kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("", "v1", "ResourceQuota", "resourcequotas"),
)
