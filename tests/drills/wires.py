"""The wires between real processes, in our hands: to the API server, and from scheduler to replicas."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import aiohttp
from aiohttp import web

_HOP = ("host", "content-length", "transfer-encoding", "connection", "content-encoding", "accept-encoding")


@dataclass
class Trouble:
    """What the way to the API server does to requests; may be changed while they run.

    `cut`: connections are refused; `slow_s`: every request waits; `busy`: so many of the next
    requests get 429 with Retry-After 1; `stall`: answers to watches stop flowing, without an end;
    `hold_after`: so many more writes to pods pass, all later ones stay on their way until it is None.
    """

    cut: bool = False
    slow_s: float = 0.0
    busy: int = 0
    stall: bool = False
    hold_after: int | None = None


@dataclass
class Way:
    """One process's way to the API server. `on_binding(n)` is called once the n-th Binding is stored."""

    port: int
    trouble: Trouble = field(default_factory=Trouble)
    on_binding: Callable[[int], None] = lambda n: None
    bindings: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    requests: int = 0
    closed: bool = False
    held: int = 0
    late: list[tuple[str, int]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Wires:
    """Forwards in a thread of its own; use it as a context manager."""

    def __init__(self, *, api: str, ca_file: str) -> None:
        self._api, self._tls = api, ssl.create_default_context(cafile=ca_file)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runners: list[web.AppRunner] = []
        self.backends: list[str] = []
        self.answers: list[tuple[str, int]] = []

    def __enter__(self) -> Wires:
        self._thread.start()
        self._session = self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def way(self) -> Way:
        """A new way to the API server."""
        way = Way(0)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._forward(way, request)

        way.port = self._do(self._listen(handle))
        return way

    def balancer(self) -> str:
        """An address that leads to whichever replica is ready, as a Service does."""
        return f"http://127.0.0.1:{self._do(self._listen(self._balance))}"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        return aiohttp.ClientSession(connector=connector)

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()
        await asyncio.sleep(0.1)

    async def _listen(self, handle: Any) -> int:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=300, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def _forward(self, way: Way, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        way.requests += 1
        if way.trouble.cut or way.closed:
            _hang_up(request)
        if way.trouble.busy > 0:
            way.trouble.busy -= 1
            return web.Response(status=429, headers={"Retry-After": "1"}, text='{"message": "busy"}')
        await asyncio.sleep(way.trouble.slow_s)
        if way.trouble.hold_after is not None and request.method != "GET" and "/pods/" in request.path:
            if way.trouble.hold_after <= 0:
                return await self._late(way, request, body)
            way.trouble.hold_after -= 1
        if request.path.endswith("/binding"):
            async with way.turn:  # one after the other, so that a kill comes after exactly so many
                return await self._pass_on(way, request, body)
        return await self._pass_on(way, request, body)

    async def _late(self, way: Way, request: web.Request, body: bytes) -> web.StreamResponse:
        """A write that stays on its way, and arrives when others have written."""
        way.held += 1
        while way.trouble.hold_after is not None:
            await asyncio.sleep(0.02)
        answer = await self._pass_on(way, request, body)
        way.late.append((request.path, answer.status))
        return answer

    async def _pass_on(self, way: Way, request: web.Request, body: bytes) -> web.StreamResponse:
        if way.closed:
            _hang_up(request)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        timeout = aiohttp.ClientTimeout(total=None)
        try:
            async with self._session.request(
                request.method, self._api + request.path_qs, data=body, headers=headers, timeout=timeout
            ) as reply:
                if request.query.get("watch"):
                    return await self._stream(way, request, reply)
                content = await reply.read()
        except aiohttp.ClientError:
            _hang_up(request)
        if request.path.endswith("/binding") and reply.status < 300:
            way.bindings += 1
            way.on_binding(way.bindings)
            if way.closed:
                _hang_up(request)
        kept = {key: value for key, value in reply.headers.items() if key.lower() not in _HOP}
        return web.Response(status=reply.status, body=content, headers=kept)

    async def _stream(
        self, way: Way, request: web.Request, reply: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=reply.status)
        await answer.prepare(request)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async for chunk in reply.content.iter_any():
                while way.trouble.stall:
                    await asyncio.sleep(0.05)
                if way.trouble.cut or way.closed:
                    _hang_up(request)
                await answer.write(chunk)
        while way.trouble.stall:  # the end does not come through either
            await asyncio.sleep(0.05)
        return answer

    async def _balance(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        for backend in list(self.backends):
            if not await self._ready(backend):
                continue
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with self._session.request(
                    request.method, backend + request.path_qs, data=body
                ) as reply:
                    self.answers.append((request.path, reply.status))
                    return web.Response(
                        status=reply.status, body=await reply.read(), content_type="application/json"
                    )
        return web.Response(status=503, text="no replica is ready")

    async def _ready(self, backend: str) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=0.5)
            async with self._session.get(backend + "/readyz", timeout=timeout) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, OSError):
            return False


def _hang_up(request: web.Request) -> NoReturn:
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError
