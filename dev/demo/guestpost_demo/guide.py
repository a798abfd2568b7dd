"""What a newcomer is told when everything runs: the address, and what is worth a try."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

_WIDTH = 100
# Who signs in to the dashboard.
STAFF = "demo"


def text(
    tenant: Mapping[str, Any], address: str, dashboard: str, cluster: str, colleague: str, seconds: float
) -> str:
    """The last words of the demo.

    Args:
        tenant: the manifest.
        address: of its CRM.
        dashboard: address of the pages for staff.
        cluster: its name, as in CLUSTER=….
        colleague: address of somebody with a Google account who is not in the team yet.
        seconds: how long everything took.
    """
    return "\n".join(_lines(tenant, address, dashboard, cluster, colleague, seconds))


def _lines(
    tenant: Mapping[str, Any], address: str, dashboard: str, cluster: str, colleague: str, seconds: float
) -> Iterator[str]:
    name, owner = tenant["metadata"]["name"], tenant["spec"]["owner"]
    which = "" if cluster == "demo" else f" CLUSTER={cluster}"
    yield ""
    yield from _item("Open", _bold(address))
    yield from _item(
        "Sign in",
        f"press “Sign in with Google” and choose {owner['name']} <{owner['email']}>. Google is played by a"
        " stand-in on this machine, so there is no password.",
    )
    yield from _item(
        "Staff", f"{dashboard} is the dashboard of those who run the fleet. A token to sign in with:"
    )
    yield f'{"":<11}eval "$(make -s cluster-env{which})"; kubectl create token {STAFF} -n staff'
    yield ""
    yield "  Then try"
    for head, words in (
        (
            "Answer",
            "the newest message. The CRM sends it through her Gmail, and it comes back into the thread."
            " Beside the message stands the price in it, to be recorded as an offer.",
        ),
        (
            "Receive",
            f"make demo-mail{which} lets one more message arrive by Gmail's push path: leave the inbox open.",
        ),
        (
            "Work",
            "Orders is the board from prospect to paid; Sites, Contacts, Offers, Invoices, Reports go with"
            " it.",
        ),
        (
            "Invite",
            f"{colleague} at Team, then sign in as her in a private window. Nobody else gets in. What the CRM"
            f" writes to her is at {dashboard.replace('//dashboard.', '//google.')}/_standin/relayed.",
        ),
        (
            "Look",
            f'eval "$(make -s cluster-env{which})" puts kubectl and helm of this cluster into your shell;'
            f" then kubectl get gpt, kubectl describe gpt {name}, kubectl get pods -n gpt-{name}",
        ),
        (
            "Add",
            "kubectl apply -f examples/03-own-storage-class.yaml makes a second customer, with a server of"
            f" its own at {address.replace(f'//{name}.', '//wide-world.')}",
        ),
    ):
        yield from _item(head, words)
    yield ""
    yield f"  Everything took {seconds:.0f} s. make demo-down{which} removes it all."


def _item(head: str, words: str) -> list[str]:
    """Words beside a short head, folded below each other."""
    first, *rest = wrap(words, _WIDTH - 11, break_long_words=False, break_on_hyphens=False)
    return [f"  {_bold(f'{head:<8}')} {first}", *(f"{'':<11}{line}" for line in rest)]


def _bold(words: str) -> str:
    return f"\033[1m{words}\033[0m" if sys.stdout.isatty() else words
