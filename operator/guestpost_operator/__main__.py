"""python -m guestpost_operator run | guard-uninstall | self-test | verify-receipt."""

from __future__ import annotations

import argparse
import asyncio
import sys

from kubernetes.aio.config import ConfigException

from guestpost_operator import application, checks, logs, settings, verifying
from guestpost_operator.backends.errors import BackendError


def _run() -> int:
    config = settings.load()
    logs.configure(config.operator.log_level)
    asyncio.run(application.run(config))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="guestpost_operator", description=__doc__)
    commands = parser.add_subparsers(metavar="command", required=True)
    commands.add_parser("run", help="the operator").set_defaults(act=lambda options: _run())
    guard = commands.add_parser("guard-uninstall", help="fail while tenants exist")
    guard.set_defaults(act=lambda options: asyncio.run(checks.guard_uninstall()))
    test = commands.add_parser("self-test", help="check configuration, templates, rights, Pub/Sub and KMS")
    test.set_defaults(act=lambda options: asyncio.run(checks.self_test(settings.load())))
    verify = commands.add_parser("verify-receipt", help="check receipts of erasures")
    verify.add_argument("receipt", nargs="+", help="a file, - for standard input, or a name in the cluster")
    verify.add_argument("--keys", action="append", default=[], help="file of trusted public keys (PEM)")
    verify.add_argument("--namespace", default="guestpost-system", help="of the operator, for its keys")
    verify.set_defaults(
        act=lambda options: asyncio.run(
            verifying.verify_receipts(options.receipt, options.keys, options.namespace)
        )
    )
    return parser


def main() -> int:
    """Run one command. Returns the exit code: 0 good, 1 not, 2 wrong use."""
    options = _parser().parse_args()
    try:
        done: int = options.act(options)
    except (settings.ConfigurationError, ConfigException, application.StartError, BackendError) as error:
        print(f"guestpost_operator: {error}", file=sys.stderr)  # the command's answer
        return 1
    return done


if __name__ == "__main__":
    sys.exit(main())
