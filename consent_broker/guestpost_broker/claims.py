"""Names of mailbox claims: one mailbox, one tenant.

The name is a keyed hash of the Google account's `sub`: creating an object of a name is atomic in the
API server, and who reads the claims learns nothing about the accounts.
"""

from __future__ import annotations

import hashlib
import hmac


def claim_name(sub: str, key: bytes) -> str:
    """`mailbox-` and 40 hexadecimal digits, for a Google account's `sub`."""
    return f"mailbox-{hmac.new(key, sub.encode(), hashlib.sha256).hexdigest()[:40]}"
