"""What can be typed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from kubectl_guestpost import erasing, exports, grants, rollouts, tenants
from kubectl_guestpost.cluster import Cluster
from kubectl_guestpost.words import seconds

STATES = ("Running", "Suspended", "Hibernated")
STEPS = (
    "FinalExport",
    "Application",
    "GoogleAccess",
    "Messaging",
    "Database",
    "Volumes",
    "Keys",
    "Namespace",
)
LEVELS = ("Browse", "Shell")
OUTPUTS = ("wide", "name")
Command = Callable[[Cluster, argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """Names the plugin as people type it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with what was typed, and end with 2."""
        self.exit(2, f"{message}\nSee {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed after `kubectl guestpost`."""
    main = Parser(prog="kubectl guestpost", description="Look after GuestPostCRM's tenants.")
    connection = _connection()
    commands = main.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, help: str, *, tenant: bool = True) -> argparse.ArgumentParser:  # noqa: A002
        command = commands.add_parser(name, help=help, description=help, parents=[connection])
        command.set_defaults(run=run)
        if tenant:
            command.add_argument("tenant", metavar="TENANT")
        return command

    command = add("list", tenants.show_list, "Every tenant, and why it is not as it should be.", tenant=False)
    command.add_argument("-l", "--selector", help="only those with these labels")
    command.add_argument("--state", choices=STATES, help="only those that are asked to be so")
    command.add_argument("--troubled", action="store_true", help="only those that need somebody")
    command.add_argument("-o", "--output", choices=OUTPUTS, help="more columns, or names alone")
    add("status", tenants.show_status, "One tenant: conditions with reasons, what to do, exports, grants.")
    command = add(
        "suspend", tenants.suspend, "Show a reason instead of the CRM's pages; mail waits at Gmail."
    )
    command.add_argument("--reason", required=True, help="what the customer's team reads instead")
    _waits(command)
    _waits(add("resume", tenants.resume, "Let a tenant run again; mail that came meanwhile is fetched."))
    command = add("hibernate", tenants.hibernate, "Stop all pods; the data stay on their volume.")
    command.add_argument("--reason", help="kept for when it is suspended again")
    _waits(command)
    command = add("export", exports.export, "Have one archive made of everything; the owner downloads it.")
    command.add_argument("--name", help="of the export; made up when it is left out")
    command.add_argument("--keep", metavar="TIME", help="how long it can be downloaded, such as 7d")
    _waits(command, 3600)
    _erasure(add)
    _support(commands, connection)
    _rollout(commands, connection)
    add("reconcile", tenants.reconcile, "Have the operator look at a tenant at once.")
    command = add("pause", tenants.pause, "Keep the operator away from a tenant.")
    command.add_argument("--off", action="store_true", help="let it come back")
    return main


def _connection() -> Parser:
    shared = Parser(add_help=False)
    group = shared.add_argument_group("as of kubectl")
    group.add_argument("--kubeconfig", metavar="FILE")
    group.add_argument("--context", metavar="NAME")
    group.add_argument("--as", dest="user", metavar="USER", help="act as somebody else, if you may")
    group.add_argument("--as-group", dest="group", metavar="GROUP")
    group.add_argument("--request-timeout", type=_time, default=30.0, metavar="TIME")
    return shared


def _time(text: str) -> float:
    try:
        return float(seconds(text))
    except Exception as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _waits(command: argparse.ArgumentParser, usual: float = 600) -> None:
    command.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="until it is so (the default)"
    )
    command.add_argument(
        "--timeout", type=_time, default=usual, metavar="TIME", help="how long to wait, such as 10m"
    )


def _erasure(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("erase", erasing.erase, "Erase a tenant after its grace period; you type its name.")
    command.add_argument("--grace", metavar="TIME", help="how long it can be taken back, such as 7d")
    command.add_argument("--now", action="store_true", help="begin at once; there is no way back")
    command.add_argument("--skip-export", action="store_true", help="offer the owner no last export")
    command.add_argument("--unprotect", action="store_true", help="also if it is protected from deletion")
    command.add_argument("--confirm", metavar="TENANT", help="the tenant's name, where nobody can type it")
    _waits(command, 3600)
    command.set_defaults(wait=False)
    command = add("keep", erasing.keep, "Take back an erasure that has not begun.")
    command.add_argument("--protect", action="store_true", help="and protect the tenant from deletion")
    command = add("abandon", erasing.abandon, "Give up a step that blocks an erasure; the receipt says so.")
    command.add_argument("step", metavar="STEP", choices=STEPS, help=", ".join(STEPS))
    command.add_argument("--reason", required=True, help="why, for the receipt; no personal data")
    command.add_argument("--confirm", metavar="STEP", help="the step's name, where nobody can type it")
    _waits(command)
    command.set_defaults(wait=False)
    command = add("receipts", erasing.receipts, "What erasures have verified.", tenant=False)
    command.add_argument("uid", nargs="?", metavar="TENANT_UID")


def _actions(
    commands: argparse._SubParsersAction[Parser],
    name: str,
    help: str,  # noqa: A002
    *parents: Parser,
) -> Callable[[str, Command, str], argparse.ArgumentParser]:
    """A command with actions of its own, which all take what `parents` do; gives what adds an action."""
    actions = commands.add_parser(name, help=help, description=help).add_subparsers(
        metavar="ACTION", required=True
    )

    def add(name: str, run: Command, help: str) -> argparse.ArgumentParser:  # noqa: A002
        action = actions.add_parser(name, help=help, description=help, parents=parents)
        action.set_defaults(run=run)
        return action

    return add


def _support(commands: argparse._SubParsersAction[Parser], connection: Parser) -> None:
    tenant = Parser(add_help=False)
    tenant.add_argument("tenant", metavar="TENANT")
    help = "Support access: who asked for it, and what the customer said."  # noqa: A001
    add = _actions(commands, "grants", help, connection, tenant)
    add("list", grants.show_list, "A tenant's grants.")
    action = add("request", grants.request, "Ask the customer to be let in.")
    action.add_argument("--subject", required=True, help="whose access: an address, or a user name for Shell")
    action.add_argument("--reason", required=True, help="what the customer reads and decides by")
    action.add_argument("--level", choices=LEVELS, default="Browse")
    action.add_argument("--for", dest="length", metavar="TIME", help="from 5m to 8h; 1h when left out")
    action.add_argument("--name", help="of the grant; made up when it is left out")
    action = add("withdraw", grants.withdraw, "End a grant, or take back what was asked.")
    action.add_argument("grant", metavar="GRANT")


def _rollout(commands: argparse._SubParsersAction[Parser], connection: Parser) -> None:
    where = Parser(add_help=False)
    where.add_argument("-n", "--namespace", default="guestpost-system", help="where the operator is")
    help = "Releases: whether their rollout is paused; pause it, and let it begin or go on."  # noqa: A001
    add = _actions(commands, "rollout", help, connection, where)
    add("status", rollouts.show_status, "Whether it is paused and why, and which versions tenants run.")
    action = add(
        "pause", rollouts.pause, "Let nobody begin a move, forward or back; those on the way finish."
    )
    action.add_argument("--reason", required=True, help="what everybody reads until it is resumed")
    add("resume", rollouts.resume, "Let the release that waits begin, or go on.")
