"""Prometheus metrics, by its naming conventions. No tenants and no mailboxes: their number has no bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from guestpost_broker.pacing import Pacer

REQUESTS = Counter("guestpost_broker_requests_total", "Requests answered.", ["operation", "outcome"])
SECONDS = Histogram("guestpost_broker_request_seconds", "Time to answer a request.", ["operation"])
OPENED = Counter(
    "guestpost_broker_seals_opened_total", "Sealed tokens that were opened, by id of the key.", ["key"]
)
FILES_READ = Gauge(
    "guestpost_broker_files_valid", "1 while keys, clients and certificate are those of the files, else 0."
)


class Backfills(Collector):
    """What the pacer has given out, looked at when somebody scrapes.

    Args:
        pacer: of this replica.
        projects: Google projects that there are.
    """

    def __init__(self, pacer: Pacer, projects: Callable[[], Iterable[str]]) -> None:
        self._pacer = pacer
        self._projects = projects

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See Collector.collect."""
        names = (
            ("guestpost_broker_backfills", "Mailboxes with a share of the quota for their first import."),
            ("guestpost_broker_backfill_units_per_minute", "Units of Gmail's quota a minute that they have."),
            ("guestpost_broker_backfills_waiting", "Mailboxes that wait for a share."),
        )
        families = [GaugeMetricFamily(name, text, labels=["project"]) for name, text in names]
        for project in sorted(self._projects()):
            for family, value in zip(families, self._pacer.in_force(project), strict=True):
                family.add_metric([project], value)
        yield from families

    def register(self) -> None:
        """Have it scraped with everything else."""
        REGISTRY.register(self)
