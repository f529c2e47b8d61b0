"""A service with both of its servers on free ports, over a cluster that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
from aiohttp import web

from scheduler.config import Config, ServiceConfig
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.extender.server import application
from scheduler.extender.tls import Files
from scheduler.model import Node, Pod
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import LockstepStub
from scheduler.rpc.server import listening
from scheduler.service import Service
from tests.builders import two_leaves
from tests.contract.test_extender_server import FakeCluster


@dataclass
class Cluster(FakeCluster):
    """A cluster whose view may be said to be old."""

    old: str = ""

    def stale(self) -> str:
        return self.old


@dataclass
class Running:
    """A service, its cluster, and clients of both of its servers."""

    service: Service
    cluster: Cluster
    url: str
    session: aiohttp.ClientSession
    address: str
    channel: grpc.aio.Channel
    stub: Any

    def see(self, *pods: Pod) -> None:
        for one in pods:
            self.service.observe(PodSeen(one))
        self.service.wake()

    async def until(self, gang: str, state: str) -> None:
        while {row["gang"]: row["state"] for row in self.service.gangs()}.get(gang) != state:
            await asyncio.sleep(0.005)

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as reply:
            assert reply.status == 200
            return await reply.json()

    async def post(self, path: str, body: bytes) -> Any:
        async with self.session.post(self.url + path, data=body) as reply:
            return await reply.json()

    async def status(self, call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
        """The status and the message that a call ends with."""
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""

    async def still_answers(self) -> None:
        assert (await self.stub.ListGangs(pb.ListGangsRequest())).schema == "lockstep.gangs/v1"


Test = Callable[[Running], Awaitable[None]]


def run(test: Test, *, nodes: tuple[Node, ...] = (), tls: Files | None = None, **config: Any) -> None:
    """Run a test against a service over two leaves of four nodes, or over other nodes. With `tls` the gRPC
    port speaks it, and the test has to make channels of its own."""

    async def inside() -> None:
        service, cluster = Service(Config(service=ServiceConfig(**config))), Cluster()
        service.connect(cluster)
        service.observe(NodesSeen(nodes or two_leaves()))
        runner = web.AppRunner(application(service))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        loop = asyncio.create_task(service.run())
        while service.not_ready():
            await asyncio.sleep(0)
        try:
            async with (
                aiohttp.ClientSession() as session,
                listening(service, "127.0.0.1:0", tls=tls) as address,
                grpc.aio.insecure_channel(address) as channel,
            ):
                stub = LockstepStub(channel)
                await test(Running(service, cluster, url, session, address, channel, stub))
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await runner.cleanup()

    asyncio.run(inside())
