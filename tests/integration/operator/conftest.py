"""The fixtures are in dev/checks/operator_fixtures.py, for several suites use them."""

from operator_fixtures import (  # noqa: F401 - pytest finds fixtures here
    addresses,
    admin,
    after,
    configure,
    pubsub,
    standin,
    start,
    tenants,
    workloads,
)
