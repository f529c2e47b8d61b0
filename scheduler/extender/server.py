"""The HTTP server: kube-scheduler's verbs, health, metrics, and the read-only API."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web

from scheduler.extender import wire
from scheduler.extender.wire import BindArgs
from scheduler.model import GangKey, InvalidInput

log = logging.getLogger(__name__)

_LARGEST_BODY = 512 * 1024 * 1024
"""Full node lists of large clusters reach tens of MiB; aiohttp's own default of 1 MiB breaks them."""

_JSON = "application/json"


class Backend(Protocol):
    """What the server asks; everything but `bind`, `gang` and `plan` answers at once."""

    def not_ready(self) -> list[str]:
        """Why the service may not answer schedulers yet; empty when it may."""

    def filter(self, body: bytes) -> bytes: ...

    def prioritize(self, body: bytes) -> bytes: ...

    def preempt(self, body: bytes) -> bytes: ...

    async def bind(self, args: BindArgs) -> str: ...

    def gangs(self) -> list[dict[str, Any]]: ...

    async def gang(self, key: GangKey) -> dict[str, Any] | None: ...

    def topology(self) -> dict[str, Any]: ...

    async def plan(self, body: bytes, *, jointly: bool) -> dict[str, Any]: ...

    def metrics(self) -> bytes: ...

    def version(self) -> dict[str, str]: ...

    def served(self, verb: str, seconds: float) -> None: ...

    def refused(self, verb: str) -> None: ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(backend: Backend) -> web.Application:
    """The routes; one application serves schedulers and people."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    routes = _Routes(backend)
    app.router.add_post("/extender/filter", routes.filter)
    app.router.add_post("/extender/prioritize", routes.prioritize)
    app.router.add_post("/extender/bind", routes.bind)
    app.router.add_post("/extender/preempt", routes.preempt)
    app.router.add_get("/healthz", routes.healthz)
    app.router.add_get("/readyz", routes.readyz)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/version", routes.version)
    app.router.add_get("/v1/gangs", routes.gangs)
    app.router.add_get("/v1/gangs/{namespace}/{name}", routes.gang)
    app.router.add_get("/v1/topology", routes.topology)
    app.router.add_post("/v1/plan", routes.plan)
    return app


class _Routes:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def filter(self, request: web.Request) -> web.Response:
        return await self._answer(request, "filter", self._backend.filter, wire.write_filter_error)

    async def prioritize(self, request: web.Request) -> web.Response:
        return await self._answer(request, "prioritize", self._backend.prioritize, _no_scores)

    async def preempt(self, request: web.Request) -> web.Response:
        return await self._answer(request, "preempt", self._backend.preempt, None)

    async def bind(self, request: web.Request) -> web.Response:
        start = time.perf_counter()
        body = await request.read()
        try:
            waiting = self._backend.not_ready()
            error = waiting[0] if waiting else await self._backend.bind(wire.read_bind(body))
        except InvalidInput as fault:
            self._backend.refused("bind")
            error = str(fault)
        self._backend.served("bind", time.perf_counter() - start)
        return _json(wire.write_bind(error))

    async def _answer(
        self,
        request: web.Request,
        verb: str,
        answer: Callable[[bytes], bytes],
        error_form: Callable[[str], bytes] | None,
    ) -> web.Response:
        """One synchronous verb; a fault is told in the protocol's own form where it has one."""
        body = await request.read()
        start = time.perf_counter()
        try:
            waiting = self._backend.not_ready()
            if waiting:
                return _fault(f"lockstep is not ready: {waiting[0]}", 503, error_form)
            return _json(answer(body))
        except InvalidInput as fault:
            self._backend.refused(verb)
            return _fault(str(fault), 400, error_form)
        finally:
            self._backend.served(verb, time.perf_counter() - start)

    async def healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        waiting = self._backend.not_ready()
        return web.Response(text="\n".join(waiting or ["ok"]) + "\n", status=503 if waiting else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._backend.metrics(), content_type="text/plain", charset="utf-8")

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response(self._backend.version())

    async def gangs(self, _: web.Request) -> web.Response:
        return web.json_response({"schema": "lockstep.gangs/v1", "gangs": self._backend.gangs()})

    async def gang(self, request: web.Request) -> web.Response:
        key = GangKey(request.match_info["namespace"], request.match_info["name"])
        found = await self._backend.gang(key)
        if found is None:
            return web.json_response({"error": f"gang {key} is not known"}, status=404)
        return web.json_response(found)

    async def topology(self, _: web.Request) -> web.Response:
        return web.json_response(self._backend.topology())

    async def plan(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            answer = await self._backend.plan(body, jointly=request.query.get("jointly") in ("1", "true"))
        except InvalidInput as fault:
            errors = [
                {"object": f.object, "field": f.field, "value": f.value, "wanted": f.wanted}
                for f in fault.faults
            ]
            return web.json_response({"error": str(fault), "faults": errors}, status=400)
        return web.json_response(answer)


def _no_scores(_: str) -> bytes:
    """Prioritize has no place for an error, and nothing may depend on it."""
    return wire.write_scores([])


def _fault(message: str, status: int, error_form: Callable[[str], bytes] | None) -> web.Response:
    if error_form is not None:
        return _json(error_form(message))
    return web.Response(text=json.dumps({"error": message}), status=status, content_type=_JSON)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_JSON)
