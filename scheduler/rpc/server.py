"""The gRPC server, on the event loop of the service: the API, health and reflection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from scheduler.model import InvalidField, InvalidInput
from scheduler.rpc.calls import Api, Backend
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import add_LockstepServicer_to_server
from scheduler.rpc.refusals import readable
from scheduler.rpc.watching import PERIOD_S, Watchers
from scheduler.viewers import Doorkeeper, Open

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Lockstep"].full_name

LARGEST_REQUEST = 4 * 1024 * 1024
"""Bytes; what does not fit is refused before it is read. Answers have no limit on this side."""

_MOST_CALLS = 512
"""Calls in flight, streams included."""

_GRACE_S = 2.0

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_REQUEST),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second service on the same port is an error, as with HTTP
)


@contextlib.asynccontextmanager
async def listening(
    backend: Backend, address: str, *, doorkeeper: Doorkeeper | None = None, tls: TlsFiles | None = None
) -> AsyncIterator[str]:
    """The API on an address (host:port, port 0 for any free one) until the block ends; nothing without one.

    `doorkeeper` knows callers by the bearer token in their metadata; without one all are
    let in. Gives the address that is listened on. Raises InvalidInput when it cannot be.
    """
    if not address:
        yield ""
        return
    server = grpc.aio.server(
        interceptors=(_Reading(),), options=_OPTIONS, maximum_concurrent_rpcs=_MOST_CALLS
    )
    watchers, ready = Watchers(backend), _Health(backend)
    add_LockstepServicer_to_server(Api(backend, watchers, doorkeeper or Open()), server)
    health_pb2_grpc.add_HealthServicer_to_server(ready, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = _port(server, address, tls)
    await ready.renew()
    await server.start()
    beat = asyncio.create_task(_beat(ready, watchers))
    try:
        yield f"{address.rpartition(':')[0]}:{port}"
    finally:
        beat.cancel()
        watchers.close()
        await ready.enter_graceful_shutdown()
        await server.stop(_GRACE_S)


class TlsFiles(Protocol):
    """A certificate and its key in PEM; `state` changes whenever one of the files does."""

    @property
    def cert(self) -> str: ...

    @property
    def key(self) -> str: ...

    def state(self) -> object: ...


def _port(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> int:
    try:
        port: int = (
            server.add_secure_port(address, _credentials(tls)) if tls else server.add_insecure_port(address)
        )
    except RuntimeError as error:
        wanted = "an address of this host with a port that is free"
        raise InvalidInput(InvalidField("configuration", "service.grpc", address, wanted)) from error
    return port


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """What the files hold when a connection is made; what cannot be read leaves the old certificate."""
    told: list[object] = [tls.state()]

    def configuration() -> Any:
        pair = (Path(tls.key).read_bytes(), Path(tls.cert).read_bytes())
        return grpc.ssl_server_certificate_configuration([pair])

    def renewed() -> Any:
        state = tls.state()
        if state == told[0]:
            return None
        try:
            fresh = configuration()
        except OSError as error:
            log.warning("gRPC: the old certificate stays in use: %s", error)
            return None
        told[0] = state
        return fresh

    return grpc.dynamic_ssl_server_credentials(configuration(), renewed, require_client_authentication=False)


async def _beat(ready: _Health, watchers: Watchers) -> None:
    """Keeps health and watchers up to date; what goes wrong once is tried again."""
    while True:
        await asyncio.sleep(PERIOD_S)
        try:
            await ready.renew()
            watchers.pulse()
        except Exception:
            log.exception("gRPC health and watches are late, by a bug of ours")


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # without types
    """`grpc.health.v1`: serving while the service is ready, as /readyz says."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._told: int | None = None

    async def renew(self) -> None:
        """Tell whoever watches when readiness has changed."""
        states = health_pb2.HealthCheckResponse
        state = states.NOT_SERVING if self._backend.unavailable() else states.SERVING
        if state != self._told:
            self._told = state
            for name in ("", SERVICE):
                await self.set(name, state)

    async def Check(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        await self.renew()
        return await super().Check(request, context)


class _Reading(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # without types
    """Requests to our service that are no messages reach its methods, which say so."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None or not details.method.startswith(f"/{SERVICE}/"):
            return handler
        return handler._replace(request_deserializer=readable(handler.request_deserializer))
