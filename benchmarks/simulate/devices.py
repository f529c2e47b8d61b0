"""Shared GPUs through the engine that serves: a GPU is a node of 1,000 thousandths, a machine a level.

A pod that shares a GPU is a gang of one; a pod of several GPUs is a gang that requires one machine. CPU
and memory are the machine's: every device shows what its machine has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.model import (
    Constraint,
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
from topology.spec import FabricSpec, LevelSpec

MACHINE = "machine"
SHARE = "thousandths/gpu"
_MODEL = "model"

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
    """The engine under its default policy, asked for one pod after another. `first` is the empty fleet."""

    def __init__(self, first: Shares) -> None:
        self._machine = np.repeat(np.arange(len(first.cpu)), np.maximum((first.gpu > 0).sum(axis=1), 1))
        starts = np.searchsorted(self._machine, np.arange(len(first.cpu)))
        self._device = np.arange(len(self._machine)) - starts[self._machine]
        spec = FabricSpec((LevelSpec(MACHINE, MACHINE, "a machine and its GPUs"),), ())
        self._world = World(spec)
        self._world.upsert_nodes(
            _node(int(machine), int(device), first)
            for machine, device in zip(self._machine, self._device, strict=True)
        )
        self._problems: dict[Kind, PlacementProblem] = {}

    def choose(self, kind: Kind, left: Shares) -> tuple[int, tuple[int, ...]] | None:
        """The machine and its devices for a pod, None where the engine finds no room."""
        known = self._problems.get(kind)
        if known is None:
            known = self._problems[kind] = self._problem(kind)
        free = self._free(known.cluster.resources, left, parts=max(kind[2], 1))
        answer = place(replace(known, cluster=replace(known.cluster, free=free)))
        if not isinstance(answer, Assignment):
            return None
        devices = self._device[answer.nodes] if kind[2] else answer.nodes[:0]
        return int(self._machine[answer.nodes[0]]), tuple(sorted(int(one) for one in devices))

    def _free(self, resources: Sequence[str], left: Shares, *, parts: int) -> Int64:
        """int64[resources, devices]; of CPU and memory each of a pod's `parts` may take its part."""
        rows = {
            "cpu": left.cpu[self._machine] // parts,
            "memory": left.memory[self._machine] // parts,
            SHARE: left.gpu[self._machine, self._device],
            "pods": np.full(len(self._machine), 1 << 20),
        }
        return np.array([rows[name] for name in resources], dtype=np.int64)

    def _problem(self, kind: Kind) -> PlacementProblem:
        """One gang; thousandths are what counts as capacity, also for pods that ask for none."""
        cpu, memory, gpus, milli, products = kind
        parts = max(gpus, 1)
        asked = {"cpu": cpu // parts, "memory": memory // parts, SHARE: milli if gpus else 0, "pods": 1}
        terms = (NodeTerm((Requirement(_MODEL, "In", products),)),) if products else None
        shape = PodShape(tuple(sorted((n, a) for n, a in asked.items() if a)), affinity=terms)
        members = tuple(Member(PodKey("", str(rank)), str(rank), rank, "", shape) for rank in range(parts))
        together = (Constraint("gang", MACHINE, True, "one pod"),) if parts > 1 else ()
        gang = Gang(GangKey("", "pod"), parts, members, "trace", constraints=together)
        problem = formulate(gang, self._world.view())
        return replace(problem, primary=problem.cluster.resources.index(SHARE))


def _node(machine: int, device: int, fleet: Shares) -> Node:
    name = f"m{machine}-{device}"
    labels = {"kubernetes.io/hostname": name, MACHINE: f"m{machine}", _MODEL: fleet.model[machine]}
    capacity = {
        "cpu": int(fleet.cpu[machine]),
        "memory": int(fleet.memory[machine]),
        SHARE: int(fleet.gpu[machine, device]),
        "pods": 1 << 20,
    }
    return Node(NodeName(name), labels, allocatable=capacity)
