"""Every name that the operator gives: labels, annotations, objects, Pub/Sub ids."""

from __future__ import annotations

GROUP = "guestpostcrm.com"
VERSION = "v1alpha1"
TENANTS = "guestposttenants"
CLAIMS = "mailboxclaims"

FIELD_MANAGER = "guestpost-operator"
FINALIZER = f"{GROUP}/erasure"

LABEL_TENANT = f"{GROUP}/tenant"
LABEL_TENANT_UID = f"{GROUP}/tenant-uid"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_REVISION = f"{GROUP}/revision"

ANNOTATION_PAUSED = f"{GROUP}/paused"
ANNOTATION_REQUESTED = f"{GROUP}/reconcile-requested-at"
ANNOTATION_APPLIED = f"{GROUP}/applied-hash"

# Secrets of a tenant: made once by the operator, mounted by its pods.
SECRET_DATABASE = "db-credentials"  # noqa: S105
SECRET_KEYS = "crm-keys"  # noqa: S105
SECRET_WEB_TLS = "web-tls"  # noqa: S105

# Owned objects carry both: what the watches select, and what pruning may touch.
OWNED_SELECTOR = f"{LABEL_MANAGED_BY}={FIELD_MANAGER},{LABEL_TENANT_UID}"


def namespace(tenant: str) -> str:
    """The namespace of a tenant."""
    return f"gpt-{tenant}"


def messaging_id(tenant: str, uid: str) -> str:
    """Last part of the topic's and the subscription's name; a tenant made again gets another one."""
    return f"gpt-{tenant}-{uid[:8]}"


def topic(project: str, tenant: str, uid: str) -> str:
    """Full name of a tenant's topic."""
    return f"projects/{project}/topics/{messaging_id(tenant, uid)}"


def subscription(project: str, tenant: str, uid: str) -> str:
    """Full name of a tenant's subscription."""
    return f"projects/{project}/subscriptions/{messaging_id(tenant, uid)}"


def common_labels(tenant: str, uid: str, component: str) -> dict[str, str]:
    """The labels of every object that belongs to a tenant."""
    return {
        "app.kubernetes.io/name": "guestpost-crm",
        "app.kubernetes.io/instance": tenant,
        LABEL_COMPONENT: component,
        LABEL_PART_OF: "guestpost",
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_TENANT: tenant,
        LABEL_TENANT_UID: uid,
    }
