"""Requests of many gangs to one server: so many at once, and a small gang does not wait for a large one.

In order of arrival a gang of eight would wait for all five thousand Bindings of the gang before it. With
a turn for each gang in rotation hundreds of equal gangs would all be complete at the very end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush


class Turns:
    """At most `at_once` hold a turn. Every other one goes to the owner with the fewest requests that wait
    (of equal ones the first), the others to the owner that came first, so that nobody waits for ever.

    Among the requests of one owner the first comes first.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._fewest: list[tuple[int, int, str]] = []  # requests, a number, owner: skipped once untrue
        self._asked, self._first = 0, True

    @asynccontextmanager
    async def of(self, owner: str) -> AsyncIterator[None]:
        """Hold a turn inside the block."""
        await self._take(owner)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, owner: str) -> None:
        if self._free:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        self._note(owner)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()  # it was given and comes too late
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            owner = next(iter(self._waiting)) if self._first else self._smallest()
            given = self._waiting[owner].popleft()
            self._note(owner)
            if not given.done():  # else who waited was cancelled
                self._first = not self._first
                given.set_result(None)
                return
        self._free += 1

    def _note(self, owner: str) -> None:
        self._asked += 1
        if self._waiting[owner]:
            heappush(self._fewest, (len(self._waiting[owner]), self._asked, owner))
            return
        del self._waiting[owner]
        if not self._waiting:
            self._fewest.clear()

    def _smallest(self) -> str:
        while True:
            count, _, owner = self._fewest[0]
            if owner in self._waiting and len(self._waiting[owner]) == count:
                return owner
            heappop(self._fewest)
