"""The web application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestpost_crm.settings")
application = get_wsgi_application()

from guestpost_crm.crypto.services import tenant_key  # noqa: E402 - models need Django set up

# At the start: a pod whose key does not open never becomes ready, and the one before it goes on.
tenant_key()
