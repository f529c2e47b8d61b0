"""The HTTP ports of the service: what each answers, to whom, over TLS that is renewed without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from scheduler.config import ServiceConfig, Tls
from scheduler.extender.connections import ConnectionLimits, Connections
from scheduler.extender.entrance import Entrance
from scheduler.extender.server import Backend, Part, application
from scheduler.extender.tls import Files, ServerTls
from scheduler.model import InvalidField, InvalidInput
from scheduler.viewers import Doorkeeper

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 300.0
"""Longer than the 90 s after which kube-scheduler gives up an idle connection; else it meets a closed one."""

_RENEW_S = 5.0
_SWEEP_S = 0.5


@dataclass(frozen=True, slots=True)
class Port:
    """One address and what it answers; `client_certificate` where kube-scheduler must show one."""

    field: str
    address: str
    parts: tuple[Part, ...]
    client_certificate: bool = False


def ports_of(service: ServiceConfig) -> tuple[Port, ...]:
    """The ports of a configuration: the scheduler's first, which answers whatever has no port of its own."""
    own = {Part.METRICS: service.metrics, Part.API: service.api}
    shared = tuple(part for part, address in own.items() if not address)
    pinned = bool(service.tls and service.tls.client_ca)
    found = [Port("port", f"{_host(service.address)}:{service.port}", (Part.SCHEDULER, *shared), pinned)]
    found += [Port(part.value, address, (part,)) for part, address in own.items() if address]
    return tuple(found)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


@contextlib.asynccontextmanager
async def listening(
    backend: Backend,
    service: ServiceConfig,
    *,
    doorkeeper: Doorkeeper,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[Sequence[str]]:
    """Every port of the configuration until the block ends; gives their URLs. Raises InvalidInput."""
    names = service.tls.client_names if service.tls else ()
    entrance = Entrance(doorkeeper, names, limits or ConnectionLimits())
    async with contextlib.AsyncExitStack() as open_ones:
        urls = []
        for port in ports_of(service):
            urls.append(await open_ones.enter_async_context(_listening(backend, port, service.tls, entrance)))
        yield urls


@contextlib.asynccontextmanager
async def _listening(backend: Backend, port: Port, tls: Tls | None, entrance: Entrance) -> AsyncIterator[str]:
    connections = Connections(entrance.limits, time.monotonic)
    entrance = entrance if port.client_certificate else replace(entrance, client_names=())
    app = application(backend, port.parts, entrance=entrance)
    app.middlewares.insert(0, connections.middleware)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=_KEEP_ALIVE_S)
    await runner.setup()
    assert runner.server is not None
    secure = _secure(port, tls)
    server = await _listen(runner.server, port, connections, secure)
    care = asyncio.create_task(_care(connections, secure))
    try:
        bound = server.sockets[0].getsockname()[1]
        yield f"{'https' if secure else 'http'}://{port.address.rpartition(':')[0]}:{bound}"
    finally:
        care.cancel()
        server.close()
        await runner.cleanup()


def _secure(port: Port, tls: Tls | None) -> ServerTls | None:
    if tls is None:
        return None
    return ServerTls(Files(tls.cert_file, tls.key_file, tls.client_ca if port.client_certificate else ""))


async def _listen(
    handler: web.Server, port: Port, connections: Connections, secure: ServerTls | None
) -> asyncio.Server:
    host, _, number = port.address.rpartition(":")
    context: ssl.SSLContext | None = secure.context if secure else None
    handshake_s = connections.limits.handshake_s if secure else None
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: connections.watched(handler),
            host.strip("[]"),
            int(number),
            backlog=1024,
            ssl=context,
            ssl_handshake_timeout=handshake_s,
        )
    except OSError as error:
        wanted = f"an address of this host with a port that is free ({error.strerror or error})"
        raise InvalidInput(
            InvalidField("configuration", f"service.{port.field}", port.address, wanted)
        ) from error


async def _care(connections: Connections, secure: ServerTls | None) -> None:
    """Cuts late connections, and takes over certificates that have changed."""
    renewed = time.monotonic()
    while True:
        await asyncio.sleep(_SWEEP_S)
        connections.sweep()
        if secure is not None and time.monotonic() - renewed >= _RENEW_S:
            renewed = time.monotonic()
            secure.renew()
