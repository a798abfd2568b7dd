"""`kubectl guestpost …`, as kubectl finds it: a program named kubectl-guestpost."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kubectl_guestpost.arguments import parser
from kubectl_guestpost.cluster import Cluster
from kubectl_guestpost.errors import PluginError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was typed; 1 when it could not be done, 2 when it was not understood."""
    options = parser().parse_args(arguments)
    try:
        cluster = Cluster(
            options.kubeconfig, options.context, options.user, options.group, options.request_timeout
        )
        options.run(cluster, options)
    except PluginError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was asked for goes on by itself", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read has had enough, such as head.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
