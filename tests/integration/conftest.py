"""What several parts' tests stand on: Google's stand-in, and a consent broker in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import local_services
import pytest
from google_standin.testing import GoogleStandin
from local_services import BrokerServer


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleStandin]:
    """Google on 127.0.0.1, with Pub/Sub and two OAuth clients: `app`, and the broker's."""
    with GoogleStandin() as running:
        running.control.client("app", "secret", local_services.REDIRECT)
        running.control.client(
            local_services.CLIENT_ID, local_services.CLIENT_SECRET, local_services.REDIRECT
        )
        yield running


@pytest.fixture(scope="session")
def broker(google: GoogleStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerServer]:
    """The real broker on 127.0.0.1, with a Kubernetes in memory."""
    with local_services.broker(google.url, tmp_path_factory.mktemp("broker")) as running:
        yield running
