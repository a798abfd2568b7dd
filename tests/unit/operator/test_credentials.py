"""What is in a tenant's Secrets, and how a tenant's body is read."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guestpost_operator import credentials
from guestpost_operator.api import names
from guestpost_operator.api.tenant import InvalidTenantError, parse

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_no_two_secrets_are_alike_and_keys_are_immutable() -> None:
    for make in (credentials.database, credentials.keys):
        first, second = make("gpt-acme", {}), make("gpt-acme", {})
        assert first["immutable"] is True
        mine, other = decoded(first), decoded(second)
        assert all(mine[key] != other[key] for key in mine if key != "username")


@pytest.mark.promise("P8.1")
def test_the_tenants_key_is_of_full_strength() -> None:
    key = decoded(credentials.keys("gpt-acme", {}))["tenant-key"]
    assert len(base64.b64decode(key, validate=True)) == 32


def test_the_certificate_is_for_the_service_and_the_host_name() -> None:
    secret = credentials.web_tls("gpt-acme", {}, "crm.acme.example", NOW)
    assert secret["immutable"] is False, "pods have it mounted when it is made again"
    certificate = credentials.read_certificate(credentials.certificate_of(secret))
    assert certificate is not None
    assert certificate.hosts == {"web", "web.gpt-acme", "web.gpt-acme.svc", "crm.acme.example"}
    assert certificate.serves("gpt-acme", "crm.acme.example", NOW)
    assert not certificate.serves("gpt-acme", "other.example", NOW)
    end = NOW + timedelta(days=credentials.CERTIFICATE_DAYS)
    assert certificate.serves("gpt-acme", "crm.acme.example", end - timedelta(days=91))
    assert not certificate.serves("gpt-acme", "crm.acme.example", end - timedelta(days=89))


@pytest.mark.parametrize(
    "pem", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_none(pem: str) -> None:
    assert credentials.read_certificate(pem) is None
    assert credentials.certificate_of({}) == ""


def test_fields_of_a_newer_api_are_ignored(body: Any) -> None:
    assert parse(body(newField={"a": 1})).name == "acme"


def test_what_cannot_be_read_is_named(body: Any) -> None:
    with pytest.raises(InvalidTenantError, match=r"spec\.owner"):
        parse(body(owner=None))


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [({}, False), ({names.ANNOTATION_PAUSED: "true"}, True), ({names.ANNOTATION_PAUSED: ""}, True),
     ({names.ANNOTATION_PAUSED: "False"}, False)],
)  # fmt: skip
def test_any_value_but_false_pauses(body: Any, annotations: dict[str, str], paused: bool) -> None:
    read = body()
    read["metadata"]["annotations"] = annotations
    assert parse(read).paused is paused
