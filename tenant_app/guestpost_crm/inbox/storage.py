"""Blobs: bytes in the tenant's database, encrypted in chunks, written and read as streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from django.db import transaction

from guestpost_crm.crypto import services as crypto
from guestpost_crm.inbox.models import Blob, BlobChunk

CHUNK = 512 * 1024


def _context(blob: int, index: int, *, last: bool) -> str:
    return f"blob/{blob}/{index}/{'last' if last else 'more'}"


@transaction.atomic
def write(source: IO[bytes]) -> Blob:
    """Store everything that `source` gives; memory holds two chunks of it.

    Each chunk has a nonce of its own, and its place and whether it is the last are authenticated:
    chunks can't be swapped, dropped or cut off unnoticed.
    """
    blob = Blob.objects.create()
    index, size, piece = 0, 0, source.read(CHUNK)
    while True:
        following = source.read(CHUNK)
        context = _context(blob.pk, index, last=not following)
        BlobChunk.objects.create(blob=blob, index=index, content=crypto.encrypt(piece, context))
        size += len(piece)
        if not following:
            break
        index, piece = index + 1, following
    blob.size = size
    blob.save(update_fields=["size"])
    return blob


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
    return crypto.decrypt(bytes(sealed), _context(blob, index, last=index == final))


def read_all(blob: Blob, start: int = 0, end: int | None = None, *, most: int = 32 << 20) -> bytes:
    """The bytes at once, at most `most` of them."""
    return b"".join(read(blob, start, min(end if end is not None else blob.size, start + most)))
