"""A control group of the cluster's own, in version 1 hierarchies or the unified one.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


class Group:
    """Control groups of one name, in every hierarchy of this machine.

    Args:
        name: such as `guestpost-demo`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        unified = (_MOUNT / "cgroup.controllers").exists()
        self._roots = [_MOUNT] if unified else [path for path in _MOUNT.iterdir() if path.is_dir()]

    @property
    def path(self) -> str:
        """As the kubelet's `cgroupRoot` wants it."""
        return f"/{self.name}"

    def create(self) -> None:
        """Make the groups; those that are there stay."""
        for root in self._roots:
            (root / self.name).mkdir(exist_ok=True)
            self._inherit_cpuset(root)

    def _inherit_cpuset(self, root: Path) -> None:
        # In version 1 an empty cpuset takes no process.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            source, target = root / setting, root / self.name / setting
            if source.exists() and target.exists() and not target.read_text().strip():
                target.write_text(source.read_text())

    def remove(self) -> None:
        """Remove the groups and all below; nothing runs in them any more."""
        for root in self._roots:
            for folder, _, _ in os.walk(root / self.name, topdown=False):
                with contextlib.suppress(FileNotFoundError):
                    Path(folder).rmdir()

    def exists(self) -> bool:
        """Whether any hierarchy still has the group."""
        return any((root / self.name).exists() for root in self._roots)
