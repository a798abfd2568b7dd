"""What an idle tenant keeps in memory: web, sync and PostgreSQL on the real local cluster.

    make bench NAME=density

The tenant is in use: its owner has signed in, a mailbox with a desk's mail is connected and here, pages and
searches were looked at. Then nobody does anything for a while, and the kernel is asked for what the control
groups of its three pods hold. Everything runs on a cluster named `density`, which is taken down at the end.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import guestpost_demo.__main__ as demo
import httpx
from guestpost_demo import journey, target
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until
from harness import figure, say
from localkube.box import Box

CLUSTER = "density"
NAME, OWNER = "idle", "bench@example.com"
COMPONENTS = {"web": "app.kubernetes.io/component=web", "sync": "app.kubernetes.io/component=sync",
              "postgresql": "cnpg.io/cluster=db"}  # fmt: skip
PAGES = (
    "/",
    "/?view=all",
    "/?q=guest+post",
    "/sites",
    "/orders",
    "/contacts",
    "/reports",
    "/mailboxes",
)
MIB = 1 << 20


def tenant(platform: Platform) -> str:
    """Apply the tenant and wait until it is Ready; its address."""
    spec = {
        "owner": {"name": "Bench", "email": OWNER},
        "region": "europe-west1",
        "googleProject": "guestpost-dev",
        "deletion": {"finalExport": "Skip"},
    }
    kind = {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant"}
    platform.apply_tenant({**kind, "metadata": {"name": NAME}, "spec": spec})
    return str(platform.tenant_ready(NAME)["status"]["app"]["url"])


def use(platform: Platform, address: str) -> None:
    """A first day: sign in, connect the mailbox, read."""
    control = demo.google(platform)
    demo.fill(control, OWNER, "Bench")
    person = Person(address, OWNER)
    journey.sign_in(person)
    journey.connect_mailbox(person)
    demo.arrive(control, person, OWNER)
    until(
        "the mailbox to be here",
        lambda: "Everything is here" in person.get("/mailboxes").text,
        seconds=240,
        interval=2,
    )
    for path in PAGES:
        answer: httpx.Response = person.get(path)
        assert answer.status_code == 200, f"{path} was answered with {answer.status_code}"


def pods(platform: Platform) -> dict[str, Path]:
    """The control group of each component's pod, in the hierarchy that counts memory."""
    mount = Path("/sys/fs/cgroup")
    unified = (mount / "cgroup.controllers").exists()
    root = (mount if unified else mount / "memory") / Box(CLUSTER).group.name
    found = {}
    for component, selector in COMPONENTS.items():
        [pod] = platform.get("-n", f"gpt-{NAME}", "pods", "-l", selector)["items"]
        [found[component]] = root.rglob(f"pod{pod['metadata']['uid']}")
    return found


def memory(group: Path) -> tuple[float, float]:
    """Anonymous memory and all that is charged, of a control group of either version, in MiB."""
    text = (group / "memory.stat").read_text(encoding="ascii")
    stat = {key: int(value) for key, value in map(str.split, text.splitlines())}
    if "total_rss" in stat:
        charged = int((group / "memory.usage_in_bytes").read_text(encoding="ascii"))
        return stat["total_rss"] / MIB, charged / MIB
    return stat["anon"] / MIB, int((group / "memory.current").read_text(encoding="ascii")) / MIB


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=60, help="seconds in which nobody does anything")
    options = parser.parse_args()
    platform = target.ready(CLUSTER, target.port(CLUSTER))
    try:
        platform.install_standins()
        platform.install_operator()
        say("one tenant, until it is Ready")
        address = tenant(platform)
        say("its owner signs in, connects the mailbox and reads")
        use(platform, address)
        say(f"nobody does anything for {options.idle:.0f} s")
        time.sleep(options.idle)
        found = {component: memory(group) for component, group in pods(platform).items()}
        anonymous = {component: round(each[0], 1) for component, each in found.items()}
        total = {component: round(each[1], 1) for component, each in found.items()}
        figure("density.anonymous", sum(anonymous.values()), "MiB", **anonymous)
        figure("density.total", sum(total.values()), "MiB", **total)
    finally:
        target.remove(CLUSTER, platform.port)


if __name__ == "__main__":
    main()
