"""Blobs: bytes in the tenant's database, encrypted in chunks, written and read as streams."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from django.db import transaction

from guestpost_crm.crypto import services as crypto
from guestpost_crm.inbox.models import Blob, BlobChunk

CHUNK = 512 * 1024
_SMALL = 64 * 1024
_TOGETHER = 16


def _context(blob: int, index: int, *, last: bool) -> str:
    return f"blob/{blob}/{index}/{'last' if last else 'more'}"


@transaction.atomic(savepoint=False)
def write(source: IO[bytes]) -> Blob:
    """Store everything that the file `source` holds from where it is; memory holds two chunks of it.

    Each chunk has a nonce of its own, and its place and whether it is the last are authenticated:
    chunks can't be swapped, dropped or cut off unnoticed.
    """
    begin = source.tell()
    size = source.seek(0, io.SEEK_END) - begin
    source.seek(begin)
    blob = Blob.objects.create(size=size)
    index, piece = 0, source.read(CHUNK)
    while True:
        following = source.read(CHUNK)
        context = _context(blob.pk, index, last=not following)
        BlobChunk.objects.create(blob=blob, index=index, content=crypto.encrypt(piece, context))
        if not following:
            return blob
        index, piece = index + 1, following


@transaction.atomic(savepoint=False)
def write_all(sources: Sequence[IO[bytes]]) -> list[Blob]:
    """Store whole files, small ones together; memory holds two chunks, or those of a dozen small files."""
    sizes = [source.seek(0, io.SEEK_END) for source in sources]
    small = [number for number, size in enumerate(sizes) if size <= _SMALL]
    blobs: dict[int, Blob] = {}
    for start in range(0, len(small), _TOGETHER):
        some = small[start : start + _TOGETHER]
        made = Blob.objects.bulk_create([Blob(size=sizes[number]) for number in some])
        chunks = []
        for number, blob in zip(some, made, strict=True):
            sources[number].seek(0)
            content = crypto.encrypt(sources[number].read(), _context(blob.pk, 0, last=True))
            chunks.append(BlobChunk(blob=blob, index=0, content=content))
            blobs[number] = blob
        BlobChunk.objects.bulk_create(chunks)
    for number, source in enumerate(sources):
        if number not in blobs:
            source.seek(0)
            blobs[number] = write(source)
    return [blobs[number] for number in range(len(sources))]


def read(blob: Blob, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from `start` up to `end` (all by default), piece by piece.

    Raises:
        crypto.DecryptionError: something was changed.
    """
    end = blob.size if end is None else min(end, blob.size)
    if start >= end:
        return
    for index in range(start // CHUNK, (end - 1) // CHUNK + 1):
        sealed = BlobChunk.objects.values_list("content", flat=True).get(blob=blob, index=index)
        piece = open_chunk(blob.pk, blob.size, index, sealed)
        begin = index * CHUNK
        yield piece[max(start - begin, 0) : end - begin]


def opened(blob: Blob) -> IO[bytes]:
    """A blob as a file to read from; memory holds one chunk of it."""
    return io.BufferedReader(_Reader(blob), 64 * 1024)


class _Reader(io.RawIOBase):
    """Reads a blob chunk by chunk; the one that was read last is kept."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._at = 0
        self._chunk = -1
        self._content = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._blob.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._blob.size:
            return 0
        index, begin = divmod(self._at, CHUNK)
        if index != self._chunk:
            self._content = b"".join(read(self._blob, index * CHUNK, (index + 1) * CHUNK))
            self._chunk = index
        piece = self._content[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def heads(blobs: Iterable[Blob]) -> dict[int, bytes]:
    """The first CHUNK bytes of each of these blobs, by key, in one query."""
    sizes = {blob.pk: blob.size for blob in blobs}
    rows = BlobChunk.objects.filter(blob__in=sizes, index=0).values_list("blob", "content")
    return {key: open_chunk(key, sizes[key], 0, sealed) for key, sealed in rows}


def open_chunk(blob: int, size: int, index: int, sealed: bytes | memoryview) -> bytes:
    """The bytes of one stored chunk.

    Args:
        blob: key of the blob that it belongs to.
        size: of the whole blob in bytes.
        index: its place, from 0.
        sealed: as stored.

    Raises:
        crypto.DecryptionError: it is not that chunk, or was changed.
    """
    final = max(size - 1, 0) // CHUNK
    return crypto.decrypt(sealed, _context(blob, index, last=index == final))


def read_all(blob: Blob, start: int = 0, end: int | None = None, *, most: int = 32 << 20) -> bytes:
    """The bytes at once, at most `most` of them."""
    return b"".join(read(blob, start, min(end if end is not None else blob.size, start + most)))
