"""The command that checks receipts of erasures: against the cluster's public keys, or against a file's."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kinds import CONFIG_MAP, RECEIPT
from guestpost_operator.receipts import ReceiptError
from guestpost_operator.revision import Object


async def verify_receipts(which: Sequence[str], key_files: Sequence[str], namespace: str) -> int:
    """Check receipts, and tell what they state.

    Args:
        which: files (YAML or JSON, `-` for standard input), or names of receipts in the cluster.
        key_files: public keys in PEM that are trusted; none takes those that the cluster publishes.
        namespace: the operator's, where they are published.

    Returns:
        0 when all are genuine, 1 when one is not.

    Raises:
        BackendError: the cluster does not answer.
    """
    cluster: KubernetesCluster | None = None
    if not key_files or not all(map(_is_file, which)):
        cluster = await KubernetesCluster.connect()
    result = 0
    try:
        keys = receipts.public_keys(await _keys(cluster, key_files, namespace))
        for each in which:
            try:
                receipt = _read(each) if _is_file(each) else await _get(cluster, each)
                stated = receipts.verify(receipt, keys)
            except ReceiptError as error:
                _say(f"{each}: NOT GENUINE: {error}")
                result = 1
                continue
            key = receipt["spec"]["signature"]["keyID"]
            _say(
                "\n".join((f"{receipt['metadata']['name']}: genuine, signed with key {key}", *_told(stated)))
            )
    except ReceiptError as error:
        _say(f"no receipt was checked: {error}")
        return 1
    finally:
        if cluster is not None:
            await cluster.close()
    return result


def _is_file(which: str) -> bool:
    return which == "-" or Path(which).exists()


async def _keys(cluster: KubernetesCluster | None, files: Sequence[str], namespace: str) -> list[bytes]:
    if files:
        return _read_keys(files)
    published = await cluster.get(CONFIG_MAP, names.RECEIPT_KEYS, namespace) if cluster else None
    if published is None:
        raise ReceiptError(
            f"there is no ConfigMap {namespace}/{names.RECEIPT_KEYS}; give the public keys with --keys"
        )
    return [pem.encode() for pem in (published.get("data") or {}).values()]


def _read_keys(files: Sequence[str]) -> list[bytes]:
    try:
        return [Path(each).read_bytes() for each in files]
    except OSError as error:
        raise ReceiptError(f"{error.filename}: {error.strerror}") from error


async def _get(cluster: KubernetesCluster | None, which: str) -> Object:
    name = which if which.startswith("erasure-") else receipts.name(which)
    found = await cluster.get(RECEIPT, name) if cluster else None
    if found is None:
        raise ReceiptError(f"there is no file of this name, and no ErasureReceipt {name} in the cluster")
    return found


def _read(path: str) -> Object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        document: Any = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ReceiptError(f"it cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ReceiptError("this is no ErasureReceipt")
    return document


def _told(stated: Object) -> Iterable[str]:
    asked = f", asked for at {stated['requestedAt']}" if "requestedAt" in stated else ""
    yield f"  tenant      {stated['tenantUID']}"
    yield f"  erased      {stated['startedAt']} to {stated['completedAt']}, by {stated['requestedBy']}{asked}"
    export = stated["finalExport"]
    yield f"  last export {' '.join(export.values())}"
    removed = ", ".join(f"{each['count']} {each['kind']}" for each in stated["removed"] if each["count"])
    yield f"  was there   {removed or 'nothing'}"
    verified = [each["step"] for each in stated["steps"] if each["outcome"] == receipts.VERIFIED]
    yield f"  verified    {', '.join(verified)}"
    for each in stated["steps"]:
        if each["outcome"] != receipts.VERIFIED:
            yield f"  NOT VERIFIED {each['step']}: {each['reason']}"


def _say(text: str) -> None:
    print(text, flush=True)  # the command's answer
