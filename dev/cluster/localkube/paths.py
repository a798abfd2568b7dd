"""Where things are kept: caches that any checkout shares, and the state of running clusters."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GO_MODULES = ROOT / "dev/cluster/go"
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
# What programs of a cluster write there stays in its box.
OF_THE_BOX = (Path("/run"), Path("/var/lib"), Path("/var/log"))


def cache() -> Path:
    """Built binaries, root file systems and images, named by a hash of what they are made from."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "guestpost"


def state() -> Path:
    """What runs on this machine and is not shared."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base) / "guestpost"


def clusters() -> Path:
    """One folder for each cluster that was started and not taken down."""
    return state() / "clusters"


def cluster(name: str) -> Path:
    """The folder of one cluster.

    Raises:
        ValueError: the name would not do for control groups, or the path for sockets or in the box.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"cluster name {name!r}: use 1 to 20 of a-z, 0-9 and '-', beginning with a letter")
    folder = clusters() / name
    # Unix sockets below it have to fit in 107 bytes: unix(7).
    if len(os.fsencode(folder)) > 80:
        raise ValueError(f"{folder} is too long for sockets below it: set XDG_STATE_HOME to a shorter path")
    for hidden in OF_THE_BOX:
        if folder.is_relative_to(hidden):
            raise ValueError(f"{folder}: a cluster has its own {hidden}: set XDG_STATE_HOME to another path")
    return folder
