"""What customers ask for from inside the CRM, and what staff asks for in the spec; the last export."""

import datetime as dt
import json
import subprocess

import pytest
from guestpost_operator import receipts
from guestpost_operator.api import export as exports
from guestpost_operator.api import names
from guestpost_operator.backends.errors import UnavailableError
from guestpost_operator.backends.kinds import (
    DEPLOYMENT,
    EXPORT,
    NAMESPACE,
    RECEIPT,
    REQUEST,
    STATEFUL_SET,
    TENANT,
)
from localkube import binaries


def moment(seconds):
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(obj, kind):
    return next(each for each in obj["status"]["conditions"] if each["type"] == kind)


class Customer:
    """The web of one tenant that is Ready, asking."""

    def __init__(self, admin, tenants, tenant):
        self.admin, self.tenants, self.tenant = admin, tenants, tenant
        self.name = tenant["metadata"]["name"]
        self.namespace = f"gpt-{self.name}"

    async def ask(self, kind, name, **spec):
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": REQUEST.api_version, "kind": REQUEST.name, "metadata": metadata}
        return await self.admin.create(REQUEST, {**body, "spec": {"type": kind, **spec}})

    async def answered(self, name, phase, reason=""):
        async def met():
            found = await self.admin.get(REQUEST, name, self.namespace) or {}
            status = found.get("status", {})
            reasons = [each["reason"] for each in status.get("conditions", ())]
            return found if status.get("phase") == phase and (not reason or reason in reasons) else None

        return await self.tenants.eventually(met, f"{name} to be {phase} {reason}")

    async def gone(self, name):
        """A later request took its place."""

        async def met():
            return await self.admin.get(REQUEST, name, self.namespace) is None

        await self.tenants.eventually(met, f"{name} to be gone")

    async def status(self, met, what):
        async def found():
            tenant = await self.tenants.get(self.name)
            return tenant["status"] if tenant and met(tenant["status"]) else None

        return await self.tenants.eventually(found, what)

    async def receipt(self):
        found = await self.admin.get(RECEIPT, receipts.name(self.tenant["metadata"]["uid"]))
        return found["spec"]["statement"]


@pytest.fixture
def customer(start, tenants, workloads, admin):
    async def make(**deletion):
        tenant = await tenants.create(deletion=deletion)
        await tenants.wait(tenant["metadata"]["name"], "Ready")
        return Customer(admin, tenants, tenant)

    return make


@pytest.mark.promise("P9.2")
async def test_the_customer_asks_and_takes_it_back(start, customer):
    await start()
    acme = await customer(gracePeriodSeconds=3600)
    asked = await acme.ask("Erase", "one")
    answer = await acme.answered("one", "Accepted", "GracePeriod")
    created = dt.datetime.fromisoformat(asked["metadata"]["creationTimestamp"])
    due = (created + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer["status"]["eraseAfter"] == due
    running = await acme.status(
        lambda status: status.get("deletion") and status["phase"] == "Running", "the clock"
    )
    assert running["deletion"]["eraseAfter"] == due
    assert running["deletion"]["requestedBy"] == "Customer"
    # Everybody who works here is told.
    web = await acme.admin.get(DEPLOYMENT, "web", acme.namespace)
    [container] = web["spec"]["template"]["spec"]["containers"]
    assert {"name": "ERASE_AFTER", "value": due} in container["env"]
    # No spec is ever written for it.
    tenant = await acme.tenants.get(acme.name)
    assert tenant["spec"]["deletion"]["requested"] is False
    assert tenant["metadata"]["generation"] == 1

    await acme.ask("CancelErasure", "two")
    await acme.answered("two", "Accepted")
    await acme.gone("one")
    await acme.status(lambda status: "deletion" not in status, "the clock to be gone")

    async def told():
        web = await acme.admin.get(DEPLOYMENT, "web", acme.namespace)
        return "ERASE_AFTER" not in str(web["spec"])

    await acme.tenants.eventually(told, "nobody to be told any more")


@pytest.mark.promise("P9.2")
async def test_after_the_grace_period_the_tenant_is_erased(start, customer):
    await start()
    acme = await customer(gracePeriodSeconds=2)
    await acme.ask("Erase", "one", finalExport="Skip")
    await acme.tenants.wait_gone(acme.name)
    assert await acme.admin.get(NAMESPACE, acme.namespace) is None
    stated = await acme.receipt()
    assert (stated["requestedBy"], stated["verified"]) == ("Customer", True)
    waited = dt.datetime.fromisoformat(stated["startedAt"]) - dt.datetime.fromisoformat(stated["requestedAt"])
    assert waited >= dt.timedelta(seconds=2)


@pytest.mark.promise("P9.2")
async def test_protection_holds_against_the_customers_request_too(start, customer):
    await start()
    acme = await customer(gracePeriodSeconds=0, protected=True)
    await acme.ask("Erase", "one", finalExport="Skip")
    answer = await acme.answered("one", "Accepted", "Protected")
    assert "until the service lifts the protection" in condition(answer, "Accepted")["message"]
    tenant = await acme.tenants.wait(acme.name, "DeletionBlocked", "True", "Protected")
    assert "deletionTimestamp" not in tenant["metadata"]
    await acme.tenants.patch(acme.name, spec={"deletion": {"protected": False}})
    await acme.tenants.wait_gone(acme.name)


@pytest.mark.promise("P9.2")
async def test_staff_asks_in_the_spec_and_takes_it_back(start, customer):
    await start()
    acme = await customer(gracePeriodSeconds=3600)
    await acme.tenants.patch(acme.name, spec={"deletion": {"requested": True}})
    status = await acme.status(lambda status: status.get("deletion"), "the clock")
    assert status["deletion"]["requestedBy"] == "Staff"
    # A shorter period counts from when it was asked for, and the customer has no say in it.
    await acme.ask("CancelErasure", "one")
    await acme.answered("one", "Accepted", "RequestedByStaff")
    again = await acme.status(lambda status: status.get("deletion"), "the clock")
    assert again["deletion"] == status["deletion"]
    await acme.tenants.patch(acme.name, spec={"deletion": {"requested": False}})
    await acme.status(lambda status: "deletion" not in status, "the clock to be gone")
    await acme.tenants.patch(
        acme.name, spec={"deletion": {"requested": True, "gracePeriodSeconds": 0, "finalExport": "Skip"}}
    )
    await acme.tenants.wait_gone(acme.name)


@pytest.mark.promise("P9.2")
async def test_what_is_taken_back_at_the_last_moment_counts(start, customer, plane):
    """The watch cannot have told yet: the operator asks once more before it begins."""
    running = await start()
    acme = await customer(gracePeriodSeconds=2)
    body = {
        "apiVersion": REQUEST.api_version,
        "kind": REQUEST.name,
        "metadata": {"name": "two", "namespace": acme.namespace},
        "spec": {"type": "CancelErasure"},
    }
    kubectl = [str(binaries.ensure("kubectl")["kubectl"]), f"--kubeconfig={plane.kubeconfig}"]
    tried = []

    def late(method, path):
        if method == "GET" and path.endswith(f"/namespaces/{acme.namespace}/tenantrequests") and not tried:
            # Nothing else runs in the operator's loop until this has been made.
            subprocess.run([*kubectl, "create", "-f", "-"], input=json.dumps(body), text=True, check=True)
            tried.append(path)

    running.cluster.fault = late
    await acme.ask("Erase", "one")
    await acme.answered("two", "Accepted")
    await acme.gone("one")
    assert tried
    tenant = await acme.tenants.get(acme.name)
    assert "deletionTimestamp" not in tenant["metadata"]
    await acme.status(lambda status: "deletion" not in status, "the clock to be gone")


@pytest.mark.promise("P9.2")
async def test_protection_of_the_last_moment_counts(start, customer, plane):
    """kopf cannot have told yet: what the tenant is when it is about to be deleted decides."""
    running = await start()
    acme = await customer(gracePeriodSeconds=2)
    kubectl = [str(binaries.ensure("kubectl")["kubectl"]), f"--kubeconfig={plane.kubeconfig}"]
    protect = [f"guestposttenant/{acme.name}", "--type=merge", '-p={"spec":{"deletion":{"protected":true}}}']
    tried = []

    def late(method, path):
        if method == "GET" and path.endswith(f"/guestposttenants/{acme.name}") and not tried:
            tried.append(path)
            subprocess.run([*kubectl, "patch", *protect], check=True, capture_output=True)

    running.cluster.fault = late
    await acme.ask("Erase", "one")
    await acme.answered("one", "Accepted", "Protected")
    assert tried
    tenant = await acme.tenants.get(acme.name)
    assert "deletionTimestamp" not in tenant["metadata"]


@pytest.mark.promise("P3.1")
async def test_the_owners_contact_reaches_the_status(start, customer):
    await start()
    acme = await customer()
    contact = {"name": "Anna Reyes-Okafor", "email": "anna.okafor@acme.example"}
    await acme.ask("ContactChange", "one", contact=contact)
    await acme.answered("one", "Accepted")
    status = await acme.status(lambda status: status.get("contact"), "the contact")
    assert status["contact"] == contact
    assert (await acme.tenants.get(acme.name))["spec"]["owner"]["email"] == "anna@acme.example"


async def leave(acme, counts=None):
    """Delete a tenant whose last export is made by a pod that this plays; returns its status so far."""

    async def rendered():
        return await acme.admin.get(STATEFUL_SET, f"export-{exports.FINAL}", acme.namespace)

    await acme.tenants.delete(acme.name)
    await acme.tenants.eventually(rendered, "the last export's pod")
    export = await acme.admin.get(EXPORT, exports.FINAL, acme.namespace)
    assert export["spec"]["requestedBy"] == "Erasure"
    status = {
        "phase": "Complete",
        "sha256": "0a" * 32,
        "expiresAt": moment(600),
        "counts": counts or {"messages": 3},
    }
    await acme.admin.merge_status(EXPORT, exports.FINAL, acme.namespace, export["metadata"]["uid"], status)
    return export


@pytest.mark.promise("P9.1")
@pytest.mark.promise("P9.2")
async def test_the_last_export_is_served_until_it_is_downloaded(start, customer):
    await start()
    acme = await customer(finalExport="Required")
    export = await leave(acme)

    async def waits():
        found = condition(await acme.tenants.get(acme.name), "DeletionBlocked")
        return found if "the owner to download the last export" in found["message"] else None

    told = await acme.tenants.eventually(waits, "the download to be waited for")
    assert told["status"] == "False"
    web = await acme.admin.get(DEPLOYMENT, "web", acme.namespace)
    [container] = web["spec"]["template"]["spec"]["containers"]
    assert {"name": "CLOSING", "value": "leaving"} in container["env"]
    assert container["args"] == ["web"]
    sync = await acme.admin.get(DEPLOYMENT, "sync", acme.namespace)
    assert sync["spec"]["replicas"] == 0
    # Nothing is taken back any more, and no other export is made.
    await acme.ask("CancelErasure", "late")
    await acme.answered("late", "Refused", "ErasureBegun")
    uid = export["metadata"]["uid"]
    await acme.admin.merge_status(EXPORT, exports.FINAL, acme.namespace, uid, {"downloadedAt": moment(0)})
    await acme.tenants.wait_gone(acme.name)
    assert (await acme.receipt())["finalExport"] == {"outcome": "Downloaded", "sha256": "0a" * 32}


@pytest.mark.promise("P9.2")
async def test_an_export_of_a_tenant_being_erased_is_refused(start, customer):
    await start()
    acme = await customer(finalExport="Required")
    await leave(acme)
    metadata = {"name": "another", "namespace": acme.namespace}
    body = {"apiVersion": EXPORT.api_version, "kind": EXPORT.name, "metadata": metadata}
    await acme.admin.create(EXPORT, {**body, "spec": {"requestedBy": "Staff"}})

    async def refused():
        found = await acme.admin.get(EXPORT, "another", acme.namespace)
        return found if found.get("status", {}).get("phase") == "Failed" else None

    found = await acme.tenants.eventually(refused, "the export to be refused")
    assert condition(found, "Failed")["reason"] == "TenantErased"
    await acme.tenants.patch(acme.name, spec={"deletion": {"finalExport": "Skip"}})
    await acme.tenants.wait_gone(acme.name)
    assert (await acme.receipt())["finalExport"] == {"outcome": "Skipped"}


@pytest.mark.promise("P9.2")
async def test_the_last_export_expires(start, customer):
    await start()
    acme = await customer(finalExport="Required")
    export = await leave(acme)
    uid = export["metadata"]["uid"]
    await acme.admin.merge_status(EXPORT, exports.FINAL, acme.namespace, uid, {"expiresAt": moment(1)})
    await acme.tenants.wait_gone(acme.name)
    assert (await acme.receipt())["finalExport"] == {"outcome": "Expired", "sha256": "0a" * 32}


@pytest.mark.promise("P9.2")
async def test_a_server_that_holds_nothing_is_not_waited_for(start, customer):
    await start()
    acme = await customer(finalExport="Required")
    await leave(acme, counts={"messages": 0, "records": 0, "mailboxes": 0})
    await acme.tenants.wait_gone(acme.name)
    assert (await acme.receipt())["finalExport"] == {"outcome": "Empty"}


@pytest.mark.promise("P9.2")
async def test_a_last_export_that_fails_blocks_until_it_is_given_up(start, customer):
    await start()
    acme = await customer(finalExport="Required")
    export = await leave(acme)
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": "VolumeFull",
        "message": "the archive does not fit",
        "lastTransitionTime": moment(0),
    }
    changes = {"phase": "Failed", "conditions": [failed]}
    await acme.admin.merge_status(EXPORT, exports.FINAL, acme.namespace, export["metadata"]["uid"], changes)
    tenant = await acme.tenants.wait(acme.name, "DeletionBlocked", "True", "FinalExportFailed")
    assert "does not fit" in condition(tenant, "DeletionBlocked")["message"]
    abandon = [{"step": "FinalExport", "reason": "the volume cannot grow any more"}]
    await acme.tenants.patch(acme.name, spec={"deletion": {"abandon": abandon}})
    await acme.tenants.wait_gone(acme.name)
    stated = await acme.receipt()
    assert (stated["finalExport"], stated["verified"]) == ({"outcome": "Abandoned"}, False)


@pytest.mark.promise("P9.2")
async def test_a_hibernated_tenant_is_woken_for_its_last_export(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create(state="Hibernated", deletion={"finalExport": "Required"})
    acme = Customer(admin, tenants, tenant)
    await tenants.wait(acme.name, "Ready", "True", "Hibernated")
    export = await leave(acme)
    uid = export["metadata"]["uid"]
    await admin.merge_status(EXPORT, exports.FINAL, acme.namespace, uid, {"downloadedAt": moment(0)})
    await tenants.wait_gone(acme.name)
    assert (await acme.receipt())["finalExport"]["outcome"] == "Downloaded"


async def test_the_namespace_says_that_its_tenant_is_erased(start, customer):
    """What the chart's policies go by."""
    running = await start()
    acme = await customer()
    running.cluster.fault = lambda method, path: (
        UnavailableError("injected") if method == "DELETE" and path.endswith("/clusters/db") else None
    )
    await acme.tenants.delete(acme.name)
    await acme.tenants.wait(acme.name, "DeletionBlocked", "True", "Unavailable")
    namespace = await acme.admin.get(NAMESPACE, acme.namespace)
    assert namespace["metadata"]["labels"][names.LABEL_ERASING] == "true"
    running.cluster.fault = lambda method, path: None
    await acme.tenants.wait_gone(acme.name)
    assert await acme.admin.get(TENANT, acme.name) is None
