"""`lockstep serve`: builds the real collaborators and runs them together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from functools import partial

from scheduler.config import Config
from scheduler.doorkeeper import Tokens
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Write
from scheduler.extender.tls import Files
from scheduler.feeds import GroupFeed, NodeFeed, PodFeed
from scheduler.kube import writes
from scheduler.kube.client import Access, ApiClient
from scheduler.kube.reflector import Reflector
from scheduler.kube.reviews import Reviewer
from scheduler.model import NodeName, PodKey
from scheduler.placement import kernels
from scheduler.ports import listening
from scheduler.rpc import server as rpc
from scheduler.service import Service
from scheduler.viewers import Doorkeeper, Open

log = logging.getLogger(__name__)


class LiveCluster:
    """An API server: three reflectors for reading, and the two writes."""

    def __init__(self, client: ApiClient, service: Service, *, config: Config) -> None:
        self._client, self._stale_s = client, config.service.stale_s
        self._in_flight = asyncio.Semaphore(config.service.writes_in_flight)
        self.reflectors = (
            Reflector(client, "Node", NodeFeed(service)),
            Reflector(client, "PodGroup", GroupFeed(service), optional=True),
            Reflector(client, "Pod", PodFeed(service)),
        )

    def not_ready(self) -> list[str]:
        """One sentence per kind that has not been read yet."""
        return [
            f"{one.kind}s are not read yet{': ' + one.error if one.error else ''}"
            for one in self.reflectors
            if not one.synced.is_set()
        ]

    def stale(self) -> str:
        """Which watch has been down for how long, once that is too long."""
        for one in self.reflectors:
            if one.synced.is_set() and one.silent_s() > self._stale_s and not one.absent:
                return f"the watch of {one.kind}s has been down for {one.silent_s():.0f} s: {one.error}"
        return ""

    async def let_through(self, write: Write) -> writes.Outcome:
        """Nominate, annotate and lift the gate of one member."""
        place = _place(write.slot, write.plan)
        attempt = partial(writes.let_through, self._client, place, gated=write.gated, nominate=write.nominate)
        async with self._in_flight:
            return await writes.repeat(attempt)

    async def bind(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str
    ) -> writes.Outcome:
        """Write one Binding, again while that can help."""
        place = _place(slot, plan) if slot else None
        attempt = partial(writes.bind, self._client, place, pod=pod, uid=uid, node=node)
        return await writes.repeat(attempt)


def _place(slot: Slot, plan: str) -> writes.Place:
    return writes.Place(slot.pod, slot.uid, slot.node, plan, slot.rank)


async def serve(config: Config, access: Access) -> None:
    """Run until SIGTERM or SIGINT; every task's failure ends the service."""
    fast = kernels.warm_up()  # before the first request, which must not wait for a compiler
    log.info("placement by %s", "compiled loops" if fast else "array operations")
    service = Service(config)
    async with contextlib.AsyncExitStack() as open_ones:
        client = await open_ones.enter_async_context(ApiClient(access))
        doorkeeper: Doorkeeper = Tokens(Reviewer(client)) if config.service.auth == "tokens" else Open()
        http = listening(service, config.service, doorkeeper=doorkeeper)
        addresses = await open_ones.enter_async_context(http)
        rpc_address = await open_ones.enter_async_context(
            rpc.listening(service, config.service.grpc, doorkeeper=doorkeeper, tls=_files(config))
        )
        cluster = LiveCluster(client, service, config=config)
        service.connect(cluster)
        told = ", ".join(addresses)
        log.info("listening on %s, gRPC on %s, reading %s", told, rpc_address or "nothing", access.url)
        gc.freeze()  # what is loaded by now lives as long as the process
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [asyncio.create_task(one.run()) for one in cluster.reflectors]
        tasks += [asyncio.create_task(service.run()), asyncio.create_task(_until(stop))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _files(config: Config) -> Files | None:
    tls = config.service.tls
    return Files(tls.cert_file, tls.key_file) if tls else None


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
    log.info("stopping")
