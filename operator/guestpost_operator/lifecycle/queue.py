"""Who is to be looked at next: what has just changed goes before what is only due."""

from __future__ import annotations

import asyncio
from collections import deque

# Every so many turns are for what is due: a storm of changes must not stop all retries.
DUE_EVERY = 4


class Queue:
    """Tenants that wait for a pass, each once.

    After a start all of them are due, which takes minutes with ten thousand; an edit need not wait for them.
    """

    def __init__(self) -> None:
        self._changed: deque[str] = deque()
        self._due: deque[str] = deque()
        # Where each waits. One that has changed meanwhile is left behind among those that are due.
        self._waiting: dict[str, bool] = {}
        self._turns = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, uid: str) -> bool:
        return uid in self._waiting

    def put(self, uid: str, *, changed: bool) -> None:
        """Have a tenant wait.

        Args:
            uid: the tenant's.
            changed: something of it has changed; else it is only due.
        """
        known = self._waiting.get(uid)
        if known is None or (changed and not known):
            self._waiting[uid] = changed
            (self._changed if changed else self._due).append(uid)
            self._filled.set()

    async def take(self) -> str:
        """The next one, as soon as there is one."""
        while True:
            while not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            self._turns += 1
            due = self._due and (not self._changed or self._turns % DUE_EVERY == 0)
            uid = (self._due if due else self._changed).popleft()
            if self._waiting.get(uid) == (not due):
                del self._waiting[uid]
                return uid
