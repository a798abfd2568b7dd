"""Google's KMS opens a tenant's key that it has wrapped, for this program's own identity and nobody else's.

Imported when there is something to open only, for the client is large.
https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt
"""

from __future__ import annotations

import re
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport

from guestpost_crm.environment import current

# For one try; the library tries again for a minute when KMS is overloaded.
TIMEOUT_SECONDS = 20.0


class KmsError(Exception):
    """KMS did not open it; the message says why, without anything secret."""


def unwrap(name: str, sealed: bytes, context: bytes) -> bytes:
    """Open what KMS wrapped.

    Args:
        name: full name of the CryptoKey.
        sealed: what it gave.
        context: what it was wrapped with.

    Raises:
        KmsError: it cannot be reached, refuses, or the key is destroyed.
    """
    emulator = current().kms_emulator_host
    transport: Any = "rest"
    try:
        if emulator:
            transport = KeyManagementServiceRestTransport(
                host=emulator, url_scheme="http", credentials=AnonymousCredentials()
            )
        with kms_v1.KeyManagementServiceClient(transport=transport) as client:
            request = {"name": name, "ciphertext": sealed, "additional_authenticated_data": context}
            return bytes(client.decrypt(request=request, timeout=TIMEOUT_SECONDS).plaintext)
    except GoogleAPICallError as error:
        # Without the request's method and address, with which the library begins.
        said = re.sub(r"^[A-Z]+ https?://\S+: ", "", error.message)
        raise KmsError(f"KMS does not open the tenant's key: {said}") from error
    except (RetryError, GoogleAuthError, requests.RequestException) as error:
        raise KmsError(f"KMS is not reached to open the tenant's key: {type(error).__name__}") from error
