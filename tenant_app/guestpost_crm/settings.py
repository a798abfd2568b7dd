"""Django's settings; what differs between tenants comes from the environment alone."""

from __future__ import annotations

from pathlib import Path

import structlog

from guestpost_crm import environment

ENVIRONMENT = environment.current()
_PACKAGE = Path(__file__).resolve().parent

SECRET_KEY = environment.secret(ENVIRONMENT.django_secret_key_file, "DJANGO_SECRET_KEY_FILE").decode()
SECRET_KEY_FALLBACKS = [each.decode() for each in environment.earlier(ENVIRONMENT.django_secret_key_file)]
DEBUG = False
# Probes come to the pod's address; they are answered before the host is looked at.
ALLOWED_HOSTS = [ENVIRONMENT.host.partition(":")[0]]
ROOT_URLCONF = "guestpost_crm.urls"
WSGI_APPLICATION = "guestpost_crm.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": environment.database(ENVIRONMENT.database_url)}
AUTH_USER_MODEL = "accounts.Person"
LOGIN_URL = "sign-in"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "guestpost_crm.accounts",
    "guestpost_crm.audit",
    "guestpost_crm.crypto",
    "guestpost_crm.gmail",
    "guestpost_crm.inbox",
    "guestpost_crm.integrations",
    "guestpost_crm.notices",
    "guestpost_crm.outreach",
    "guestpost_crm.privacy",
    "guestpost_crm.support",
    "guestpost_crm.usage",
    "guestpost_crm.web",
    "guestpost_crm.writing",
]
MIDDLEWARE = [
    "guestpost_crm.web.middleware.Health",
    "guestpost_crm.integrations.middleware.ApiAddresses",
    "django.middleware.security.SecurityMiddleware",
    "guestpost_crm.web.middleware.Compressed",
    "guestpost_crm.web.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "guestpost_crm.web.uploads.Uploads",
    "guestpost_crm.accounts.sessions.IdleSessions",
    "guestpost_crm.accounts.middleware.Preferences",
    "guestpost_crm.privacy.middleware.Leaving",
    "guestpost_crm.accounts.middleware.SignInRequired",
    "guestpost_crm.accounts.middleware.Suspended",
    "guestpost_crm.privacy.middleware.PolicyAccepted",
    "guestpost_crm.support.guests.LookOnly",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_PACKAGE / "web" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "guestpost_crm.web.context.installation",
                "guestpost_crm.support.context.banner",
            ]
        },
    }
]
FORM_RENDERER = "guestpost_crm.web.widgets.Renderer"

# The gateway ends the browser's TLS and says so; the pod's own TLS makes every request secure anyway.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_HOST = False
SECURE_HSTS_SECONDS = 63_072_000 if ENVIRONMENT.secure else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"

# __Host- keeps sibling tenants, which are same-site, from setting our cookies (RFC 6265bis). Browsers
# take Secure cookies from http://*.localhost; elsewhere http is for tests.
_HOST = "__Host-" if ENVIRONMENT.secure else ""
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = f"{_HOST}session"
SESSION_COOKIE_SECURE = ENVIRONMENT.secure
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_NAME = f"{_HOST}csrf"
CSRF_COOKIE_SECURE = ENVIRONMENT.secure
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [ENVIRONMENT.public_url.rstrip("/")]
CSRF_FAILURE_VIEW = "guestpost_crm.web.views.csrf_failure"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [_PACKAGE / "web" / "locale"]

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 3600

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(ENVIRONMENT.log_level.lower()),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "guestpost_crm.logs.Plain", "format": "%(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # Anybody can send any name of a host, and would write it into the log.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "googleapiclient": {"level": "ERROR"},
    },
}
