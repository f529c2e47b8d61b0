"""Bindings of a large gang on their way: who need not wait for all of them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from scheduler.cluster import LiveCluster
from scheduler.config import Config
from scheduler.engine.plans import Slot
from scheduler.kube.client import ApiClient, Reply
from scheduler.model import NodeName, PodKey
from scheduler.service import Service

NODE = NodeName("n0")


class Standing:
    """An API server that answers nothing about members of the gang until it is let go."""

    def __init__(self) -> None:
        self.go, self.asked = asyncio.Event(), 0

    async def request(self, method: str, path: str, **_: Any) -> Reply:
        if "/gang-" in path:
            self.asked += 1
            await self.go.wait()
        return Reply(201, b"{}")


def test_a_pod_of_no_gang_does_not_queue_behind_a_gang() -> None:
    async def test() -> None:
        server, config = Standing(), Config()
        cluster = LiveCluster(cast(ApiClient, server), Service(config), config=config)

        async def bind(name: str, *, member: bool) -> bool:
            key = PodKey("default", name)
            slot = Slot(key, name, NODE, 0, bound=False) if member else None
            outcome = await cluster.bind(pod=key, uid=name, node=NODE, slot=slot, plan="p", version="1")
            return outcome.done

        members = [asyncio.create_task(bind(f"gang-{at}", member=True)) for at in range(100)]
        await asyncio.sleep(0.01)
        assert server.asked == config.service.writes_in_flight
        assert await asyncio.wait_for(bind("alone", member=False), 5)
        server.go.set()
        assert all(await asyncio.gather(*members))

    asyncio.run(test())


def test_a_gang_does_not_wait_for_all_of_a_larger_one() -> None:
    async def test() -> None:
        server, config = Standing(), Config()
        cluster = LiveCluster(cast(ApiClient, server), Service(config), config=config)
        order: list[str] = []

        async def bind(plan: str, at: int) -> None:
            key = PodKey("default", f"gang-{plan}-{at}")
            slot = Slot(key, key.name, NODE, 0, bound=False)
            await cluster.bind(pod=key, uid=key.name, node=NODE, slot=slot, plan=plan, version="1")
            order.append(plan)

        tasks = [asyncio.create_task(bind("large", at)) for at in range(500)]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(bind("small", at)) for at in range(8)]
        await asyncio.sleep(0.01)
        server.go.set()
        await asyncio.gather(*tasks)
        assert order.count("small") == 8
        last = max(at for at, plan in enumerate(order) if plan == "small")
        assert last < 4 * config.service.writes_in_flight

    asyncio.run(test())
