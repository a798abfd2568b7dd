"""The broker at work with just the rights that the chart gives its service account."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_broker.kubernetes import ApiKubernetes, Claim
from kubernetes.aio import client as aio
from kubernetes.aio import config as aio_config


@pytest.fixture
def tenants_web(installed: Any) -> str:
    """A tenant's namespace with the account of its web."""
    name = "gpt-accounts-web"
    installed.tenant("accounts-web")
    installed.kubectl("create", "namespace", name)
    installed.kubectl("create", "serviceaccount", "web", "-n", name, *installed.KUBELET)
    return name


@pytest.mark.promise("P5.2")
async def test_the_broker_knows_tenants_and_claims_mailboxes_with_its_rights(
    installed: Any, tenants_web: str
) -> None:
    settings = aio.Configuration()
    await aio_config.load_kube_config(
        config_file=str(installed.kubeconfig_of("broker")), client_configuration=settings
    )
    async with aio.ApiClient(settings) as api:
        broker = ApiKubernetes(api)
        token = installed.token("web", tenants_web, audience="guestpost-broker")
        assert await broker.review(token) == f"system:serviceaccount:{tenants_web}:web"
        assert await broker.review(installed.token("web", tenants_web)) is None, "a token for something else"
        tenant = await broker.tenant("accounts-web")
        assert tenant is not None
        claim = Claim("mailbox-" + "ab" * 20, tenant.name, tenant.uid)
        assert await broker.create_claim(claim)
        assert not await broker.create_claim(Claim(claim.name, "other", tenant.uid))
        found = await broker.claim(claim.name)
        assert found is not None
        assert found.tenant_uid == tenant.uid
        await broker.delete_claim(found)
        assert await broker.claim(claim.name) is None
