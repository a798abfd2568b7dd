"""Every name that the operator gives: labels, annotations, objects, Pub/Sub ids."""

from __future__ import annotations

import hashlib

GROUP = "guestpostcrm.com"
VERSION = "v1alpha1"
TENANTS = "guestposttenants"
CLAIMS = "mailboxclaims"
EXPORTS = "tenantexports"
REQUESTS = "tenantrequests"
GRANTS = "supportgrants"
RECEIPTS = "erasurereceipts"

FIELD_MANAGER = "guestpost-operator"
FINALIZER = f"{GROUP}/erasure"

LABEL_TENANT = f"{GROUP}/tenant"
LABEL_TENANT_UID = f"{GROUP}/tenant-uid"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
# On a namespace whose tenant is being erased, and on pods that only say that the CRM is gone.
LABEL_ERASING = f"{GROUP}/erasing"
LABEL_CLOSED = f"{GROUP}/closed"
LABEL_REVISION = f"{GROUP}/revision"

ANNOTATION_PAUSED = f"{GROUP}/paused"
ANNOTATION_REQUESTED = f"{GROUP}/reconcile-requested-at"
ANNOTATION_VERSION = f"{GROUP}/crm-version"
# On a stored revision: since when no tenant has used it (RFC 3339).
ANNOTATION_UNUSED = f"{GROUP}/unused-since"
ANNOTATION_APPLIED = f"{GROUP}/applied-hash"
# On the Secret with the tenant's keys: the public half of the one that its web signs approvals with, base64.
ANNOTATION_APPROVAL_KEY = f"{GROUP}/approval-public-key"
# On a tenant, by a person: exchange its keys and passwords; another value, such as the time, does it again.
ANNOTATION_ROTATE = f"{GROUP}/rotate-keys-requested-at"
# On the Secrets that an exchange makes: how far it is, and which Secret each takes the place of.
ANNOTATION_STAGE = f"{GROUP}/rotation-stage"
ANNOTATION_REPLACES = f"{GROUP}/replaces-uid"
ANNOTATION_MADE_FROM = f"{GROUP}/made-from-uid"

# Secrets of a tenant: made once by the operator, mounted by its pods.
SECRET_DATABASE = "db-credentials"  # noqa: S105
SECRET_KEYS = "crm-keys"  # noqa: S105
# There while the keys are exchanged: what is in it takes their place.
SECRET_KEYS_NEXT = "crm-keys-next"  # noqa: S105
SECRET_WEB_TLS = "web-tls"  # noqa: S105
# What pods mount once the keys were exchanged begins so: see `mounted_keys`.
SECRET_KEYS_COPY = f"{SECRET_KEYS}-"

# The application's logins of PostgreSQL, and the Secret of each. The first owns all; the other one acts as it
# and is there from the first rotation on: while one is in use, the other one gets a new password.
LOGIN, OTHER_LOGIN = "crm", "crm_b"
LOGINS = {LOGIN: SECRET_DATABASE, OTHER_LOGIN: f"{SECRET_DATABASE}-b"}

# In the operator's namespace: the key that signs receipts, and the public ones that check them.
SECRET_RECEIPTS = "erasure-receipt-key"  # noqa: S105
RECEIPT_KEYS = "erasure-receipt-public-keys"
# There too: whether people have paused the rollout. The chart names it in the roles of staff.
ROLLOUT = "rollout"

# Who asks the API server for something in a tenant's namespace: accounts of the tenant, and a person of the
# service for whom a terminal is open. The chart says what each may.
TENANT_ROLES = ("web", "export", "shell")

# Owned objects carry both: what the watches select, and what pruning may touch.
OWNED_SELECTOR = f"{LABEL_MANAGED_BY}={FIELD_MANAGER},{LABEL_TENANT_UID}"


def namespace(tenant: str) -> str:
    """The namespace of a tenant."""
    return f"gpt-{tenant}"


def tenant_role(account: str) -> str:
    """The ClusterRole that is bound to an account in its tenant's namespace."""
    return f"guestpost-tenant-{account}"


def messaging_id(tenant: str, uid: str) -> str:
    """Last part of the topic's and the subscription's name; a tenant made again gets another one."""
    return f"gpt-{tenant}-{uid[:8]}"


def topic(project: str, tenant: str, uid: str) -> str:
    """Full name of a tenant's topic."""
    return f"projects/{project}/topics/{messaging_id(tenant, uid)}"


def subscription(project: str, tenant: str, uid: str) -> str:
    """Full name of a tenant's subscription."""
    return f"projects/{project}/subscriptions/{messaging_id(tenant, uid)}"


def mounted_keys(uid: str) -> str:
    """Name of the copy of the Secret with the tenant's keys, by that one's uid, which pods mount."""
    return f"{SECRET_KEYS_COPY}{hashlib.sha256(uid.encode()).hexdigest()[:12]}"


def key_ring(project: str, location: str, ring: str) -> str:
    """Full name of the key ring in Google's KMS that holds the tenants' keys of a project and region."""
    return f"projects/{project}/locations/{location}/keyRings/{ring}"


def kms_key(project: str, location: str, ring: str, uid: str) -> str:
    """Full name of the key in Google's KMS that wraps a tenant's key."""
    return f"{key_ring(project, location, ring)}/cryptoKeys/gpt-{uid}"


def principal(project_number: str, pool: str, namespace: str, account: str) -> str:
    """A service account of a cluster, as IAM of its Workload Identity pool names it."""
    return (
        f"principal://iam.googleapis.com/projects/{project_number}/locations/global/workloadIdentityPools/"
        f"{pool}/subject/ns/{namespace}/sa/{account}"
    )


def own_labels(component: str) -> dict[str, str]:
    """The labels of what the operator keeps for itself in its own namespace."""
    return {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_PART_OF: "guestpost", LABEL_COMPONENT: component}


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
