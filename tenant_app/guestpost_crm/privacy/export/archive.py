"""The archive: a ZIP that is written and read as a stream, with a manifest of checksums.

Members are stored without compression: attachments hardly shrink, and a customer's own disk or download
does it better than a pod. Nothing is ever sought back, so one pass writes and hashes it (APPNOTE.TXT,
sections 4.3.9 and 4.5.3: data descriptors and Zip64).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from guestpost_crm.privacy.export.beside import Behind

MANIFEST = "manifest.json"
SCHEMA = 1
# Smaller writes go together.
_SMALL = 64 * 1024
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


class ArchiveError(Exception):
    """The archive is no whole export; the message says what is wrong with it."""


@dataclass(frozen=True)
class Member:
    """A file of the archive. `count` is how many records or messages it holds."""

    name: str
    size: int
    sha256: str
    count: int


class _Unseekable(io.RawIOBase):
    """Passes bytes on; can't be sought in, so the ZIP is written in one go."""

    def __init__(self, target: Behind) -> None:
        self._target = target
        self.given_up = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data) if self.given_up else self._target.write(data)


class MemberWriter:
    """Writes one member; set `count` before it is closed."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self._small: list[bytes] = []
        self._waiting = 0
        self._size = 0
        self.count = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if len(data) >= _SMALL:
            self.flush()
            self._write(data)
            return
        self._small.append(data)
        self._waiting += len(data)
        if self._waiting >= _SMALL:
            self.flush()

    def flush(self) -> None:
        """Write what waited for more to go with it."""
        if self._small:
            self._write(b"".join(self._small))
            self._small, self._waiting = [], 0

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        self._target.write(data)

    def member(self, name: str) -> Member:
        """What the manifest says of it, after `flush`."""
        return Member(name, self._size, self._digest.hexdigest(), self.count)


class ArchiveWriter:
    """Writes an archive from its first byte to its last; a context manager that completes it.

    Where the block ends with an exception, what was written is no archive.

    Args:
        target: where it goes.
        about: what the manifest says besides the files, such as the tenant's name.
    """

    def __init__(self, target: IO[bytes], about: dict[str, Any]) -> None:
        self._behind = Behind(target)
        self._unseekable = _Unseekable(self._behind)
        self._zip = zipfile.ZipFile(self._unseekable, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._about = about
        self.members: list[Member] = []

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        try:
            if kind is None:
                self._complete()
                self._behind.close()
        finally:
            self._behind.abandon()
            # Without this the ZIP would complete itself whenever it is collected.
            self._unseekable.given_up = True
            self._zip.close()

    @contextmanager
    def member(self, name: str) -> Iterator[MemberWriter]:
        """Write one file."""
        info = zipfile.ZipInfo(name, _FIXED_DATE)
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as target:
            writer = MemberWriter(target)
            yield writer
            writer.flush()
        self.members.append(writer.member(name))

    def _complete(self) -> None:
        """Write the manifest and the directory."""
        manifest = {
            "schema": SCHEMA,
            **self._about,
            "files": [
                {"name": each.name, "bytes": each.size, "sha256": each.sha256, "count": each.count}
                for each in self.members
            ],
        }
        with self._zip.open(zipfile.ZipInfo(MANIFEST, _FIXED_DATE), "w") as target:
            target.write(json.dumps(manifest, indent=2).encode() + b"\n")
        self._zip.close()

    @property
    def sha256(self) -> str:
        """Of all of it, once it is complete."""
        return self._behind.sha256

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._behind.size


class ArchiveReader:
    """Reads an archive; use as a context manager.

    Raises:
        ArchiveError: it is no archive of ours, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest: dict[str, Any] = json.loads(self._zip.read(MANIFEST))
            self.members = [
                Member(each["name"], each["bytes"], each["sha256"], each["count"])
                for each in self.manifest["files"]
            ]
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{path.name} is no whole export: {error}") from None
        if self.manifest.get("schema") != SCHEMA:
            raise ArchiveError(
                f"the archive has schema {self.manifest.get('schema')}, this version reads {SCHEMA}"
            )

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zip.close()

    def open(self, name: str) -> IO[bytes]:
        """A member as a stream (ArchiveError when it is missing)."""
        try:
            return self._zip.open(name)
        except KeyError:
            raise ArchiveError(f"{name} is missing in the archive") from None

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            ArchiveError: names the first file that differs, is missing or is not listed.
        """
        listed = {each.name for each in self.members} | {MANIFEST}
        if surplus := sorted(set(self._zip.namelist()) - listed):
            raise ArchiveError(f"{surplus[0]} is not in the manifest")
        for member in self.members:
            digest, size = hashlib.sha256(), 0
            try:
                with self.open(member.name) as source:
                    while piece := source.read(1 << 20):
                        digest.update(piece)
                        size += len(piece)
            except (zipfile.BadZipFile, OSError, EOFError) as error:
                raise ArchiveError(f"{member.name} can't be read: {error}") from None
            if (size, digest.hexdigest()) != (member.size, member.sha256):
                raise ArchiveError(f"{member.name} differs from the manifest's checksum")
