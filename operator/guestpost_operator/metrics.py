"""Prometheus metrics, by its naming conventions. No tenant names: their number has no bound."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("guestpost_reconciles", "Reconciles of tenants that ended, by result.", ["result"])
RECONCILE_SECONDS = Histogram(
    "guestpost_reconcile_seconds",
    "Time of one reconcile of one tenant.",
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE = Gauge("guestpost_queue_length", "Tenants that wait for a reconcile.")
IN_PROGRESS = Gauge("guestpost_reconciles_in_progress", "Tenants that are being reconciled.")
TENANTS = Gauge(
    "guestpost_tenants",
    "Tenants by the state that is asked for and the phase they are in.",
    ["state", "phase"],
)
CONDITIONS = Gauge(
    "guestpost_tenants_condition", "Tenants by condition and its status.", ["condition", "status"]
)
API_REQUESTS = Counter("guestpost_kubernetes_requests", "Requests to the API server.", ["verb", "code"])
API_SECONDS = Histogram(
    "guestpost_kubernetes_request_seconds", "Time of a request to the API server.", ["verb"]
)
PUBSUB_REQUESTS = Counter("guestpost_pubsub_requests", "Calls to Pub/Sub.", ["method", "code"])
PUBSUB_SECONDS = Histogram("guestpost_pubsub_request_seconds", "Time of a call to Pub/Sub.", ["method"])
DRIFT = Counter(
    "guestpost_drift_corrected", "Objects that were changed or deleted by others and restored.", ["kind"]
)
PRUNED = Counter(
    "guestpost_objects_pruned", "Objects that are no longer rendered and were deleted.", ["kind"]
)
ROLLOUT_STAGE = Gauge(
    "guestpost_rollout_stage", "How far the current revision is (1: this is the stage).", ["stage"]
)
ROLLOUT_TENANTS = Gauge(
    "guestpost_rollout_tenants", "Tenants that are behind, that move, and that a move failed at.", ["part"]
)
ERASURES = Counter("guestpost_erasures", "Attempts to erase a tenant, by result.", ["result"])
WATCH_RESTARTS = Counter(
    "guestpost_watch_restarts", "Watches that began again, by kind and why.", ["kind", "why"]
)
POLICIES_IDLE = Gauge(
    "guestpost_admission_policies_idle", "Admission policies of the chart that are gone or refuse nothing."
)
LEADER = Gauge("guestpost_leader", "Whether this operator holds the lease and works (1) or stands by (0).")
HEARTBEAT = Gauge("guestpost_heartbeat_timestamp_seconds", "When the event loop last proved that it runs.")
