"""`kubectl guestpost` against a real API server, on which the test plays the operator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectl_guestpost.__main__ import main
from kubernetes import client, config
from localkube import binaries

SCRIPTS = Path(sys.executable).parent
TIMES = {"lastTransitionTime": "2026-11-24T12:00:00Z", "observedGeneration": 1}


@pytest.fixture
def guestpost(installed: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """guestpost("list") → exit status, standard output, standard error."""

    def run(*typed: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*typed, "--kubeconfig", str(installed.plane.kubeconfig)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def told(installed: Any, name: str, *, ready: bool = True, phase: str = "Running", **status: Any) -> None:
    """Write a tenant's status as the operator does."""
    tenant = json.loads(installed.kubectl("get", "gpt", name, "-o", "json"))
    reason = phase if ready else "DatabaseNotReady"
    conditions = [{"type": "Ready", "status": str(ready), "reason": reason, "message": "", **TIMES}]
    conditions += [{**each, **TIMES} for each in status.pop("conditions", [])]
    body = {
        "status": {
            "observedGeneration": tenant["metadata"]["generation"],
            "phase": phase,
            "conditions": conditions,
            "namespace": {"name": f"gpt-{name}", "uid": tenant["metadata"]["uid"]},
            "app": {"url": f"https://{name}.crm.example.com", "version": "0.1.0"},
            **status,
        }
    }
    installed.kubectl("patch", "gpt", name, "--subresource=status", "--type=merge", "-p", json.dumps(body))


def once(met: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Do something, while a command waits, as soon as what it asked for is there."""

    def play() -> None:
        deadline = time.monotonic() + 20
        while not met() and time.monotonic() < deadline:
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


def spec(installed: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(installed.kubectl("get", "gpt", name, "-o", "json"))["spec"]
    return found


def test_tenants_are_listed_with_what_is_wrong(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-well")
    installed.tenant("plugin-ill")
    told(installed, "plugin-well")
    why = {"type": "DatabaseReady", "status": "False", "reason": "Pending", "message": "no node fits"}
    told(installed, "plugin-ill", ready=False, phase="Degraded", conditions=[why])
    code, out, _ = guestpost("list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert lines["NAME"].split() == ["NAME", "PHASE", "READY", "PLAN", "REGION", "VERSION", "AGE", "WHY"]
    assert "Running" in lines["plugin-well"]
    assert lines["plugin-ill"].endswith("Pending: no node fits")
    _, troubled, _ = guestpost("list", "--troubled", "-o", "name")
    assert "plugin-ill" in troubled.split()
    assert "plugin-well" not in troubled.split()
    _, out, _ = guestpost("status", "plugin-ill")
    assert "DatabaseReady: see docs/runbooks/database-not-ready.md" in out


def test_a_tenant_that_is_not_there_is_told_with_names_that_are_alike(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-alike")
    code, _, err = guestpost("status", "plugin-alik")
    assert code == 1
    assert "there is no tenant plugin-alik in context" in err
    assert "plugin-alike" in err


def test_suspend_waits_until_it_is_so_and_resume_takes_the_reason_away(
    installed: Any, guestpost: Any
) -> None:
    installed.tenant("plugin-states")
    told(installed, "plugin-states")
    playing = once(
        lambda: spec(installed, "plugin-states")["state"] == "Suspended",
        lambda: told(installed, "plugin-states", phase="Suspended"),
    )
    code, out, err = guestpost(
        "suspend", "plugin-states", "--reason", "The invoice of May is open", "--timeout", "20s"
    )
    playing.join()
    assert (code, out) == (0, "tenant plugin-states: Suspended\n"), err
    assert spec(installed, "plugin-states")["suspendReason"] == "The invoice of May is open"
    guestpost("hibernate", "plugin-states", "--no-wait")
    asked = spec(installed, "plugin-states")
    assert (asked["state"], asked["suspendReason"]) == ("Hibernated", "The invoice of May is open")
    code, out, _ = guestpost("resume", "plugin-states", "--no-wait")
    assert (code, out) == (0, "tenant plugin-states: Running was asked for\n")
    assert "suspendReason" not in spec(installed, "plugin-states")


def test_who_waits_in_vain_hears_what_it_was_like_last(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-slow")
    told(installed, "plugin-slow", ready=False, phase="Provisioning")
    code, _, err = guestpost("resume", "plugin-slow", "--timeout", "1s")
    assert code == 1
    assert "is not so far after 1 s (Provisioning: DatabaseNotReady)" in err


def test_what_the_api_server_refuses_is_shown_by_field(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-refused")
    code, _, err = guestpost("suspend", "plugin-refused", "--reason", "two\nlines", "--no-wait")
    assert code == 1
    assert "could not set tenant plugin-refused to Suspended" in err
    assert "spec.suspendReason must be one line of plain text" in err


@pytest.fixture
def with_namespace(installed: Any) -> Callable[[str], None]:
    """A tenant with its namespace, as the operator makes it."""

    def make(name: str) -> None:
        installed.tenant(name)
        told(installed, name)
        labels = {"guestpostcrm.com/tenant": name}
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": f"gpt-{name}", "labels": labels},
        }
        operator = "--as=system:serviceaccount:guestpost-system:operator"
        installed.kubectl("create", operator, "-f", "-", stdin=yaml.safe_dump(body))

    return make


def test_an_export_is_followed_until_it_is_complete(
    installed: Any, guestpost: Any, with_namespace: Any
) -> None:
    with_namespace("plugin-export")
    # By the operator's own token, for a policy asks for that; who acts as it tells of no export.
    api = config.new_client_from_config(str(installed.kubeconfig_of("operator")))
    where = ("guestpostcrm.com", "v1alpha1", "gpt-plugin-export", "tenantexports", "leaving")

    def tell(status: dict[str, Any]) -> None:
        client.CustomObjectsApi(api).patch_namespaced_custom_object_status(*where, {"status": status})

    def export() -> None:
        tell({"phase": "Running", "progress": {"messages": 1_200, "total": 5_000}})
        counts = {"mailboxes": 1, "messages": 5_000, "records": 9}
        complete = {"phase": "Complete", "counts": counts, "bytes": 1_024, "sha256": "ab" * 32,
                    "expiresAt": "2099-01-01T00:00:00Z"}  # fmt: skip
        tell(complete)

    def asked() -> bool:
        named = ("get", "gpx", "-n", "gpt-plugin-export", "-o", "name")
        return "leaving" in installed.kubectl(*named)

    playing = once(asked, export)
    code, out, err = guestpost(
        "export", "plugin-export", "--name", "leaving", "--keep", "2d", "--timeout", "20s"
    )
    playing.join()
    assert code == 0, err
    assert "export leaving is complete: 5,000 messages, 1,024 bytes, sha256 abab" in out
    assert "downloads it at https://plugin-export.crm.example.com, until 2099-01-01 00:00 UTC" in out
    made = json.loads(installed.kubectl("get", "gpx", "leaving", "-n", "gpt-plugin-export", "-o", "json"))
    assert made["spec"] == {"requestedBy": "Staff", "retentionSeconds": 172_800}
    code, _, err = guestpost("export", "plugin-export", "--keep", "90d", "--no-wait")
    assert code == 1
    assert "retentionSeconds" in err


def test_support_access_is_asked_for_shown_and_withdrawn(
    installed: Any, guestpost: Any, with_namespace: Any
) -> None:
    with_namespace("plugin-grants")
    asked = ("grants", "request", "plugin-grants", "--subject", "sam@support.example", "--name", "one")
    code, out, err = guestpost(*asked, "--reason", "Ticket 4711: mail is late", "--for", "2h")
    assert code == 0, err
    assert "the owner of plugin-grants decides in the CRM" in out
    _, out, _ = guestpost("grants", "list", "plugin-grants")
    assert out.splitlines()[1].split()[:4] == ["one", "Requested", "Browse", "sam@support.example"]
    code, _, err = guestpost(*asked[:-1], "two", "--reason", "Ticket 4711: mail is late", "--for", "9h")
    assert code == 1
    assert "durationSeconds" in err
    code, out, _ = guestpost("grants", "withdraw", "plugin-grants", "one")
    assert (code, out) == (0, "grant one of tenant plugin-grants is withdrawn\n")
    assert guestpost("grants", "list", "plugin-grants")[1] == "No grants.\n"


def test_an_erasure_takes_a_typed_name_and_can_be_taken_back(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-erase", deletion={"protected": True})
    code, _, err = guestpost("erase", "plugin-erase", "--confirm", "plugin-erase")
    assert code == 1
    assert "is protected from deletion" in err
    code, _, err = guestpost("erase", "plugin-erase", "--unprotect", "--confirm", "plugin")
    assert code == 1
    assert "nothing was done" in err
    assert spec(installed, "plugin-erase")["deletion"]["protected"]
    code, out, err = guestpost(
        "erase", "plugin-erase", "--unprotect", "--confirm", "plugin-erase", "--grace", "2d"
    )
    assert code == 0, err
    assert "begins in 2d" in out
    deletion = spec(installed, "plugin-erase")["deletion"]
    assert (deletion["requested"], deletion["protected"], deletion["gracePeriodSeconds"]) == (
        True,
        False,
        172_800,
    )
    assert guestpost("keep", "plugin-erase", "--protect")[0] == 0
    deletion = spec(installed, "plugin-erase")["deletion"]
    assert (deletion["requested"], deletion["protected"]) == (False, True)
    code, _, err = guestpost("keep", "plugin-erase")
    assert code == 1
    assert "nobody asked for the erasure" in err


def test_an_erasure_at_once_is_followed_to_its_end(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-gone")
    code, out, err = guestpost(
        "erase", "plugin-gone", "--now", "--confirm=plugin-gone", "--wait", "--timeout", "20s"
    )
    assert code == 0, err
    assert "tenant plugin-gone is erased" in out
    assert "not found" in installed.refused("get", "gpt", "plugin-gone")


def test_only_the_step_that_blocks_is_given_up(installed: Any, guestpost: Any) -> None:
    installed.tenant("plugin-blocked")
    blocked = {
        "type": "DeletionBlocked",
        "status": "True",
        "reason": "Refused",
        "message": "the project is gone",
    }
    told(installed, "plugin-blocked", ready=False, conditions=[blocked], deletion={"blockedBy": "Messaging"})
    reason = ("--reason", "project acme-old was shut down by Google")
    code, _, err = guestpost("abandon", "plugin-blocked", "Database", *reason, "--confirm", "Database")
    assert code == 1
    assert "it is blocked by Messaging" in err
    assert guestpost("abandon", "plugin-blocked", "Messaging", *reason, "--confirm", "Messaging")[0] == 0
    assert spec(installed, "plugin-blocked")["deletion"]["abandon"] == [
        {"step": "Messaging", "reason": "project acme-old was shut down by Google"}
    ]


def test_the_rollout_is_paused_with_a_reason_and_resumed(
    installed: Any, guestpost: Any, rollout: Callable[[], dict[str, str]]
) -> None:
    installed.tenant("plugin-released")
    told(installed, "plugin-released")
    _, out, _ = guestpost("rollout", "status")
    first, _, heading, *rows = out.splitlines()
    assert (first, heading.split()) == (
        "The rollout is not paused",
        ["VERSION", "TENANTS", "READY", "BLOCKED"],
    )
    assert any(each.split()[0] == "0.1.0" for each in rows)
    assert guestpost("rollout", "resume")[2] == "error: the rollout is not paused\n"
    assert guestpost("rollout", "pause", "--reason", "Ticket 7")[0] == 0
    assert rollout() == {"paused": "true", "reason": "Ticket 7"}
    _, out, _ = guestpost("rollout", "status")
    assert re.match(r"The rollout is paused for \d+s: Ticket 7\n", out)
    # Others' reason is not overwritten.
    code, _, err = guestpost("rollout", "pause", "--reason", "Ticket 8")
    assert (code, "paused already: Ticket 7" in err) == (1, True)
    assert guestpost("rollout", "resume")[0] == 0
    assert rollout() == {"paused": "false", "reason": ""}


def test_who_may_not_pause_the_rollout_or_looks_elsewhere_is_told(
    guestpost: Any, rollout: Callable[[], dict[str, str]]
) -> None:
    code, _, err = guestpost("rollout", "status", "-n", "default")
    assert (code, "there is no ConfigMap rollout in namespace default" in err) == (1, True)
    code, _, err = guestpost("rollout", "pause", "--reason", "x", "--as", "stranger")
    assert (code, 'User "stranger" cannot get resource' in err) == (1, True)
    assert guestpost("rollout", "pause", "--reason", " ")[0] == 1
    assert rollout()["paused"] == "false"


def test_a_person_without_the_right_is_told_which_one(installed: Any, guestpost: Any) -> None:
    code, _, err = guestpost("list", "--as", "stranger")
    assert code == 1
    assert "you may not list guestposttenants" in err
    assert 'User "stranger" cannot list' in err


def test_a_cluster_that_does_not_answer_is_told_at_once(
    installed: Any, guestpost: Any, tmp_path: Path
) -> None:
    content = yaml.safe_load(installed.plane.kubeconfig.read_text(encoding="utf-8"))
    content["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "config").write_text(json.dumps(content), encoding="utf-8")
    began = time.monotonic()
    assert main(["list", "--kubeconfig", str(tmp_path / "config")]) == 1
    assert time.monotonic() - began < 5


def test_kubectl_finds_the_plugin_and_completes_it(installed: Any) -> None:
    installed.tenant("plugin-found")
    told(installed, "plugin-found")
    kubectl = str(binaries.ensure("kubectl")["kubectl"])
    environment = {
        **os.environ,
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "KUBECONFIG": str(installed.plane.kubeconfig),
    }

    def run(*typed: str) -> str:
        done = subprocess.run([kubectl, *typed], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "plugin-found" in run("guestpost", "list", "-o", "name").split()
    completed = run("__complete", "guestpost", "status", "plugin-fou").splitlines()
    assert completed == ["plugin-found\tRunning", ":4"]
