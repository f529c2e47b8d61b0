"""Who is let in, how large and how slow a request may be, and what is told to whoever is not."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from scheduler.extender.connections import ConnectionLimits, Handler, TooLarge, TooSlow, body_of
from scheduler.extender.tls import names_of
from scheduler.viewers import Doorkeeper, Open, Overloaded, Unknown, Viewer, bearer

log = logging.getLogger(__name__)

OPEN, LIMITS = Open(), ConnectionLimits()
T = TypeVar("T")


class No(Exception):
    """An answer other than the one that was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@web.middleware
async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals as JSON with the status that says which kind."""
    try:
        return await handler(request)
    except No as no:
        headers = {"WWW-Authenticate": "Bearer"} if no.status == 401 else None
        headers = {"Retry-After": "1"} if no.status in (429, 503) else headers
        return web.json_response({"error": no.message}, status=no.status, headers=headers)
    except TooLarge:
        return web.json_response({"error": "the body is too large"}, status=413)
    except TooSlow:
        return web.json_response({"error": "the body did not come in time"}, status=408)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who is let in and for how long: `client_names` of kube-scheduler's certificate, none for any."""

    doorkeeper: Doorkeeper = OPEN
    client_names: tuple[str, ...] = ()
    limits: ConnectionLimits = LIMITS

    def pinned(self, handler: Handler) -> Handler:
        """The handler, for clients alone whose certificate has one of the names that are let in."""
        wanted = set(self.client_names)
        if not wanted:
            return handler

        async def checked(request: web.Request) -> web.StreamResponse:
            connection = request.transport.get_extra_info("ssl_object") if request.transport else None
            shown = connection.getpeercert() if isinstance(connection, ssl.SSLObject) else None
            names = names_of(shown)
            if wanted.isdisjoint(names):
                log.warning("a client that calls itself %r is not let in", names)
                raise No(403, f"the client's certificate has none of the names {sorted(wanted)}")
            return await handler(request)

        return checked

    async def body(self, request: web.Request, most_bytes: int) -> bytes:
        return await body_of(request, most_bytes=most_bytes, within_s=self.limits.body_s)

    async def viewer(self, request: web.Request, namespace: str) -> Viewer:
        """Who asks; a refusal for whoever is not known."""
        keeper = self.doorkeeper
        return await self.known(request, lambda token: keeper.viewer(token, namespace=namespace))

    async def known(self, request: web.Request, ask: Callable[[str], Awaitable[T]]) -> T:
        try:
            if isinstance(self.doorkeeper, Open):
                return await ask("")
            return await ask(bearer(request.headers.get("Authorization", "")))
        except Unknown:
            raise No(401, "a bearer token is needed that the API server knows") from None
        except Overloaded as error:
            raise No(429, str(error)) from None


def allow(allowed: bool, viewer: Viewer, resource: str, namespace: str) -> None:
    if not allowed:
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        raise No(403, f"{viewer.user}: the right to `list` {resource} {where} is missing")
