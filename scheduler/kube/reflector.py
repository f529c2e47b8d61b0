"""List, then watch, for ever: one resource kept in step with the API server."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from scheduler.kube.client import Reply, Unclear, WatchRefused
from scheduler.kube.objects import Item, Kind, ObjectList, WatchEvent, decode_event, decode_list
from scheduler.model import InvalidField, InvalidInput

log = logging.getLogger(__name__)

_QUIET_S = 30.0
_LONGEST_S = 290
_TRIAL_S = 1
"""Length of the first watch after a list or a break: its end proves that we are in step."""
_PAGE = 1000
"""Objects of one answer to a list."""
_GONE = 410
_STEP = 8
"""Events of a watch that are taken before others may run: some milliseconds."""
_LONGEST_PAUSE_S = 10.0
JITTER = random.Random()
"""Spreads the tries again of several replicas; a dice of its own, so that nobody's seed is disturbed."""

PATHS: dict[Kind, str] = {
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/pods",
    "PodGroup": "/apis/scheduling.k8s.io/v1beta1/podgroups",
    "Other": "",
}
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


class Source(Protocol):
    """The part of the API client that reading needs."""

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> Awaitable[Reply]: ...

    def lines(
        self, path: str, *, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[AsyncIterator[list[bytes]]]: ...


class Sink(Protocol):
    """Takes what a reflector reads; called on the event loop, must not wait."""

    def in_steps(self, items: tuple[Item, ...]) -> Iterator[None]:
        """All objects there are: what is not among them is gone. Others may run between two steps."""

    def event(self, event: WatchEvent) -> None:
        """One ADDED, MODIFIED or DELETED, in order."""

    def flush(self) -> None:
        """A batch of events is complete."""

    def fault(self, fault: InvalidField) -> None:
        """An object that cannot be read; the others are not affected."""


class Reflector:
    """Keeps a sink in step with one kind of object.

    `synced` once the first list is in; `listed_s` is the monotonic time at which the
    last list was asked for, `heard_s` that of the last proof that we are in step: a list, an event or
    bookmark, or a watch that the server ended when it was asked to. An open connection proves nothing:
    what lies between may have lost one of its ends. So no watch is asked to last longer than three
    fifths of `quiet_s`, and one that is not over soon after is dropped. An `optional` kind that
    the server does not know counts as empty (`absent`) and is asked for again now and then.
    `paths`: where the server may have the kind, by version; `name`: what it is called.
    """

    def __init__(
        self,
        client: Source,
        kind: Kind,
        sink: Sink,
        *,
        optional: bool = False,
        paths: Sequence[str] = (),
        name: str = "",
        quiet_s: float = _QUIET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        self.listed_s = float("-inf")
        self.absent = False
        self.heard_s = clock()
        self.error = ""
        self._client, self._sink, self._clock = client, sink, clock
        self._optional = optional
        self._paths, self._at = tuple(paths) or (PATHS[kind],), 0
        self.name = name or kind
        self._watch_s = min(_LONGEST_S, max(1, int(quiet_s * 0.6)))
        self._grace_s = min(_LONGEST_PAUSE_S, quiet_s * 0.2)
        self._in_doubt = True
        self._reached = ""
        self._turn: asyncio.Task[None] | None = None

    def silent_s(self) -> float:
        """Seconds since we were last known to be in step with the server."""
        return self._clock() - self.heard_s

    def again(self) -> None:
        """Drop the watch and list anew at once; `synced` is set when that list is in."""
        self.synced.clear()
        if self._turn is not None:
            self._turn.cancel()

    async def run(self) -> None:
        """Never returns; every failure is logged once and tried again after a pause that grows."""
        while True:
            self._turn = asyncio.create_task(self._follow())
            try:
                await asyncio.wait((self._turn,))
            finally:
                self._turn.cancel()
            if not self._turn.cancelled():
                self._turn.result()

    async def _follow(self) -> None:
        """List and watch, again after every failure."""
        pause = 0.2
        while True:
            asked_s = 0.0
            try:
                version = await self._list()
                pause = 0.2
                while version:
                    version = await self._watch(version)
            except (Unclear, WatchRefused, InvalidInput) as error:
                if str(error) != self.error:
                    log.warning("%s: %s; trying again", self.name, error)
                self.error = str(error)
                asked_s = error.retry_after_s if isinstance(error, WatchRefused) else 0.0
            await asyncio.sleep(max(asked_s, pause * JITTER.uniform(0.8, 1.2)))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _list(self) -> str:
        began_s = self._clock()
        reply = await self._page("")
        if reply.status == 404 and self._at + 1 < len(self._paths):
            self._at += 1  # another version of the same kind
            return await self._list()
        if reply.status in (403, 404) and self._optional:
            self._at = 0
            self.absent = True
            await self._replace(())
            self.synced.set()
            await asyncio.sleep(60)
            return ""
        self.absent = False
        _good(reply)
        found: ObjectList = decode_list(reply.body, self.kind)
        faults, items = list(found.faults), list(found.items)
        while found.more:
            found = decode_list(_good(await self._page(found.more)).body, self.kind)
            faults += found.faults
            items += found.items
        for fault in faults:
            self._sink.fault(fault)
        await self._replace(tuple(items))
        self._sink.flush()
        self.error, self.listed_s, self.heard_s, self._in_doubt = "", began_s, began_s, True
        self.synced.set()
        return found.resource_version

    async def _page(self, start: str) -> Reply:
        """A part of the list: all at once would be 100 MB and more in a large cluster, here and there."""
        query = {"limit": str(_PAGE), **({"continue": start} if start else {})}
        return await self._client.request("GET", self._paths[self._at], query=query, timeout_s=120)

    async def _replace(self, items: tuple[Item, ...]) -> None:
        for _ in self._sink.in_steps(items):
            await asyncio.sleep(0)

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end; the version to go on from, or "" to list again."""
        lasts_s = _TRIAL_S if self._in_doubt else self._watch_s
        self._in_doubt, self._reached = True, version
        try:
            async with asyncio.timeout(lasts_s + self._grace_s):
                self._in_doubt = not await self._stream(lasts_s)
        except TimeoutError:
            log.warning("%s: the watch brought no end in %d s; watching again", self.name, lasts_s)
        except WatchRefused as error:
            if error.status == _GONE:
                return ""
            raise
        except Unclear as error:
            log.info("%s: %s; watching again", self.name, error)
            await asyncio.sleep(0.2)
        return self._reached

    async def _stream(self, lasts_s: int) -> bool:
        """Take what one watch brings, and keep the version that it reached; whether it came to its end."""
        query = {
            "watch": "1",
            "resourceVersion": self._reached,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(lasts_s),
        }
        async with self._client.lines(self._paths[self._at], query=query) as batches:
            async for lines in batches:
                for at, line in enumerate(lines, start=1):
                    event = decode_event(line, self.kind)
                    if event.type == "ERROR":
                        if event.code != _GONE:
                            log.warning("%s: the watch reports %s", self.name, event.fault or event.code)
                        self._reached = ""
                        return False
                    self._reached = event.resource_version or self._reached
                    self._take(event)
                    if at % _STEP == 0:
                        await asyncio.sleep(0)
                self._sink.flush()
                self.heard_s = self._clock()
                await asyncio.sleep(0)  # the next may lie there already
        self.heard_s = self._clock()
        return True

    def _take(self, event: WatchEvent) -> None:
        if event.fault is not None:
            self._sink.fault(event.fault)
        if event.type != "BOOKMARK":
            self._sink.event(event)


def _good(reply: Reply) -> Reply:
    if not reply.ok:
        text = reply.body.decode(errors="replace")
        raise WatchRefused(reply.status, text, retry_after_s=reply.retry_after_s)
    return reply
