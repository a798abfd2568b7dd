"""The API's addresses, for those who ask for the API."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

ROOT = "/api/v1/"
DESCRIPTION = f"{ROOT}openapi.json"


class ApiAddresses:
    """Lets requests below ROOT find the API. The libraries behind it take 12 MiB, which few servers need."""

    def __init__(self, following: Callable[[HttpRequest], HttpResponse]) -> None:
        self._following = following

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Choose the addresses (https://docs.djangoproject.com/en/5.2/ref/request-response/, urlconf)."""
        if request.path_info.startswith(ROOT):
            request.urlconf = "guestpost_crm.integrations.addresses"
        return self._following(request)
