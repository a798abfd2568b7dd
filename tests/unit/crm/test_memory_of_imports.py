"""What a program does not use it does not load: an idle tenant is kept in 200 MiB (benchmarks/density.py)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASKED = "import sys; print([name for name in {names!r} if name in sys.modules])"


@pytest.mark.parametrize(
    ("imported", "names"),
    [
        # gunicorn's first process.
        (
            "import guestpost_crm.__main__, guestpost_crm.web.server",
            ["django", "structlog", "psycopg", "prometheus_client"],
        ),
        # The one that serves.
        (
            "import django; django.setup(); import guestpost_crm.urls",
            ["googleapiclient", "httplib2", "grpc", "google.cloud.pubsub_v1", "ninja", "pydantic"],
        ),
        (
            "import django; django.setup(); import guestpost_crm.gmail.supervisor",
            ["ninja", "pydantic", "google.cloud.kms_v1", "gunicorn"],
        ),
    ],
    ids=["first", "serving", "sync"],
)
def test_it_is_not_loaded(imported: str, names: list[str]) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "crm_settings_for_checks"}
    done = subprocess.run(
        [sys.executable, "-c", f"{imported}; {ASKED.format(names=names)}"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.strip() == "[]"
