"""Modules of the CRM that need Django's settings, but no database."""

import os
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def _django() -> None:
    if "guestpost_crm.settings" in sys.modules:
        return
    os.environ["DJANGO_SETTINGS_MODULE"] = "crm_settings_for_checks"
    import django

    django.setup()
