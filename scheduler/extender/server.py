"""The HTTP server: kube-scheduler's verbs, health, metrics, and the read-only API."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from aiohttp import web

from scheduler.extender import openapi, wire
from scheduler.extender.entrance import Entrance, No, allow, told
from scheduler.extender.wire import BindArgs
from scheduler.model import GangKey, InvalidField, InvalidInput
from scheduler.viewers import shown_to

log = logging.getLogger(__name__)

_LARGEST_BODY = 512 * 1024 * 1024
"""Full node lists of large clusters reach tens of MiB; aiohttp's own default of 1 MiB breaks them."""

LARGEST_PLAN = 16 * 1024 * 1024
"""Manifests of thousands of pods; kube-scheduler's own bodies may be larger, people's not."""

MOST_PLANS = 32
"""Plans and explanations that are worked on or wait for their turn."""

_JSON = "application/json"
T = TypeVar("T")


class Backend(Protocol):
    """What the server asks; everything but `bind`, `gang` and `plan` answers at once."""

    def not_ready(self) -> list[str]:
        """Why the service may not answer schedulers; empty when it may."""

    def unavailable(self) -> list[str]:
        """Why nothing new should be sent here; empty when it may be."""

    def degraded(self) -> list[str]:
        """What does not work as it should, although schedulers are answered."""

    def dated(self) -> str:
        """Why what is told may not be true any more, or not be all; empty when it is."""

    def filter(self, body: bytes) -> bytes: ...

    def prioritize(self, body: bytes) -> bytes: ...

    def preempt(self, body: bytes) -> bytes: ...

    async def bind(self, args: BindArgs) -> str: ...

    def gangs(self) -> list[dict[str, Any]]: ...

    async def gang(self, key: GangKey) -> dict[str, Any] | None: ...

    def topology(self) -> dict[str, Any]: ...

    def decision(self, key: GangKey) -> dict[str, Any] | None: ...

    def domains(self) -> Mapping[str, int]:
        """How many domains there are, by level."""

    async def plan(self, body: bytes, *, jointly: bool, evict: bool, defragment: bool) -> dict[str, Any]: ...

    def metrics(self) -> bytes: ...

    def version(self) -> dict[str, str]: ...

    def served(self, verb: str, result: str, seconds: float) -> None: ...

    def refused(self, verb: str) -> None: ...


class Part(StrEnum):
    """What a port answers."""

    SCHEDULER = "scheduler"
    METRICS = "metrics"
    API = "api"


EVERYTHING = tuple(Part)


def application(
    backend: Backend, parts: Sequence[Part] = EVERYTHING, *, entrance: Entrance | None = None
) -> web.Application:
    """The routes of one port; without `parts` one application serves schedulers and people."""
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[told])
    routes = _Routes(backend, entrance or Entrance())
    app.router.add_get("/healthz", routes.healthz)
    app.router.add_get("/readyz", routes.readyz)
    if Part.SCHEDULER in parts:
        for verb in ("filter", "prioritize", "bind", "preempt"):
            app.router.add_post(f"/extender/{verb}", routes.entrance.pinned(getattr(routes, verb)))
    if Part.METRICS in parts:
        app.router.add_get("/metrics", routes.metrics)
    if Part.API in parts:
        app.router.add_get("/version", routes.version)
        app.router.add_get(openapi.PATH, routes.openapi)
        app.router.add_get("/v1/gangs", routes.gangs)
        app.router.add_get("/v1/gangs/{namespace}/{name}", routes.gang)
        app.router.add_get("/v1/gangs/{namespace}/{name}/decision", routes.decision)
        app.router.add_get("/v1/topology", routes.topology)
        app.router.add_post("/v1/plan", routes.plan)
    return app


class _Routes:
    def __init__(self, backend: Backend, entrance: Entrance) -> None:
        self._backend, self.entrance = backend, entrance
        self._asking = 0

    async def filter(self, request: web.Request) -> web.Response:
        return await self._answer(request, "filter", self._backend.filter, wire.write_filter_error)

    async def prioritize(self, request: web.Request) -> web.Response:
        return await self._answer(request, "prioritize", self._backend.prioritize, _no_scores)

    async def preempt(self, request: web.Request) -> web.Response:
        return await self._answer(request, "preempt", self._backend.preempt, None)

    async def bind(self, request: web.Request) -> web.Response:
        start = time.perf_counter()
        body = await self.entrance.body(request, _LARGEST_BODY)
        try:
            waiting = self._backend.not_ready()
            error = waiting[0] if waiting else await self._backend.bind(wire.read_bind(body))
            result = "not_ready" if waiting else "refused" if error else "ok"
        except InvalidInput as fault:
            self._backend.refused("bind")
            error, result = str(fault), "bad_request"
        self._backend.served("bind", result, time.perf_counter() - start)
        return _json(wire.write_bind(error))

    async def _answer(
        self,
        request: web.Request,
        verb: str,
        answer: Callable[[bytes], bytes],
        error_form: Callable[[str], bytes] | None,
    ) -> web.Response:
        """One synchronous verb; a fault is told in the protocol's own form where it has one."""
        body = await self.entrance.body(request, _LARGEST_BODY)
        start, result = time.perf_counter(), "ok"
        try:
            waiting = self._backend.not_ready()
            if waiting:
                result = "not_ready"
                return _fault(f"lockstep is not ready: {waiting[0]}", 503, error_form)
            return _json(answer(body))
        except InvalidInput as fault:
            self._backend.refused(verb)
            result = "bad_request"
            return _fault(str(fault), 400, error_form)
        finally:
            self._backend.served(verb, result, time.perf_counter() - start)

    async def healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        waiting = self._backend.unavailable()
        text = "\n".join(waiting or ["ok", *self._backend.degraded()])
        return web.Response(text=text + "\n", status=503 if waiting else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        if not await self.entrance.known(request, self.entrance.doorkeeper.may_scrape):
            raise No(403, "the right to `get` the path /metrics is missing")
        return web.Response(body=self._backend.metrics(), content_type="text/plain", charset="utf-8")

    async def version(self, request: web.Request) -> web.Response:
        await self.entrance.viewer(request, "")
        return web.json_response(self._backend.version())

    async def openapi(self, request: web.Request) -> web.Response:
        await self.entrance.viewer(request, "")
        return _json(openapi.document())

    async def gangs(self, request: web.Request) -> web.Response:
        namespace = request.query.get("namespace", "")
        viewer = await self.entrance.viewer(request, namespace)
        allow(viewer.pods if namespace else viewer.all_pods, viewer, "pods", namespace)
        rows = self._backend.gangs()
        if namespace:
            rows = [row for row in rows if row["gang"].startswith(f"{namespace}/")]
        if not (viewer.nodes and viewer.all_pods):
            rows = [{**row, "reason": _token(row)} for row in rows]
        return self._told({"schema": "lockstep.gangs/v1", "gangs": rows})

    async def gang(self, request: web.Request) -> web.Response:
        key = GangKey(request.match_info["namespace"], request.match_info["name"])
        viewer = await self.entrance.viewer(request, key.namespace)
        allow(viewer.pods, viewer, "pods", key.namespace)
        with self._counted():
            found = await self._backend.gang(key)
        if found is None:
            raise No(404, f"gang {key} is not known")
        return self._told(shown_to(viewer, found, domains=self._backend.domains()))

    async def decision(self, request: web.Request) -> web.Response:
        """The record of the last decision about a gang, for whoever may see all that was decided on."""
        key = GangKey(request.match_info["namespace"], request.match_info["name"])
        viewer = await self.entrance.viewer(request, "")
        allow(viewer.nodes, viewer, "nodes", "")
        allow(viewer.all_pods, viewer, "pods", "")
        found = self._backend.decision(key)
        if found is None:
            raise No(404, f"no decision about gang {key} is kept")
        return web.json_response(found)

    async def topology(self, request: web.Request) -> web.Response:
        viewer = await self.entrance.viewer(request, "")
        allow(viewer.nodes, viewer, "nodes", "")
        return self._told(self._backend.topology())

    async def plan(self, request: web.Request) -> web.Response:
        viewer = await self.entrance.viewer(request, "")
        body = await self.entrance.body(request, LARGEST_PLAN)
        try:
            asked = _switches(request)
            with self._counted():
                answer = await self._backend.plan(body, **asked)
        except InvalidInput as fault:
            errors = [
                {"object": f.object, "field": f.field, "value": f.value, "wanted": f.wanted}
                for f in fault.faults
            ]
            return web.json_response({"error": str(fault), "faults": errors}, status=400)
        return self._told(shown_to(viewer, answer, domains=self._backend.domains()))

    def _told(self, document: dict[str, Any]) -> web.Response:
        """A document about the cluster, which says so where our view of it is too old, or not whole."""
        dated = self._backend.dated()
        return web.json_response({**document, "stale": dated} if dated else document)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        if self._asking >= MOST_PLANS:
            raise No(429, f"{self._asking} plans and explanations wait already")
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1


def _token(row: dict[str, Any]) -> str:
    """The reason of a gang in the list, without a sentence that could name others."""
    return str(row["reason"]) if row["state"] in ("forming", "degraded", "invalid") else row["state"]


_SWITCHES = ("jointly", "evict", "defragment")
_WORDS = {"1": True, "true": True, "": False, "0": False, "false": False}


def _switches(request: web.Request) -> dict[str, bool]:
    """What a plan request asks for beside the plan; raises InvalidInput for what is no such thing."""
    wanted = f"one of {', '.join(_SWITCHES)}"
    faults = [
        InvalidField("/v1/plan", "query", name, wanted) for name in request.query if name not in _SWITCHES
    ]
    faults += [
        InvalidField("/v1/plan", name, request.query[name], "true or false")
        for name in _SWITCHES
        if request.query.get(name, "").lower() not in _WORDS
    ]
    if faults:
        raise InvalidInput(*faults)
    return {name: _WORDS[request.query.get(name, "").lower()] for name in _SWITCHES}


def _no_scores(_: str) -> bytes:
    """Prioritize has no place for an error, and nothing may depend on it."""
    return wire.write_scores([])


def _fault(message: str, status: int, error_form: Callable[[str], bytes] | None) -> web.Response:
    if error_form is not None:
        return _json(error_form(message))
    return web.Response(text=json.dumps({"error": message}), status=status, content_type=_JSON)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_JSON)
