"""Which tenant holds which host name: the one that asked first, whoever else asks for it."""

from __future__ import annotations

from typing import NamedTuple

from guestpost_operator.api.tenant import Tenant


class _Claim(NamedTuple):
    """Sorted by age; tenants of the same second by uid."""

    created: str
    uid: str
    name: str


class Hostnames:
    """The claims of all tenants. Complete only once every tenant was seen."""

    def __init__(self) -> None:
        self._claims: dict[str, set[_Claim]] = {}
        self._asked: dict[str, str] = {}

    def owner(self, hostname: str) -> str | None:
        """Name of the tenant that holds a host name, None when nobody asked for it."""
        claims = self._claims.get(hostname)
        return min(claims).name if claims else None

    def claim(self, tenant: Tenant, hostname: str) -> set[str]:
        """Note which host name a tenant asks for, in the place of the one before.

        Returns:
            uids of the tenants that wait for the one that it gives up.
        """
        if self._asked.get(tenant.uid) == hostname:
            return set()
        waiting = self.release(tenant.uid)
        self._asked[tenant.uid] = hostname
        self._claims.setdefault(hostname, set()).add(_Claim(tenant.created, tenant.uid, tenant.name))
        return waiting

    def release(self, uid: str) -> set[str]:
        """Give up what a tenant asked for.

        Returns:
            uids of the tenants that wait for it.
        """
        hostname = self._asked.pop(uid, "")
        rest = {claim for claim in self._claims.pop(hostname, set()) if claim.uid != uid}
        if rest:
            self._claims[hostname] = rest
        return {claim.uid for claim in rest}
