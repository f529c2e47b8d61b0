"""Connections that cost nothing: cut when a request does not come, and capped while they wait.

aiohttp has a limit for idle keep-alive, none for a request that never ends its headers, and none
for the number of sockets. Binds of a gang are held open on purpose, so busy ones are not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds for the headers of a request once it began (or the connection), and for its body;
    how many connections may wait for a request, and seconds for a TLS handshake."""

    headers_s: float = 10.0
    body_s: float = 10.0
    handshake_s: float = 5.0
    most_waiting: int = 512


@dataclass(slots=True)
class _State:
    """`receiving`: since when the headers of a request are awaited, None for an idle or a busy one."""

    receiving: float | None
    busy: int = 0
    waiting_since: float = 0.0


@dataclass(slots=True)
class Connections:
    """Every connection of one listener; `sweep` is to be called about twice a second."""

    limits: ConnectionLimits
    clock: Callable[[], float]
    cut: int = 0
    _states: dict[asyncio.BaseTransport, _State] = field(default_factory=dict)

    def watched(self, inner: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """The protocol of one new connection, watched."""
        return _Watched(inner(), self)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tells when the headers of a request are whole, and when it is answered."""
        state = self._states.get(request.transport) if request.transport is not None else None
        if state is None:
            return await handler(request)
        state.receiving, state.busy = None, state.busy + 1
        try:
            return await handler(request)
        finally:
            state.busy -= 1
            state.waiting_since = self.clock()

    def made(self, transport: asyncio.BaseTransport) -> None:
        now = self.clock()
        self._states[transport] = _State(now, waiting_since=now)

    def received(self, transport: asyncio.BaseTransport) -> None:
        """Bytes came; what an idle connection sends is the beginning of a request."""
        state = self._states.get(transport)
        if state is not None and not state.busy and state.receiving is None:
            state.receiving = self.clock()

    def lost(self, transport: asyncio.BaseTransport) -> None:
        self._states.pop(transport, None)

    def sweep(self) -> None:
        """Cut whoever is late, and the longest waiting of those above the cap."""
        late = self.clock() - self.limits.headers_s
        waiting = [(transport, state) for transport, state in self._states.items() if not state.busy]
        for transport, state in waiting:
            if state.receiving is not None and state.receiving < late:
                self._cut(transport)
        waiting.sort(key=lambda one: one[1].waiting_since)
        for transport, _ in waiting[: max(0, len(waiting) - self.limits.most_waiting)]:
            self._cut(transport)

    def _cut(self, transport: asyncio.BaseTransport) -> None:
        if self._states.pop(transport, None) is not None:
            self.cut += 1
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


class _Watched(asyncio.Protocol):
    """Passes everything on to the HTTP protocol."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner, self._connections = inner, connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.made(transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._connections.received(self._transport)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.lost(self._transport)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class TooLarge(Exception):
    """A body above the limit of its route."""


class TooSlow(Exception):
    """A body that did not come in time."""


async def body_of(request: web.Request, *, most_bytes: int, within_s: float) -> bytes:
    """The body of a request, whole; raises TooLarge or TooSlow."""
    if (request.content_length or 0) > most_bytes:
        raise TooLarge
    parts, size = [], 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.content.iter_any():
                size += len(part)
                if size > most_bytes:
                    raise TooLarge
                parts.append(part)
    except TimeoutError:
        raise TooSlow from None
    return b"".join(parts)
