"""The addresses with the API's among them; only requests to the API load this (middleware.ApiAddresses)."""

from django.urls import URLPattern, URLResolver, path

from guestpost_crm.integrations.api.endpoints import urls as api
from guestpost_crm.integrations.middleware import ROOT
from guestpost_crm.urls import handler400, handler403, handler404, handler500, pages

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [*pages, path(ROOT.removeprefix("/"), api)]
