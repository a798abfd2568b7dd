"""Cloud KMS, as far as the operator and the CRM use it: symmetric keys, their versions, and their IAM.

A caller may say who it is by a bearer token that is the member itself, such as `principal://…`: then it may
decrypt only what the key's policy lets it. One who does not is let through, as the other stand-ins do.
https://cloud.google.com/kms/docs/reference/rest
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from google_standin.errors import ApiError
from google_standin.keys import Key, Version
from google_standin.state import body_of, state_of

# Google's own bounds: plaintext and context of 64 KiB, names, and how long a version can be brought back.
LARGEST = 64 << 10
_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,63}$")
LEAST_SCHEDULED, USUAL_SCHEDULED = 86_400, 30 * 86_400
MAY_DECRYPT = frozenset(
    {"roles/cloudkms.cryptoKeyDecrypter", "roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/owner"}
)


def _path(request: Request) -> str:
    parts = request.path_params
    return f"projects/{parts['project']}/locations/{parts['location']}/keyRings/{parts['ring']}"


def _key(request: Request) -> tuple[str, Key]:
    name = f"{_path(request)}/cryptoKeys/{request.path_params['key']}"
    return name, state_of(request).kms.key(name)


async def _suffer(request: Request, method: str) -> Response | None:
    return await state_of(request).suffer(f"kms.{method}", request.path_params.get("key", "*"))


async def _body(request: Request) -> dict[str, Any]:
    try:
        parsed = json.loads(await body_of(request, 4 * LARGEST) or b"{}")
    except ValueError:
        raise ApiError(400, "Invalid JSON payload received.") from None
    return parsed if isinstance(parsed, dict) else {}


def _bytes(body: dict[str, Any], name: str) -> bytes:
    text = str(body.get(name, ""))
    found = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
    if len(found) > LARGEST:
        raise ApiError(400, f"{name} must be at most 64KiB.")
    return found


def _told(name: str, key: Key) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": name,
        "purpose": "ENCRYPT_DECRYPT",
        "labels": key.labels,
        "destroyScheduledDuration": f"{key.scheduled}s",
    }
    if key.versions[-1].state == "ENABLED":
        told["primary"] = _version_told(name, key, len(key.versions))
    return told


def _version_told(name: str, key: Key, number: int) -> dict[str, Any]:
    version = key.versions[number - 1]
    told = {"name": f"{name}/cryptoKeyVersions/{number}", "state": version.state}
    if version.destroys_at is not None:
        told["destroyTime"] = version.destroys_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return told


async def create_key(request: Request) -> Response:
    """POST …/keyRings/{ring}/cryptoKeys?cryptoKeyId=: a key with a first version."""
    if answer := await _suffer(request, "create"):
        return answer
    identifier, body = request.query_params.get("cryptoKeyId", ""), await _body(request)
    name = f"{_path(request)}/cryptoKeys/{identifier}"
    if not _NAME.match(identifier):
        raise ApiError(400, "crypto_key_id must match [a-zA-Z0-9_-]{1,63}.")
    if name in state_of(request).kms.keys:
        raise ApiError(409, f"CryptoKey {name} already exists.")
    scheduled = int(float(str(body.get("destroyScheduledDuration") or f"{USUAL_SCHEDULED}s").rstrip("s")))
    if scheduled < LEAST_SCHEDULED:
        raise ApiError(400, "destroy_scheduled_duration must be at least 24 hours.")
    key = Key(dict(body.get("labels") or {}), scheduled, [Version(os.urandom(32))])
    state_of(request).kms.keys[name] = key
    return state_of(request).after_effect(JSONResponse(_told(name, key)))


async def get_key(request: Request) -> Response:
    """GET …/cryptoKeys/{key}."""
    if answer := await _suffer(request, "get"):
        return answer
    return JSONResponse(_told(*_key(request)))


async def versions(request: Request) -> Response:
    """GET …/cryptoKeys/{key}/cryptoKeyVersions: all of them on one page."""
    if answer := await _suffer(request, "versions"):
        return answer
    name, key = _key(request)
    told = [_version_told(name, key, number) for number in range(1, len(key.versions) + 1)]
    return JSONResponse({"cryptoKeyVersions": told, "totalSize": len(told)})


async def destroy(request: Request) -> Response:
    """POST …/cryptoKeyVersions/{version}:destroy: it opens nothing from now on, and is wiped later."""
    if answer := await _suffer(request, "destroy"):
        return answer
    name, key = _key(request)
    number = int(request.path_params["version"])
    if not 1 <= number <= len(key.versions):
        raise ApiError(404, f"CryptoKeyVersion {number} of {name} not found.")
    version = key.versions[number - 1]
    if version.state not in ("ENABLED", "DISABLED"):
        raise ApiError(400, f"CryptoKeyVersion {number} of {name} is {version.state}.")
    version.state = "DESTROY_SCHEDULED"
    version.destroys_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=key.scheduled)
    return state_of(request).after_effect(JSONResponse(_version_told(name, key, number)))


async def encrypt(request: Request) -> Response:
    """POST …:encrypt {plaintext, additionalAuthenticatedData}, with the primary version."""
    if answer := await _suffer(request, "encrypt"):
        return answer
    name, key = _key(request)
    body = await _body(request)
    version = key.versions[-1]
    if version.state != "ENABLED":
        raise ApiError(400, f"{name} has no primary version that is enabled.")
    nonce = os.urandom(12)
    sealed = AESGCM(version.material).encrypt(
        nonce, _bytes(body, "plaintext"), _bytes(body, "additionalAuthenticatedData")
    )
    number = len(key.versions)
    ciphertext = base64.b64encode(number.to_bytes(4) + nonce + sealed).decode()
    told = {"name": f"{name}/cryptoKeyVersions/{number}", "ciphertext": ciphertext}
    return state_of(request).after_effect(JSONResponse(told))


async def decrypt(request: Request) -> Response:
    """POST …:decrypt {ciphertext, additionalAuthenticatedData}, with whichever version sealed it."""
    if answer := await _suffer(request, "decrypt"):
        return answer
    name, key = _key(request)
    body = await _body(request)
    _permit(request, name, key)
    sealed, context = _bytes(body, "ciphertext"), _bytes(body, "additionalAuthenticatedData")
    number = int.from_bytes(sealed[:4])
    wrong = ApiError(400, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
    if len(sealed) < 16 or not 1 <= number <= len(key.versions):
        raise wrong
    version = key.versions[number - 1]
    if version.state != "ENABLED":
        raise ApiError(
            400, f"{name}/cryptoKeyVersions/{number} is not enabled, current state is: {version.state}."
        )
    try:
        plaintext = AESGCM(version.material).decrypt(sealed[4:16], sealed[16:], context)
    except InvalidTag:
        raise wrong from None
    return JSONResponse({"plaintext": base64.b64encode(plaintext).decode()})


def _permit(request: Request, name: str, key: Key) -> None:
    caller = request.headers.get("authorization", "").removeprefix("Bearer ")
    allowed = {
        member
        for binding in key.policy.get("bindings") or ()
        if binding.get("role") in MAY_DECRYPT
        for member in binding.get("members") or ()
    }
    if caller and caller not in allowed:
        raise ApiError(
            403, f"Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '{name}'."
        )


async def get_policy(request: Request) -> Response:
    """GET …:getIamPolicy; one that was never set is empty."""
    if answer := await _suffer(request, "getIamPolicy"):
        return answer
    _, key = _key(request)
    return JSONResponse({**key.policy, "etag": _etag(key)})


async def set_policy(request: Request) -> Response:
    """POST …:setIamPolicy {policy}; refused when its etag is not the present one."""
    if answer := await _suffer(request, "setIamPolicy"):
        return answer
    _, key = _key(request)
    policy = dict((await _body(request)).get("policy") or {})
    given = policy.pop("etag", "")
    if given and given != _etag(key):
        raise ApiError(409, "There were concurrent policy changes. Please retry the whole read-modify-write.")
    key.policy, key.changes = policy, key.changes + 1
    return state_of(request).after_effect(JSONResponse({**policy, "etag": _etag(key)}))


async def test_rights(request: Request) -> Response:
    """POST …/keyRings/{ring}:testIamPermissions {permissions}: those of them that the caller has."""
    if answer := await _suffer(request, "testIamPermissions"):
        return answer
    asked = (await _body(request)).get("permissions") or []
    held = state_of(request).kms.rights
    return JSONResponse({"permissions": [each for each in asked if each in held]})


def _etag(key: Key) -> str:
    return base64.b64encode(key.changes.to_bytes(8)).decode()


_RING = "/v1/projects/{project}/locations/{location}/keyRings/{ring}"
_KEYS = _RING + "/cryptoKeys"
_ONE = _KEYS + "/{key}"
# The verb after the colon is part of the last segment, so these come before the key itself.
ROUTES = [
    Route(_RING + ":testIamPermissions", test_rights, methods=["POST"]),
    Route(_KEYS, create_key, methods=["POST"]),
    Route(_ONE + ":encrypt", encrypt, methods=["POST"]),
    Route(_ONE + ":decrypt", decrypt, methods=["POST"]),
    Route(_ONE + ":getIamPolicy", get_policy, methods=["GET"]),
    Route(_ONE + ":setIamPolicy", set_policy, methods=["POST"]),
    Route(_ONE + "/cryptoKeyVersions", versions, methods=["GET"]),
    Route(_ONE + "/cryptoKeyVersions/{version:int}:destroy", destroy, methods=["POST"]),
    Route(_ONE, get_key, methods=["GET"]),
]
