"""python -m guestpost_operator run | guard-uninstall | self-test."""

from __future__ import annotations

import argparse
import asyncio
import sys

from kubernetes.aio.config import ConfigException

from guestpost_operator import application, checks, logs, settings
from guestpost_operator.backends.errors import BackendError


def main() -> int:
    """Run one command. Returns the exit code: 0 good, 1 not, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="guestpost_operator", description=__doc__)
    parser.add_argument(
        "command",
        choices=("run", "guard-uninstall", "self-test"),
        help="run: the operator. guard-uninstall: fail while tenants exist. "
        "self-test: check configuration, templates, rights and Pub/Sub.",
    )
    command = parser.parse_args().command
    try:
        if command == "guard-uninstall":
            return asyncio.run(checks.guard_uninstall())
        config = settings.load()
        if command == "self-test":
            return asyncio.run(checks.self_test(config))
        logs.configure(config.operator.log_level)
        asyncio.run(application.run(config))
    except (settings.ConfigurationError, ConfigException, application.StartError, BackendError) as error:
        print(f"guestpost_operator: {error}", file=sys.stderr)  # the command's answer
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
