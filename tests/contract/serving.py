"""A service on a local port in a thread of its own, for clients that are not asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from scheduler.config import Config, ServiceConfig
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.model import Pod
from scheduler.ports import listening
from scheduler.service import Service
from scheduler.viewers import Doorkeeper, Open
from tests.builders import members, pod, two_leaves
from tests.contract.test_extender_server import FakeCluster


def inhabitants() -> list[Pod]:
    """Gangs in many states on two leaves of four nodes, and a pod without one."""
    found = [pod("busy", on="n8", phase="Running"), *members("placed", 4), *members("large", 6)]
    found += [*members("young", 3)[:2], *members("wrong", 2, tensor_parallel="x")]
    found += [pod(f"runs-{at}", gang="runs", size=2, on=f"n{at + 5}", phase="Running") for at in range(2)]
    return [*found, pod("lone", gang="lone", size=1, namespace="other")]


SETTLED = {"placed": "reserved", "large": "blocked", "young": "forming", "wrong": "invalid", "runs": "bound"}


@contextlib.contextmanager
def serving(doorkeeper: Doorkeeper | None = None) -> Iterator[str]:
    """The URL of a service with inhabitants, until the block ends; raises what broke it."""
    ready, broken = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        settings = ServiceConfig(port=0, http_timeout_s=1, paranoid=True)
        service = Service(Config(service=settings))
        service.connect(FakeCluster())
        service.observe(NodesSeen(two_leaves()))
        running = asyncio.create_task(service.run())
        try:
            async with listening(service, settings, doorkeeper=doorkeeper or Open()) as found:
                urls.extend(found)
                await settled(service)
                ready.set()
                await stop.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            broken.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="service")
    thread.start()
    ready.wait()
    try:
        if not broken:
            yield urls[0]
    finally:
        if not broken:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
    if broken:
        raise broken[0]


async def settled(service: Service) -> None:
    while service.not_ready():
        await asyncio.sleep(0.005)
    for one in inhabitants():
        service.observe(PodSeen(one))
    service.wake()
    wanted = {f"default/{name}": state for name, state in SETTLED.items()}
    while wanted.items() - {row["gang"]: row["state"] for row in service.gangs()}.items():
        await asyncio.sleep(0.005)
