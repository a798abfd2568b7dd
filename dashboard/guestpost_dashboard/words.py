"""How pages say times, sizes and states. Pure; templates use them as filters."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import yaml

from guestpost_dashboard.rows import seconds

# Which colour a phase has, and with it how much it wants to be looked at.
GOOD = {"Running"}
CALM = {"Suspended", "Hibernated", "Suspending", "Hibernating"}
BUSY = {"Pending", "Provisioning", "Resuming", "Upgrading"}
ACCOUNTS = "system:serviceaccount:"
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def tone(phase: str) -> str:
    """The class of a phase: good, calm, busy or bad."""
    for name, phases in (("good", GOOD), ("calm", CALM), ("busy", BUSY)):
        if phase in phases:
            return name
    return "bad"


def span(length: float) -> str:
    """A length of time in its largest unit, such as "3 d" or "5 min"."""
    length = max(0, int(length))
    for size, unit in _STEPS:
        if length >= size:
            return f"{length // size} {unit}"
    return "0 s"


def ago(then: float, now: float | None = None) -> str:
    """How long ago a time in seconds since 1970 was; empty for none."""
    return span((time.time() if now is None else now) - then) if then else ""


def stamp(then: float | str) -> str:
    """A time, in seconds since 1970 or as Kubernetes writes it, such as "2026-11-24 12:00 UTC"."""
    then = seconds(then) if isinstance(then, str) else then
    return f"{dt.datetime.fromtimestamp(then, dt.UTC):%Y-%m-%d %H:%M} UTC" if then else ""


def iso(then: float) -> str:
    """A time in seconds since 1970, as HTML's datetime wants it."""
    return dt.datetime.fromtimestamp(then, dt.UTC).isoformat(timespec="seconds")


def number(value: float) -> str:
    """A number with its thousands apart, by a narrow space that does not break."""
    return f"{value:,}".replace(",", "\u202f")


def counted(count: int, noun: str) -> str:
    """So many of something, such as "1 tenant" or "250 tenants"."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """A number of bytes, such as "1.4 GiB", as the CRM says it too."""
    if count < 1024:
        return counted(int(count), "byte")
    value, units = count / 1024, iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    # From 1,023.5 on it would be written as 1,024.
    while value >= 1023.5 and (larger := next(units, "")):
        value, unit = value / 1024, larger
    return f"{value:.{1 if value < 99.95 else 0}f} {unit}"


def as_yaml(value: Any) -> str:
    """An object as people read it."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Lists are indented below their key, and nothing is an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


def called(name: str) -> str:
    """A user name of Kubernetes in short: of a service account, its own name before that of its namespace."""
    namespace, _, account = name.removeprefix(ACCOUNTS).partition(":")
    return f"{account} ({namespace})" if name.startswith(ACCOUNTS) and account else name


FILTERS: dict[str, Callable[..., str]] = {
    "tone": tone, "span": span, "ago": ago, "stamp": stamp, "iso": iso, "number": number, "size": size,
    "counted": counted, "yaml": as_yaml, "called": called,
}  # fmt: skip
