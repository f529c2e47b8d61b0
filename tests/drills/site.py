"""Replicas of the real service on the API server, scheduler and clock of `tests.fakes`."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler.cluster import LiveCluster
from scheduler.config import Config, Leadership, ServiceConfig
from scheduler.extender import wire
from scheduler.kube.reflector import JITTER
from scheduler.service import Service
from tests.fakes import POD_ROOT, FakeApi, FakeClient, FakeScheduler, Inline, Object, now_s

SETTLED_S = 20.0
"""A gang is completed or released so long after a restart, by the promise of the issue."""


class Replica:
    """One process: it can be killed between any two writes, and at each."""

    def __init__(self, api: FakeApi, *, config: Config, kill_at: int = 0) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self.client = FakeClient(api, kill_at=kill_at, on_death=self._died)
        self._slept_s, self._asleep_since_s = 0.0, 0.0
        self.service = Service(config, clock=self.clock, solver=Inline())
        self.cluster = LiveCluster(self.client, self.service, config=config, clock=self.clock)
        self.service.connect(self.cluster)
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self.cluster.run()), loop.create_task(self.service.run())]

    @property
    def alive(self) -> bool:
        return not self.client.dead

    def clock(self) -> float:
        """Monotonic seconds of this process, which stand still while it sleeps."""
        return (self._asleep_since_s or now_s()) - self._slept_s

    def fall_asleep(self) -> None:
        """As SIGSTOP, or a virtual machine that is suspended: nothing is sent or heard, no time passes."""
        self._asleep_since_s = self._asleep_since_s or now_s()
        self.client.awake.clear()

    def wake_up(self) -> None:
        """It goes on where it was, and what it had on its way is sent now."""
        self._slept_s += now_s() - (self._asleep_since_s or now_s())
        self._asleep_since_s = 0.0
        self.client.awake.set()

    def kill(self) -> None:
        """As kill -9: nothing of it runs any more, what it has sent may still arrive."""
        if self.alive:
            self.client.die()

    async def drain(self) -> None:
        """As SIGTERM."""
        await self.service.drain()
        self.kill()

    def _died(self) -> None:
        for task in self.tasks:
            task.cancel()
        if not self.gone.done():
            self.gone.set_result(None)

    async def ask(self, verb: str, body: bytes) -> Any:
        """A verb of the extender, as the HTTP server answers it."""
        work = asyncio.ensure_future(self._answer(verb, body))
        await asyncio.wait({work, self.gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            raise ConnectionError("the extender went away")
        return work.result()

    async def _answer(self, verb: str, body: bytes) -> Any:
        if not self.alive:
            raise ConnectionError("nobody listens")
        await self.client.awake.wait()
        waiting = self.service.not_ready()
        if waiting:
            return {"Error": f"not ready: {waiting[0]}"}
        if verb == "filter":
            return json.loads(self.service.filter(body))
        return {"Error": await self.service.bind(wire.read_bind(body))}


@dataclass
class Site:
    """A cluster, its scheduler and the replicas; the first that is ready is asked, as by a Service."""

    dice: random.Random
    config: Config = field(default_factory=lambda: Config(service=ServiceConfig(paranoid=True)))
    scheduler_pause_s: float = 0.02
    api: FakeApi = field(init=False)
    replicas: list[Replica] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        JITTER.seed(self.dice.random())
        self.api = FakeApi(self.dice)
        self.api.after_write.append(self._watch_promises)
        self.scheduler = FakeScheduler(self.api, self._balanced, pause_s=self.scheduler_pause_s)
        self._running = asyncio.get_running_loop().create_task(self.scheduler.run())

    def _watch_promises(self) -> None:
        overfull = self.api.overfull()
        if overfull:
            self.broken.append(f"S1: promised twice at {now_s():.3f}: {overfull}")

    def start(self, *, kill_at: int = 0, identity: str = "") -> Replica:
        config = self.config
        if identity:
            service = replace(config.service, leadership=Leadership(identity=identity))
            config = replace(config, service=service)
        replica = Replica(self.api, config=config, kill_at=kill_at)
        self.replicas.append(replica)
        return replica

    def add_gang(self, name: str, size: int, *, gpus: int, **annotations: str) -> None:
        prefix = "lockstep.scheduling/"
        own = {"gang": name, "gang-size": str(size), **annotations}
        for at in range(size):
            self.api.add_pod(f"{name}-{at}", gpus=gpus, annotations={prefix + k: v for k, v in own.items()})

    def gangs(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = defaultdict(list)
        for pod in self.api.pods():
            name = pod["metadata"]["annotations"].get("lockstep.scheduling/gang")
            if name:
                found[name].append(pod)
        return found

    def partial(self) -> list[str]:
        """Gangs all of whose pods exist and that are bound in part: empty, or S2 is broken.

        One whose waiting member was deleted while nobody led cannot be told from one that ran and lost
        it: it is left to its owner, who makes the member again.
        """
        return [
            f"{name}: {bound} of {pods[0]['metadata']['annotations']['lockstep.scheduling/gang-size']}"
            for name, pods in sorted(self.gangs().items())
            if len(pods) == _size(pods)
            and 0 < (bound := sum("nodeName" in pod["spec"] for pod in pods)) < len(pods)
        ]

    async def longest_half(self, *, watch_s: float) -> float:
        """Seconds for which some gang was partly bound without a break, watched for so long."""
        began, since, longest_s = now_s(), dict[str, float](), 0.0
        while now_s() - began < watch_s:
            await asyncio.sleep(0.1)
            half = {one.partition(":")[0] for one in self.partial()}
            since = {name: since.get(name, now_s()) for name in half}
            longest_s = max([longest_s, *(now_s() - at for at in since.values())])
        return longest_s

    def delete(self, name: str) -> None:
        self.api.remove(f"{POD_ROOT}/{name}")

    async def stop(self) -> list[str]:
        """End everything; what was broken on the way."""
        for replica in self.replicas:
            replica.kill()
        self._running.cancel()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return self.broken

    async def _balanced(self, verb: str, body: bytes) -> Any:
        ready = [one for one in self.replicas if one.alive and not one.service.unavailable()]
        chosen = ready or [one for one in self.replicas if one.alive]
        if not chosen:
            raise ConnectionError("no replica")
        return await chosen[0].ask(verb, body)


def _size(pods: list[Object]) -> int:
    return int(pods[0]["metadata"]["annotations"]["lockstep.scheduling/gang-size"])


async def first(*awaitables: Awaitable[Any]) -> None:
    """Wait for the first of these."""
    tasks = [asyncio.ensure_future(one) for one in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
