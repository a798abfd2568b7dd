"""The web application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from guestpost_crm import loading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestpost_crm.settings")
with loading.stays():
    application = get_wsgi_application()
    # Else the first request would load the code of all pages.
    get_resolver().url_patterns  # noqa: B018 - asking for them loads them

from guestpost_crm.crypto.services import tenant_key  # models need Django set up

# At the start: a pod whose key does not open never becomes ready, and the one before it goes on.
tenant_key()
