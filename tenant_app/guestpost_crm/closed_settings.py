"""Django's settings of a server that is gone: one page, no database, no key, no session."""

from __future__ import annotations

from pathlib import Path

from django.core.management.utils import get_random_secret_key

from guestpost_crm.environment import current

SECRET_KEY = get_random_secret_key()  # signs nothing
DEBUG = False
ALLOWED_HOSTS = ["*"]  # every address gets the same page
ROOT_URLCONF = "guestpost_crm.privacy.closed"
INSTALLED_APPS = ["django.contrib.staticfiles", "guestpost_crm.web"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "guestpost_crm.web.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "web" / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.i18n"]},
    }
]
SECURE_HSTS_SECONDS = 63_072_000 if current().secure else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # as in settings.py; a test compares them
LOCALE_PATHS = [Path(__file__).resolve().parent / "web" / "locale"]
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
