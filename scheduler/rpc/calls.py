"""The calls of the API: each asks what HTTP asks, and writes the answer as a message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import grpc

from scheduler.model import GangKey, InvalidField, InvalidInput
from scheduler.placement.problem import Limits
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import LockstepServicer
from scheduler.rpc.messages import message_of
from scheduler.rpc.refusals import Refused, refusing
from scheduler.rpc.watching import Source, Watchers
from scheduler.viewers import ANYBODY, Doorkeeper, Open, Overloaded, Unknown, Viewer, bearer, shown_to

MOST_ASKING = 32
"""Plans and explanations that are worked on or wait for their turn."""

_LEAST_S = 0.01
"""What the solver is given when a deadline leaves it less."""


class Backend(Source, Protocol):
    """What the API asks of the service."""

    @property
    def limits(self) -> Limits:
        """What one decision may take when nobody says less."""

    def not_ready(self) -> list[str]:
        """Why nothing may be answered now; empty when all may be."""

    def unavailable(self) -> list[str]:
        """Why nothing new should be sent here; empty when it may be."""

    def stale(self) -> str:
        """Why the view of the cluster is too old; empty while it is fresh."""

    async def gang(self, key: GangKey, limits: Limits | None = None) -> dict[str, Any] | None: ...

    async def plan(
        self, body: bytes, *, jointly: bool, limits: Limits | None = None, evict: bool, defragment: bool
    ) -> dict[str, Any]: ...

    def topology(self) -> dict[str, Any]: ...

    def domains(self) -> Mapping[str, int]:
        """How many domains there are, by level."""

    def summary(self) -> dict[str, int]: ...

    def version(self) -> dict[str, str]: ...


class Api(LockstepServicer):
    """The service `lockstep.v1.Lockstep`."""

    def __init__(self, backend: Backend, watchers: Watchers, doorkeeper: Doorkeeper) -> None:
        self._backend, self._watchers, self._doorkeeper = backend, watchers, doorkeeper
        self._asking = 0

    @refusing
    async def Plan(self, request: pb.PlanRequest, context: grpc.aio.ServicerContext) -> pb.PlanResponse:
        viewer = await self._viewer(context, "")
        self._check_view()
        with self._counted():
            limits = self._limits(context)
            found = await self._backend.plan(
                request.manifests,
                jointly=request.jointly,
                limits=limits,
                evict=request.evict,
                defragment=request.defragment,
            )
        return message_of(pb.PlanResponse, shown_to(viewer, found, domains=self._backend.domains()))

    @refusing
    async def Explain(
        self, request: pb.ExplainRequest, context: grpc.aio.ServicerContext
    ) -> pb.ExplainResponse:
        missing = [name for name in ("namespace", "name") if not getattr(request, name)]
        if missing:
            wanted = "that of a gang, which ListGangs shows as namespace/name"
            raise InvalidInput(*(InvalidField("ExplainRequest", name, "", wanted) for name in missing))
        viewer = await self._viewer(context, request.namespace)
        _allow(viewer.pods, viewer, "pods", request.namespace)
        self._check_view()
        key = GangKey(request.namespace, request.name)
        with self._counted():
            found = await self._backend.gang(key, self._limits(context))
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"gang {key} is not known")
        return message_of(pb.ExplainResponse, shown_to(viewer, found, domains=self._backend.domains()))

    @refusing
    async def ListGangs(
        self, request: pb.ListGangsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListGangsResponse:
        await self._follows(context, request.namespace)
        self._check_view()
        prefix = f"{request.namespace}/" if request.namespace else ""
        rows = [row for row in self._backend.gangs() if row["gang"].startswith(prefix)]
        version = self._backend.journal().version
        document = {"schema": "lockstep.gangs/v1", "gangs": rows, "version": version}
        return message_of(pb.ListGangsResponse, document)

    @refusing
    async def WatchGangs(self, request: pb.WatchGangsRequest, context: grpc.aio.ServicerContext) -> None:
        if request.after_version < 0:
            wanted = "a version that this API has told, or 0"
            value = str(request.after_version)
            raise InvalidInput(InvalidField("WatchGangsRequest", "after_version", value, wanted))
        await self._follows(context, request.namespace)
        self._check_view()
        await self._watchers.follow(request, context)

    @refusing
    async def GetTopology(
        self, _: pb.GetTopologyRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTopologyResponse:
        viewer = await self._viewer(context, "")
        _allow(viewer.nodes, viewer, "nodes", "")
        self._check_view()
        return await asyncio.to_thread(message_of, pb.GetTopologyResponse, self._backend.topology())

    @refusing
    async def Snapshot(self, _: pb.SnapshotRequest, context: grpc.aio.ServicerContext) -> pb.SnapshotResponse:
        viewer = await self._viewer(context, "")
        _allow(viewer.nodes, viewer, "nodes", "")
        _allow(viewer.all_pods, viewer, "pods", "")
        self._check_view()
        document = {
            "version": self._backend.journal().version,
            "service": self._backend.version()["version"],
            "snapshot": self._backend.summary(),
            "topology": self._backend.topology(),
            "gangs": self._backend.gangs(),
        }
        return await asyncio.to_thread(message_of, pb.SnapshotResponse, document)

    async def _viewer(self, context: grpc.aio.ServicerContext, namespace: str) -> Viewer:
        """Who calls, by the bearer token of their metadata; raises Refused."""
        if isinstance(self._doorkeeper, Open):
            return ANYBODY
        header = next((v for k, v in context.invocation_metadata() or () if k == "authorization"), "")
        try:
            return await self._doorkeeper.viewer(bearer(str(header)), namespace=namespace)
        except Unknown:
            told = "a bearer token is needed that the API server knows, as `authorization` in the metadata"
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, told) from None
        except Overloaded as error:
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None

    async def _follows(self, context: grpc.aio.ServicerContext, namespace: str) -> None:
        """Lists and watches tell whole reasons, so they are for those who may see what is in them."""
        viewer = await self._viewer(context, namespace)
        _allow(viewer.pods if namespace else viewer.all_pods, viewer, "pods", namespace)
        _allow(viewer.nodes, viewer, "nodes", "")

    def _check_view(self) -> None:
        """No answer is better than one from half a cluster or an old one."""
        waiting = self._backend.not_ready()
        if waiting:
            raise Refused(grpc.StatusCode.UNAVAILABLE, f"lockstep is not ready: {'; '.join(waiting)}")
        stale = self._backend.stale()
        if stale:
            raise Refused(grpc.StatusCode.UNAVAILABLE, f"the view of the cluster is too old: {stale}")

    def _limits(self, context: grpc.aio.ServicerContext) -> Limits:
        """The service's own limits, or less when the caller does not wait that long."""
        limits, left_s = self._backend.limits, context.time_remaining()
        if left_s is None:
            return limits
        left_s = max(left_s, _LEAST_S)
        return replace(
            limits,
            deterministic_s=min(limits.deterministic_s, left_s),
            refine_s=min(limits.refine_s, left_s),
        )

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        if self._asking >= MOST_ASKING:
            message = f"{self._asking} plans and explanations wait already"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1


def _allow(allowed: bool, viewer: Viewer, resource: str, namespace: str) -> None:
    if not allowed:
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        message = f"{viewer.user}: the right to `list` {resource} {where} is missing"
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, message)
