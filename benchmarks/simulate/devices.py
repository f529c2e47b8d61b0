"""Shared GPUs through the engine that serves: it is asked for the machine, and then for GPUs of it.

A pod is a gang of one that asks for CPU, memory and thousandths of GPUs; machines on which no GPU has
enough left are not eligible. On the machine every GPU is a node of 1,000 thousandths, and each GPU
that the pod asks for a member of a gang. What a pod's scarce resource is the engine decides itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.simulate.traces.job import GPU, PRODUCT
from scheduler.model import (
    Gang,
    GangKey,
    Member,
    Node,
    NodeName,
    NodeTerm,
    PodKey,
    PodShape,
    Requirement,
)
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Int64, PlacementProblem
from scheduler.world import World

_WHOLE = 1000

Kind = tuple[int, int, int, int, tuple[str, ...]]
"""CPU, memory, GPUs, thousandths of each, and models of a pod."""


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """What is left: CPU and memory per machine, int64[machines, devices] thousandths, models per machine."""

    cpu: Int64
    memory: Int64
    gpu: Int64
    model: Sequence[str]


class Engine:
    """The engine under a policy ("" for the default one), asked for one pod after another. `first` is the
    empty fleet."""

    def __init__(self, first: Shares, *, policy: str = "") -> None:
        self._policy = policy
        self._machines, self._devices = World(), World()
        self._machines.upsert_nodes(_machine(at, first) for at in range(len(first.cpu)))
        self._devices.upsert_nodes(_device(at) for at in range(first.gpu.shape[1]))
        self._kinds: dict[Kind, PlacementProblem] = {}
        self._parts: dict[tuple[int, int], PlacementProblem] = {}

    def choose(self, kind: Kind, left: Shares) -> tuple[int, tuple[int, ...]] | None:
        """The machine and its devices for a pod, None where the engine finds no room."""
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = self._problem(self._machines, kind, pods=1, policy=self._policy)
        answer = place(self._now(known, kind, left))
        if not isinstance(answer, Assignment):
            return None
        machine = int(answer.nodes[0])
        return machine, self._on(kind, left.gpu[machine]) if kind[2] else ()

    def _now(self, known: PlacementProblem, kind: Kind, left: Shares) -> PlacementProblem:
        """The problem on what is left, machines without enough on single GPUs taken out."""
        rows = {"cpu": left.cpu, "memory": left.memory, GPU: left.gpu.sum(axis=1), "pods": self._many}
        free = np.array([rows[name] for name in known.cluster.resources], dtype=np.int64)
        shape = known.shapes[0]
        if kind[2]:
            enough = (left.gpu >= kind[3]).sum(axis=1) >= kind[2]
            shape = replace(shape, eligible=shape.eligible & enough)
        return replace(known, cluster=replace(known.cluster, free=free), shapes=(shape,))

    @property
    def _many(self) -> Int64:
        return np.full(len(self._machines.ledger.names), 1 << 20)

    def _on(self, kind: Kind, left: Int64) -> tuple[int, ...]:
        """The GPUs of a machine that is known to have them."""
        _, _, gpus, milli, _ = kind
        known = self._parts.get((gpus, milli))
        if known is None:
            only = (0, 0, 1, milli, ())
            known = self._parts[gpus, milli] = self._problem(self._devices, only, pods=gpus, policy="")
        free = known.cluster.free.copy()
        free[known.cluster.resources.index(GPU)] = left
        answer = place(replace(known, cluster=replace(known.cluster, free=free)))
        assert isinstance(answer, Assignment)
        return tuple(sorted(answer.nodes.tolist()))

    @staticmethod
    def _problem(world: World, kind: Kind, *, pods: int, policy: str) -> PlacementProblem:
        cpu, memory, gpus, milli, products = kind
        asked: dict[str, int] = {"cpu": cpu, "memory": memory, GPU: gpus * milli}
        terms = (NodeTerm((Requirement(PRODUCT, "In", products),)),) if products else None
        requests = sorted({name: amount for name, amount in asked.items() if amount}.items())
        shape = PodShape((*requests, ("pods", 1)), affinity=terms)
        members = tuple(Member(PodKey("", f"{at}"), f"{at}", at, "", shape) for at in range(pods))
        gang = Gang(GangKey("", "pod"), pods, members, "trace", policy=policy)
        return formulate(gang, world.view())


def _machine(at: int, fleet: Shares) -> Node:
    name = f"m{at}"
    capacity = {"cpu": int(fleet.cpu[at]), "memory": int(fleet.memory[at]), GPU: int(fleet.gpu[at].sum())}
    return _node(name, {"kubernetes.io/hostname": name, PRODUCT: fleet.model[at]}, capacity)


def _device(at: int) -> Node:
    name = f"gpu{at}"
    return _node(name, {"kubernetes.io/hostname": name}, {GPU: _WHOLE})


def _node(name: str, labels: dict[str, Any], capacity: dict[str, int]) -> Node:
    return Node(NodeName(name), labels, allocatable={**capacity, "pods": 1 << 20})
