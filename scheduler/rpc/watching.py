"""Streams of the gangs' changes, and one pulse that drives them all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import grpc

from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.messages import enum_name, message_of
from scheduler.rpc.refusals import Refused

PERIOD_S = 0.25
"""How often the list of gangs is compared with what it was, while somebody watches."""

PATIENCE_S = 30.0
"""How long a watcher may take to accept one message."""

MOST_WATCHERS = 64

_SLOW = "this watcher reads too slowly"


class Change(Protocol):
    """One numbered change of the list of gangs."""

    @property
    def version(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def row(self) -> dict[str, Any]: ...


class Journal(Protocol):
    """The list of gangs as numbered changes."""

    @property
    def version(self) -> int: ...

    def since(self, version: int) -> Sequence[Change] | None:
        """The changes after a version; None when they are not known or no longer kept."""


class Source(Protocol):
    """Where watchers read."""

    def gangs(self) -> list[dict[str, Any]]: ...

    def journal(self) -> Journal:
        """The journal, up to now."""


class Watchers:
    """Everybody who follows the list of gangs.

    Nobody has a queue: each stream keeps the version that it has sent and reads the journal from
    there, as fast as its caller takes it; one that falls behind what the journal keeps is dropped.
    """

    def __init__(self, source: Source, *, patience_s: float = PATIENCE_S) -> None:
        self._source, self._patience_s = source, patience_s
        self._count, self._told = 0, 0
        self._news = asyncio.Event()
        self._closed = False

    def pulse(self) -> None:
        """Look for changes, and wake whoever waits for them."""
        if not self._count:
            return
        version = self._source.journal().version
        if version != self._told:
            self._told = version
            self._wake()

    def close(self) -> None:
        """End every stream; their callers come back when the service does."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, request: pb.WatchGangsRequest, context: grpc.aio.ServicerContext) -> None:
        """Send the present list, or what the caller has missed, then every change; raises Refused."""
        with self._counted():
            stream = _Stream(context, request.namespace, self._patience_s)
            journal = self._source.journal()
            version = journal.version
            missed = journal.since(request.after_version) if request.after_version else None
            if missed is None:
                await stream.list(self._source.gangs())
            else:
                await stream.changes(missed)
            await stream.send("synced", version)
            while not self._closed:
                news = self._news
                changes = journal.since(version)
                if changes is None:
                    raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_SLOW}: version {version} is gone")
                await stream.changes(changes)
                version = changes[-1].version if changes else version
                if not changes:
                    await news.wait()
        raise Refused(grpc.StatusCode.UNAVAILABLE, "the service is stopping")

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        if self._count >= MOST_WATCHERS:
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._count} callers watch already")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


class _Stream:
    """One caller: what it wants to see, and how it is told."""

    def __init__(self, context: grpc.aio.ServicerContext, namespace: str, patience_s: float) -> None:
        self._context, self._patience_s = context, patience_s
        self._prefix = f"{namespace}/" if namespace else ""

    async def list(self, rows: Sequence[dict[str, Any]]) -> None:
        """The list from its beginning."""
        await self.send("reset", 0)
        for row in rows:
            await self.send("added", 0, row)

    async def changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            await self.send(change.kind, change.version, change.row)

    async def send(self, kind: str, version: int, row: dict[str, Any] | None = None) -> None:
        """One message, if the caller wants to see this gang; raises Refused when it is not taken in time."""
        if row is not None and not row["gang"].startswith(self._prefix):
            return
        gang = message_of(pb.Gang, row) if row is not None else None
        message = pb.WatchGangsResponse(kind=enum_name("ChangeKind", kind), version=version, gang=gang)
        try:
            await asyncio.wait_for(self._context.write(message), self._patience_s)
        except TimeoutError:
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, _SLOW) from None
