"""Debian root file systems, made by mmdebstrap and kept as archives in the shared cache."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from localkube import paths
from localkube.progress import step

SUITE = "trixie"


@dataclass(frozen=True)
class RootFs:
    """What a root file system holds.

    Attributes:
        name: of the archive.
        packages: of Debian's, besides the smallest system.
        hooks: mmdebstrap's customize hooks, shell lines in which "$1" is the new root.
    """

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes with what is asked for; the packages themselves are whatever Debian stable serves."""
        asked = repr((SUITE, self.packages, self.hooks))
        return hashlib.sha256(asked.encode()).hexdigest()[:12]

    def ensure(self) -> Path:
        """Make the archive unless it is there.

        Raises:
            subprocess.CalledProcessError: mmdebstrap failed; its stderr says why.
        """
        archive = paths.cache() / "rootfs" / f"{self.name}-{self.fingerprint}.tar"
        if archive.exists():
            return archive
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(".unfinished.tar")
        with step(f"Debian {SUITE} root file system for {self.name}"):
            subprocess.run(
                [
                    "mmdebstrap",
                    "--variant=minbase",
                    f"--include={','.join(self.packages)}",
                    "--dpkgopt=path-exclude=/usr/share/doc/*",
                    "--dpkgopt=path-exclude=/usr/share/man/*",
                    "--dpkgopt=path-exclude=/usr/share/locale/*",
                    *(f"--customize-hook={hook}" for hook in self.hooks),
                    SUITE,
                    str(unfinished),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
        unfinished.rename(archive)
        return archive


PYTHON = RootFs("python", ("ca-certificates", "python3", "python3-pip", "python3-venv"))
NGINX = RootFs("nginx", ("nginx-light",))
# CloudNativePG wants the user to be 26.
POSTGRESQL = RootFs(
    "postgresql",
    ("postgresql-17",),
    (
        'chroot "$1" usermod --uid 26 postgres',
        'chroot "$1" groupmod --non-unique --gid 26 postgres',
        'rm -rf "$1/var/lib/postgresql" "$1/etc/postgresql"',
        'chown -R 26:26 "$1/var/run/postgresql" || true',
    ),
)
