"""Every address of integrations; the API's are `guestpost_crm.integrations.addresses`."""

from __future__ import annotations

from django.urls import URLPattern, path

from guestpost_crm.integrations import views

urlpatterns: list[URLPattern] = [
    path("integrations", views.index, name="integrations"),
    path("integrations/tokens", views.make_token, name="token-make"),
    path("integrations/tokens/<int:key>/revoke", views.revoke_token, name="token-revoke"),
    path("integrations/webhooks/new", views.new_webhook, name="webhook-new"),
    path("integrations/webhooks/<int:key>", views.webhook, name="webhook"),
    path("integrations/webhooks/<int:key>/act", views.webhook_act, name="webhook-act"),
]
