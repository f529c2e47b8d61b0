"""Drill 1 against the API server of ours: a kill at any write, thousands of times."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from scheduler.paranoid import Paranoid
from tests.drills.site import SETTLED_S, Site
from tests.fakes import Object, virtually

NODES = 8
GANGS = ((4, 8), (6, 4), (3, 8), (2, 2))
"""Pods and GPUs of each gang that may come; together more than the eight nodes of 8 GPUs hold at worst."""


@dataclass(frozen=True)
class Story:
    """What became of one history: where it was killed, and everything that was wrong."""

    seed: int
    killed: bool
    partial_at_death: bool
    half_s: float
    evicted: bool
    wrong: tuple[str, ...]


def story(seed: int) -> Story:
    """One history with one kill, told by its seed alone."""
    return virtually(lambda: _story(seed))


async def _story(seed: int) -> Story:
    dice = random.Random(seed)
    site = Site(dice)
    for at in range(NODES):
        site.api.add_node(f"n{at}", labels={"fabric.topograph.run/tier-0": f"l{at // 4}"})
    site.api.faults.lose = dice.choice((0.0, 0.0, 0.1))
    site.api.faults.broken = dice.choice((0.0, 0.0, 0.05))
    first = site.start(kill_at=dice.randint(1, 60))
    gangs = dice.sample(GANGS, dice.randint(1, len(GANGS)))
    for number, (size, gpus) in enumerate(gangs):
        site.add_gang(f"g{number}", size, gpus=gpus)
        await asyncio.sleep(dice.uniform(0, 0.3))
    await asyncio.wait({first.gone}, timeout=15)
    killed, partial = not first.alive, bool(site.partial())
    first.kill()
    _meanwhile(site, dice)
    await asyncio.sleep(dice.uniform(0.1, 2.0))
    site.start()
    half_s = await site.longest_half(watch_s=SETTLED_S + 5)
    wrong = list(site.broken)
    if half_s > SETTLED_S:
        wrong.append(f"S2: partly bound for {half_s:.1f} s: {site.partial()}")
    for replica in site.replicas:
        paranoid = replica.service._paranoid
        assert isinstance(paranoid, Paranoid)
        wrong += paranoid.broken
    evicted = any(path.endswith("/eviction") for _, path in site.api.writes)
    wrong += [f"the service ended: {task.exception()!r}" for task in _ended(site)]
    await site.stop()
    return Story(seed, killed, partial, half_s, evicted, tuple(wrong))


def _ended(site: Site) -> list[asyncio.Task[None]]:
    tasks = [task for replica in site.replicas if replica.alive for task in replica.tasks]
    return [task for task in tasks if task.done() and not task.cancelled()]


def _meanwhile(site: Site, dice: random.Random) -> None:
    """While nobody leads, nodes break and pods are deleted: what was begun may be impossible to end."""
    event = dice.choice(("nothing", "nothing", "cordon", "stranger", "deleted"))
    used = site.api.used()
    free = [f"n{at}" for at in range(NODES) if used.get(f"n{at}", 0) < 8]
    planned = {
        pod["metadata"]["annotations"].get("lockstep.scheduling/assigned-node") for pod in site.api.pods()
    }
    if event == "cordon":
        for name in dice.sample(free, min(len(free), dice.randint(1, 6))):
            site.api.change(f"/api/v1/nodes/{name}", _cordoned)
    elif event == "stranger":
        # Not where a Binding of the killed one may still arrive: against another binder nobody is safe there.
        free = [name for name in free if name not in planned]
        for name in dice.sample(free, min(len(free), 3)):
            gpus = 8 - site.api.used().get(name, 0)
            site.api.add_pod(f"stranger-{name}", gpus=gpus, annotations={}, gated=False)
            site.api.change(f"/api/v1/namespaces/default/pods/stranger-{name}", _bound_to(name))
    elif event == "deleted":
        waiting = [pod for pod in site.api.pods() if "nodeName" not in pod["spec"]]
        if waiting:
            site.delete(dice.choice(waiting)["metadata"]["name"])


def _cordoned(node: Object) -> None:
    node["spec"]["unschedulable"] = True


def _bound_to(name: str) -> object:
    def change(pod: Object) -> None:
        pod["spec"]["nodeName"] = name

    return change
