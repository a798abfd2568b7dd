"""The archive: a ZIP that is written and read as a stream, with a manifest of checksums.

Members are stored without compression: attachments hardly shrink, and a customer's own disk or download
does it better than a pod. Nothing is ever sought back, so one pass writes and hashes it (APPNOTE.TXT,
sections 4.3.9 and 4.5.3: data descriptors and Zip64).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from guestpost_crm.privacy.export.beside import behind

MANIFEST = "manifest.json"
SCHEMA = 1
# Smaller writes go together.
_SMALL = 64 * 1024
_TO_DISK = 16 << 20
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


class _Counted:
    """Hashes and counts what is written to a file."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._target.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Output(io.RawIOBase):
    """The archive's file, counted. Can't be sought in, so one pass writes it.

    Args:
        target: a file of a volume.
    """

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._on_its_way = 0
        self.counted = _Counted(target)
        self.given_up = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.given_up:
            self.counted.write(data)
            if self.counted.size - self._on_its_way >= _TO_DISK:
                self._to_disk()
        return len(data)

    def _to_disk(self) -> None:
        """Let the kernel begin to write to the disk, so that at the end little is left to wait for."""
        begin, self._on_its_way = self._on_its_way, self.counted.size
        os.posix_fadvise(self._target.fileno(), begin, self._on_its_way - begin, os.POSIX_FADV_DONTNEED)


class MemberWriter:
    """Writes one member; set `count` before it is closed."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._small: list[bytes] = []
        self._waiting = 0
        self.count = 0

    def write(self, data: bytes) -> None:
        """Append bytes, which must not change any more."""
        self._small.append(data)
        self._waiting += len(data)
        if self._waiting >= _SMALL:
            self.flush()

    def flush(self) -> None:
        """Write what waited for more to go with it."""
        if self._small:
            self._put(b"".join(self._small) if len(self._small) > 1 else self._small[0])
            self._small, self._waiting = [], 0


class ArchiveWriter:
    """Writes an archive from its first byte to its last; a context manager that completes it.

    Where the block ends with an exception, what was written is no archive.

    Args:
        target: where it goes, a file of a volume.
        about: what the manifest says besides the files, such as the tenant's name.
    """

    def __init__(self, target: IO[bytes], about: dict[str, Any]) -> None:
        self._output = _Output(target)
        self._zip = zipfile.ZipFile(self._output, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._about = about
        self.members: list[Member] = []

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        try:
            if kind is None:
                self._complete()
        finally:
            # Without this the ZIP would complete itself whenever it is collected.
            self._output.given_up = True
            self._zip.close()

    @contextmanager
    def member(self, name: str) -> Iterator[MemberWriter]:
        """Write one file."""
        info = zipfile.ZipInfo(name, _FIXED_DATE)
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            target = _Counted(file)
            # All of that takes as long as what is done for the next bytes meanwhile.
            with behind(target.write) as put:
                writer = MemberWriter(put)
                yield writer
                writer.flush()
        self.members.append(Member(name, target.size, target.sha256, writer.count))

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
        return self._output.counted.sha256

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._output.counted.size


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
