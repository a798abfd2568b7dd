"""Google Cloud KMS: one CryptoKey per tenant, which wraps what its Secret holds, and its IAM.

Credentials are the environment's (Workload Identity in production); KMS_EMULATOR_HOST takes the stand-in
instead. The client's REST transport is synchronous, so calls are made in a few threads; they are rare.
https://cloud.google.com/kms/docs/reference/rest
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError

from guestpost_operator.backends.errors import (
    AlreadyExistsError,
    BackendError,
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnsupportedError,
)
from guestpost_operator.backends.fence import Fence

EMULATOR_VARIABLE = "KMS_EMULATOR_HOST"
# For as long a version that is destroyed can be brought back: the least that Google takes.
DESTROY_SCHEDULED_SECONDS = 86_400
# requests ends a call at its timeout; where it does not, this much later we do.
GRACE_SECONDS = 5
# The rights on a key ring that the operator uses, and the one that it must not have.
RIGHTS = (
    "cloudkms.cryptoKeys.create",
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeys.getIamPolicy",
    "cloudkms.cryptoKeys.setIamPolicy",
    "cloudkms.cryptoKeyVersions.list",
    "cloudkms.cryptoKeyVersions.useToEncrypt",
    "cloudkms.cryptoKeyVersions.destroy",
)
TO_DECRYPT = "cloudkms.cryptoKeyVersions.useToDecrypt"
# States of a version whose key material is gone, or goes by itself and opens nothing until then.
GONE = frozenset({"DESTROYED", "DESTROY_SCHEDULED"})

T = TypeVar("T")


@dataclass(frozen=True)
class CryptoKey:
    """A symmetric key as far as the operator sets it."""

    name: str
    labels: Mapping[str, str]


class KeyManagement(Protocol):
    """What lifecycles do to KMS. Every method raises `BackendError` when it fails."""

    async def get_key(self, name: str) -> CryptoKey | None:
        """The key, None when absent."""

    async def create_key(self, key: CryptoKey) -> None:
        """Make it, with a first version; raises `AlreadyExistsError`."""

    async def get_policy(self, name: str) -> Mapping[str, frozenset[str]]:
        """IAM bindings of the key itself: role → members."""

    async def set_policy(self, name: str, policy: Mapping[str, frozenset[str]]) -> None:
        """Replace the IAM bindings of the key itself."""

    async def encrypt(self, name: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal a few bytes with the primary version; the context is needed again to open them."""

    async def live_versions(self, name: str) -> list[str]:
        """Names of the versions that open something or can be made to; none when the key is absent."""

    async def destroy_version(self, name: str) -> None:
        """Have the material of a version destroyed; from now on it opens nothing."""


class CloudKms:
    """`KeyManagement` over Google's client, with bounded calls and timeouts.

    Args:
        concurrency: calls at the same time.
        timeout: seconds for one call.
        fence: asked before each call that changes something; open by default.
    """

    def __init__(self, *, concurrency: int = 4, timeout: float = 30, fence: Fence | None = None) -> None:
        self._timeout = timeout
        self._fence = fence or Fence.open()
        self._slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="kms")
        # A requests session is one thread's.
        self._local = threading.local()

    def close(self) -> None:
        """Let go of the threads; calls under way end at their timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get_key(self, name: str) -> CryptoKey | None:
        """The key, None when absent."""
        try:
            found = await self._call(
                "GetCryptoKey", lambda client, options: client.get_crypto_key(name=name, **options)
            )
        except NotFoundError:
            return None
        return CryptoKey(name=found.name, labels=dict(found.labels))

    async def create_key(self, key: CryptoKey) -> None:
        """Make it, with a first version; raises `AlreadyExistsError`."""
        parent, _, identifier = key.name.partition("/cryptoKeys/")
        body = {
            "purpose": "ENCRYPT_DECRYPT",
            "labels": dict(key.labels),
            "destroy_scheduled_duration": {"seconds": DESTROY_SCHEDULED_SECONDS},
        }
        request = {"parent": parent, "crypto_key_id": identifier, "crypto_key": body}
        await self._call(
            "CreateCryptoKey", lambda client, options: client.create_crypto_key(request=request, **options)
        )

    async def get_policy(self, name: str) -> Mapping[str, frozenset[str]]:
        """IAM bindings of the key itself: role → members."""
        request = {"resource": name}
        found = await self._call(
            "GetIamPolicy", lambda client, options: client.get_iam_policy(request=request, **options)
        )
        policy: dict[str, frozenset[str]] = {}
        for binding in found.bindings:
            # A condition narrows a binding: as it is none of ours, it must not count as one.
            condition = binding.condition.expression
            role = f"{binding.role} if {condition}" if condition else binding.role
            policy[role] = policy.get(role, frozenset()) | frozenset(binding.members)
        return policy

    async def set_policy(self, name: str, policy: Mapping[str, frozenset[str]]) -> None:
        """Replace the IAM bindings of the key itself."""
        bindings = [{"role": role, "members": sorted(members)} for role, members in sorted(policy.items())]
        request = {"resource": name, "policy": {"bindings": bindings}}
        await self._call(
            "SetIamPolicy", lambda client, options: client.set_iam_policy(request=request, **options)
        )

    async def encrypt(self, name: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal a few bytes with the primary version; the context is needed again to open them."""
        request = {"name": name, "plaintext": plaintext, "additional_authenticated_data": context}
        answer = await self._call(
            "Encrypt", lambda client, options: client.encrypt(request=request, **options)
        )
        return bytes(answer.ciphertext)

    async def live_versions(self, name: str) -> list[str]:
        """Names of the versions that open something or can be made to; none when the key is absent."""
        try:
            return await self._call(
                "ListCryptoKeyVersions",
                lambda client, options: [
                    each.name
                    for each in client.list_crypto_key_versions(parent=name, **options)
                    if each.state.name not in GONE
                ],
            )
        except NotFoundError:
            return []

    async def destroy_version(self, name: str) -> None:
        """Have the material of a version destroyed; from now on it opens nothing."""
        await self._call(
            "DestroyCryptoKeyVersion",
            lambda client, options: client.destroy_crypto_key_version(name=name, **options),
        )

    async def granted(self, ring: str, rights: Iterable[str]) -> frozenset[str]:
        """Those of some rights that we have on a key ring; raises `BackendError` when it is not there."""
        request = {"resource": ring, "permissions": list(rights)}
        found = await self._call(
            "TestIamPermissions", lambda client, options: client.test_iam_permissions(request, **options)
        )
        return frozenset(found.permissions)

    async def _call(self, method: str, call: Callable[[Any, dict[str, Any]], T]) -> T:
        async with self._slots:
            patience = self._timeout
            if not method.startswith(("Get", "List", "Encrypt", "Test")):
                patience = min(patience, self._fence.pass_write())
            # No retries in the library: the tenant's own back-off repeats, and the condition says why.
            options: dict[str, Any] = {"timeout": patience, "retry": None}
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(patience + GRACE_SECONDS):
                    return await loop.run_in_executor(self._threads, lambda: call(self._client(), options))
            except (exceptions.GoogleAPICallError, GoogleAuthError, OSError) as error:
                # What requests raises is an OSError, and so is a timeout.
                raise _error(method, error) from error

    def _client(self) -> Any:
        """This thread's client."""
        if not hasattr(self._local, "client"):
            # Late: it is large, and most installations need none of it. And so that missing credentials are
            # a condition of tenants and not a crash at start.
            from google.cloud import kms_v1
            from google.cloud.kms_v1.services.key_management_service.transports import (
                KeyManagementServiceRestTransport,
            )

            emulator = os.environ.get(EMULATOR_VARIABLE)
            transport: Any = "rest"
            if emulator:
                transport = KeyManagementServiceRestTransport(
                    host=emulator, url_scheme="http", credentials=AnonymousCredentials()
                )
            self._local.client = kms_v1.KeyManagementServiceClient(transport=transport)
        return self._local.client


_BY_STATUS: Mapping[int, type[BackendError]] = {
    400: InvalidError,
    401: RefusedError,
    403: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    412: InvalidError,
    501: UnsupportedError,
}


def _error(method: str, error: Exception) -> BackendError:
    if isinstance(error, exceptions.GoogleAPICallError):
        kind = _BY_STATUS.get(int(error.code or 0), UnavailableError)
        if kind is ConflictError and method.startswith("Create"):
            kind = AlreadyExistsError
        # The request's method and address, with which the library begins.
        said = re.sub(r"^[A-Z]+ https?://\S+: ", "", error.message)
        if kind is NotFoundError and method.startswith("Create"):
            return InvalidError(f"KMS {method}: {said}; is the key ring there? See docs/installation.md")
        return kind(f"KMS {method}: {said}")
    if isinstance(error, GoogleAuthError):
        return RefusedError(f"KMS {method}: no Google credentials: {error}")
    # What requests says of a connection names addresses and objects of its own; its kind is enough.
    return UnavailableError(f"KMS {method}: {type(error).__name__}")
