"""Keys, clients and certificate are read again when their files change, without a restart.

Kubernetes renews mounted Secrets in place, cert-manager renews certificates, and a key that is being rotated
has to be known to every replica before it makes anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from guestpost_broker.config import FILES, Config, ConfigurationError, load
from guestpost_broker.metrics import FILES_READ

SECONDS = 10.0
log = structlog.get_logger()


class Reloader:
    """Looks at the files now and then.

    Args:
        environment: the settings' variables.
        apply: is given the new settings.
    """

    def __init__(self, environment: Mapping[str, str], apply: Callable[[Config], None]) -> None:
        self._environment = environment
        self._apply = apply
        self._seen = self._fingerprint()
        FILES_READ.set(1)

    def look(self) -> None:
        """Apply the files if they have changed; what is wrong is told, and what was good stays in force."""
        try:
            present = self._fingerprint()
            if present == self._seen:
                return
            self._apply(load(self._environment))
        except (ConfigurationError, OSError) as error:
            FILES_READ.set(0)
            problem = str(error) if isinstance(error, ConfigurationError) else type(error).__name__
            log.error("configuration", problem=problem, kept="the settings that were read before")
            return
        self._seen = present
        FILES_READ.set(1)
        log.info("configuration read again")

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(SECONDS)
            self.look()

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in FILES:
            if path := self._environment.get(name):
                digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        return digest.hexdigest()


def renew_certificate(context: ssl.SSLContext, config: Config) -> None:
    """Let connections from now on see the certificate that the files hold.

    Raises:
        ConfigurationError: the two don't fit together; the context stays as it was.
    """
    try:
        # A pair that does not fit would spoil a context in use, so a throw-away one tries it first.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            each.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"{config.tls_cert_file} and {config.tls_key_file}: {type(error).__name__}"
        ) from None
