"""Watch, engine, ledger, binder, lease and clock of the real service as one state machine.

Hypothesis chooses what happens next: gangs come, pods and nodes go, labels change, processes are
killed at any of their writes, fall asleep past their lease and wake up, the API server is slow, loses
answers or forgets its history. A model that is slow and obvious stands beside it, and reads nothing but the
objects in the API server: S1 to S3 and S5 with every write, S4 with every gang that is whole, S7 in the
scheduler, S6 and S8 in the service's own paranoid mode, S9 and the end of every hold when all is quiet.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduler.config import Config, ServiceConfig
from scheduler.model import ANNOTATION_RANK, ANNOTATION_TERM
from scheduler.paranoid import Paranoid
from tests.drills.site import Replica, Site
from tests.fakes import POD_ROOT, Object, VirtualLoop, gpus_of, now_s

RACK = "fabric.topograph.run/tier-0"
NODES = tuple(f"n{at}" for at in range(6))
LEASE_S = 15
QUIET_S = 45.0
"""Longer than every lease, every backoff and every window of the service."""

_PREFIX = "lockstep.scheduling/"


class Watcher:
    """The model: what must hold of the objects alone, looked at with every accepted write."""

    def __init__(self, site: Site) -> None:
        self.site, self.wrong = site, list[str]()
        self.moved: set[str] = set()
        self.disturbed: set[str] = set()
        self._bound: dict[str, str] = {}

    def newer(self, one: str, other: str) -> bool:
        """Whether a term began after another: by how often the lease had changed hands, which a term begins
        with. When its replica was first seen ready says nothing: it may have slept before that."""
        if not one or not other:
            return False
        return int(one.partition("-")[0]) > int(other.partition("-")[0])

    def written(self) -> None:
        """After each write: S1 is looked at by the site; here S3 of gangs whose racks did not change."""
        for name, pods in self.site.gangs().items():
            bound = [pod for pod in pods if "nodeName" in pod["spec"]]
            new = [pod for pod in bound if pod["metadata"]["uid"] not in self._bound]
            self._bound |= {pod["metadata"]["uid"]: pod["spec"]["nodeName"] for pod in new}
            if not new or name in self.moved:
                continue
            if "required" in _said(pods[0]) and len(racks := self.racks_of(bound)) > 1:
                self.wrong.append(f"S3: {name} must lie in one rack and lies in {sorted(racks)}")

    def refused_to_older(self, own: str, path: str, before: Object | None, after: Object) -> None:
        """S5: nothing of an older term takes effect on a pod that a newer one has claimed."""
        had = _annotation(before, ANNOTATION_TERM)
        if before != after and self.newer(had, own):
            self.wrong.append(f"S5: {path} carries term {had}, and a write of term {own} took effect")

    def racks_of(self, pods: list[Object]) -> set[str]:
        return {self.rack(pod["spec"]["nodeName"]) for pod in pods}

    def rack(self, node: str) -> str:
        found = self.site.api.objects.get(f"/api/v1/nodes/{node}")
        return str(found["metadata"]["labels"].get(RACK, node)) if found else node

    def in_order(self) -> list[str]:
        """S4: along the ranks of a gang that was placed at once, no rack is left and entered again."""
        found = []
        for name, pods in self.site.gangs().items():
            whole = all("nodeName" in pod["spec"] for pod in pods)
            if not whole or name in self.moved | self.disturbed or len(_plans(pods)) != 1:
                continue
            ranked = sorted(pods, key=lambda pod: int(_annotation(pod, ANNOTATION_RANK)))
            racks = [self.rack(pod["spec"]["nodeName"]) for pod in ranked]
            runs = [rack for at, rack in enumerate(racks) if at == 0 or racks[at - 1] != rack]
            if len(runs) != len(set(runs)):
                found.append(f"S4: {name} goes through the racks {runs} along its ranks")
        return found

    def half(self) -> list[str]:
        """S2, when all is quiet: started and neither completed nor released. A gang that once was whole, or
        that lost a member, is its owner's."""
        return [f"S2: {one}" for one in self.site.partial() if one.partition(":")[0] not in self.disturbed]

    def starved(self) -> list[str]:
        """S9, when all is quiet: a gang of which nothing runs, and for which there is room."""
        room = self.free()
        found = []
        for name, pods in self.site.gangs().items():
            size = int(_said(pods[0])["gang-size"])
            if len(pods) != size or any("nodeName" in pod["spec"] for pod in pods):
                continue
            places: dict[str, int] = defaultdict(int)
            for node, gpus in room.items():
                places[self.rack(node)] += gpus // gpus_of(pods[0])
            most = max(places.values(), default=0) if "required" in _said(pods[0]) else sum(places.values())
            if most >= size:
                found.append(f"S9: {name} waits, and there is room for {most} of its {size} pods")
        return found

    def free(self) -> dict[str, int]:
        """GPUs that are free on each node that may be used."""
        used, api = self.site.api.used(), self.site.api
        nodes = {path: one for path, one in api.objects.items() if path.startswith("/api/v1/nodes/")}
        return {
            (name := str(one["metadata"]["name"])): 8 - used.get(name, 0)
            for one in nodes.values()
            if not one["spec"].get("unschedulable")
        }


def _said(pod: Object) -> dict[str, str]:
    own = pod["metadata"]["annotations"]
    return {key.removeprefix(_PREFIX): value for key, value in own.items() if key.startswith(_PREFIX)}


def _annotation(pod: Object | None, key: str) -> str:
    return str(pod["metadata"]["annotations"].get(key, "")) if pod else ""


def _plans(pods: list[Object]) -> set[str]:
    return {_said(pod).get("plan", "") for pod in pods}


class World(RuleBasedStateMachine):
    """Two replicas at most, six nodes in two racks, gangs that together are more than these hold."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.number = 0
        self.run(self._set_up())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    async def _set_up(self) -> None:
        service = ServiceConfig(paranoid=True, lease_s=LEASE_S)
        self.site = Site(random.Random(4), config=Config(service=service), scheduler_pause_s=0.1)
        self.watcher = Watcher(self.site)
        for at, name in enumerate(NODES):
            self.site.api.add_node(name, labels={RACK: f"r{at // 3}"})
        self.site.api.after_write.append(self.watcher.written)
        self._start()

    def _start(self) -> None:
        self.number += 1
        replica = self.site.start(identity=f"replica-{self.number}")
        answer = self.site.api.answer

        def watched(method: str, path: str, body: Any, content_type: str) -> tuple[int, Object]:
            pod = path.removesuffix("/binding").removesuffix("/status")
            before = self.site.api.objects.get(pod)
            status, found = answer(method, path, body, content_type)
            after = self.site.api.objects.get(pod)
            if method != "GET" and pod.startswith(POD_ROOT) and after is not None and status < 300:
                said = ((body or {}).get("metadata") or {}).get("annotations") or {}
                own = said.get(ANNOTATION_TERM) or replica.cluster.leadership.term
                self.watcher.refused_to_older(own, path, before, after)
            return status, found

        replica.client.answer = watched

    @property
    def alive(self) -> list[Replica]:
        return [one for one in self.site.replicas if one.alive]

    # -- what happens ---------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 4.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(size=st.integers(2, 5), gpus=st.sampled_from([2, 4, 8]), one_rack=st.booleans())
    @precondition(lambda self: self.number_of_gangs < 6)
    def gang_comes(self, size: int, gpus: int, one_rack: bool) -> None:
        self.number += 1
        wanted = {"required": f"gang={RACK}"} if one_rack else {}
        self.site.add_gang(f"g{self.number}", size, gpus=gpus, **wanted)

    @property
    def number_of_gangs(self) -> int:
        return len(self.site.gangs())

    @rule(choice=st.randoms(use_true_random=False))
    def pod_is_deleted(self, choice: random.Random) -> None:
        pods = self.site.api.pods()
        if pods:
            pod = choice.choice(pods)
            self.watcher.disturbed.add(_said(pod).get("gang", ""))
            self.site.delete(pod["metadata"]["name"])

    @rule(choice=st.randoms(use_true_random=False))
    def gang_is_deleted(self, choice: random.Random) -> None:
        gangs = self.site.gangs()
        for pod in gangs[choice.choice(sorted(gangs))] if gangs else ():
            self.site.delete(pod["metadata"]["name"])

    @rule(name=st.sampled_from(NODES), usable=st.booleans())
    def node_is_cordoned(self, name: str, usable: bool) -> None:
        self.site.api.change(
            f"/api/v1/nodes/{name}", lambda node: node["spec"].update(unschedulable=not usable)
        )

    @rule(name=st.sampled_from(NODES), rack=st.sampled_from(["r0", "r1", "r2"]))
    def node_is_relabelled(self, name: str, rack: str) -> None:
        self.watcher.moved |= {*self.site.gangs()}
        self.site.api.change(
            f"/api/v1/nodes/{name}", lambda node: node["metadata"]["labels"].update({RACK: rack})
        )

    @rule(write=st.integers(1, 8))
    @precondition(lambda self: self.alive)
    def a_replica_dies_at_a_write(self, write: int) -> None:
        self.alive[0].client.kill_after(write)

    @rule()
    @precondition(lambda self: self.alive)
    def a_replica_is_killed(self) -> None:
        self.run(self._kill(self.alive[0]))

    async def _kill(self, replica: Replica) -> None:
        replica.kill()

    @rule()
    @precondition(lambda self: len(self.alive) < 2)
    def a_replica_starts(self) -> None:
        self.run(self._started())

    async def _started(self) -> None:
        self._start()

    @rule(seconds=st.sampled_from([3.0, 12.0, 30.0]))
    @precondition(lambda self: self.alive)
    def the_leader_sleeps(self, seconds: float) -> None:
        """The process stands still, its clock with it; what it had on its way arrives when it wakes."""
        self.run(self._sleep(seconds))

    async def _sleep(self, seconds: float) -> None:
        leading = [one for one in self.alive if one.cluster.term()] or self.alive
        leading[0].fall_asleep()
        await asyncio.sleep(seconds)
        leading[0].wake_up()

    @rule()
    def history_is_compacted(self) -> None:
        self.site.api.forget_history()

    @rule(
        slow_s=st.sampled_from([0.02, 0.5]),
        lose=st.sampled_from([0.0, 0.1]),
        busy=st.sampled_from([0.0, 0.2]),
    )
    def the_api_server_changes(self, slow_s: float, lose: float, busy: float) -> None:
        faults = self.site.api.faults
        faults.slow_s, faults.lose, faults.busy = slow_s, lose, busy

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        wrong = [*self.site.broken, *self.watcher.wrong, *self.watcher.in_order()]
        for replica in self.site.replicas:
            paranoid = replica.service._paranoid
            assert isinstance(paranoid, Paranoid)
            wrong += paranoid.broken
        assert not wrong, "\n".join(wrong)

    def teardown(self) -> None:
        try:
            self.run(self._quiet())
            self.promises_are_kept()
        finally:
            self.run(self._stop())
            self.runner.close()

    async def _quiet(self) -> None:
        """Faults end, somebody leads, and nothing happens for longer than anything may take."""
        faults = self.site.api.faults
        faults.slow_s, faults.lose, faults.busy = 0.02, 0.0, 0.0
        for replica in self.alive:
            replica.client.kill_after(0)
        if not self.alive:
            self._start()
        until = now_s() + QUIET_S
        while now_s() < until:
            await asyncio.sleep(0.5)
        wrong = [*self.watcher.half(), *self.watcher.starved(), *self._held()]
        assert not wrong, "\n".join(wrong)

    async def _stop(self) -> None:
        await self.site.stop()

    def _held(self) -> list[str]:
        """S8, when all is quiet: nothing is held any more, for nobody is on its way."""
        return [
            f"S8: {key} still holds room for {len(hold.pods)} pods"
            for replica in self.alive
            if replica.cluster.term()
            for key, hold in replica.service.engine.world.ledger.holds.items()
        ]
