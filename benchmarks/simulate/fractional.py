"""GPUs shared in thousandths, one by one: the FGD experiment, to calibrate fragmentation against.

As in "Beware of Fragmentation" (USENIX ATC 2023): pods drawn from a trace arrive one after another and
stay; the share of all GPUs that is allocated is read off as the demand that has arrived grows.
`lockstep` is the engine that serves, `balanced` the same under that preset; FGD, best fit and chance stand
beside it to compare with.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.simulate.devices import Engine, Shares
from benchmarks.simulate.stranding import stranded
from benchmarks.simulate.traces.job import GPU, PRODUCT, Job, invalid
from scheduler.model import Node
from scheduler.placement.problem import Bool, Int64

WHOLE = 1000
MARKS = tuple(percent / 100 for percent in range(1, 131))
"""Arrived demand, as a share of capacity, at which figures are read."""

QUOTED = (0.9, 0.95, 1.0, 1.3)
"""Those of them that people quote."""

TYPICAL_SHARE = 0.95

Kind = tuple[int, int, int, int, tuple[str, ...]]
"""CPU, memory, GPUs, thousandths of each, and models of a pod: equal kinds are the same task."""


def kind_of(job: Job) -> Kind:
    """The kind of a pod of the trace."""
    return job.cpu_millis, job.memory_bytes, job.gpus_per_pod, job.gpu_milli, job.products


@dataclass(frozen=True, slots=True, eq=False)
class Typical:
    """The task mix: arrays over its kinds, and `allowed` bool[kinds, models]; weights add up to 1."""

    cpu: Int64
    memory: Int64
    gpus: Int64
    milli: Int64
    allowed: Bool
    weight: Any


@dataclass(slots=True, eq=False)
class Fleet:
    """What is left on every node: CPU, memory, and int64[nodes, devices] thousandths (0 where there
    is no device). `model`: int64[nodes] into `models`."""

    cpu: Int64
    memory: Int64
    gpu: Int64
    model: Int64
    models: tuple[str, ...]
    capacity: int = field(init=False)

    def __post_init__(self) -> None:
        self.capacity = int(self.gpu.sum())

    def fitting(self, kind: Kind) -> Int64:
        """Nodes with room for a pod of a kind."""
        cpu, memory, gpus, milli, products = kind
        fits = (self.cpu >= cpu) & (self.memory >= memory)
        if gpus:
            fits &= (self.gpu >= milli).sum(axis=1) >= gpus
        if products:
            fits &= np.isin(self.model, [at for at, name in enumerate(self.models) if name in products])
        return np.flatnonzero(fits)

    def take(self, kind: Kind, node: int, devices: Sequence[int]) -> None:
        """A pod takes its share of these devices of a node."""
        self.cpu[node] -= kind[0]
        self.memory[node] -= kind[1]
        self.gpu[node, list(devices)] -= kind[3]


def fleet(nodes: Sequence[Node]) -> Fleet:
    """An empty fleet; raises InvalidInput when there is no GPU in it."""
    widest = max((node.allocatable.get(GPU, 0) for node in nodes), default=0)
    if not widest:
        raise invalid("--nodes", "GPUs", 0, "at least one")
    names = [node.labels.get(PRODUCT, "") for node in nodes]
    models = tuple(sorted(set(names)))
    gpus = np.array([node.allocatable.get(GPU, 0) for node in nodes])
    return Fleet(
        np.array([node.allocatable["cpu"] for node in nodes], dtype=np.int64),
        np.array([node.allocatable["memory"] for node in nodes], dtype=np.int64),
        (np.arange(widest)[None, :] < gpus[:, None]).astype(np.int64) * WHOLE,
        np.array([models.index(name) for name in names], dtype=np.int64),
        models,
    )


def typical(jobs: Iterable[Job], models: Sequence[str]) -> Typical:
    """The most frequent kinds that make up 95 % of the pods, with their frequencies as weights."""
    counted = Counter(kind_of(job) for job in jobs)
    total, kept, seen = sum(counted.values()), [], 0
    for kind, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        if seen >= TYPICAL_SHARE * total:
            break
        kept.append((kind, count))
        seen += count
    columns = np.array([kind[:4] for kind, _ in kept], dtype=np.int64).T
    allowed = np.array([[not kind[4] or name in kind[4] for name in models] for kind, _ in kept])
    weight = np.array([count / seen for _, count in kept])
    return Typical(columns[0], columns[1], columns[2], columns[3], allowed, weight)


def fragmentation(cpu: Int64, memory: Int64, gpu: Int64, model: Int64, mix: Typical) -> Any:
    """float64[rows]: F_n of nodes in given states. For a task that cannot run there, or needs no GPU, all
    that is left of the GPUs is a fragment; for another the devices that have less than it asks of one."""
    enough = gpu[:, None, :] >= mix.milli[None, :, None]
    hosted = (enough & (gpu[:, None, :] > 0)).sum(axis=2) >= mix.gpus
    hosted &= (mix.gpus > 0) & (cpu[:, None] >= mix.cpu) & (memory[:, None] >= mix.memory)
    hosted &= mix.allowed[:, model].T
    left = gpu.sum(axis=1)[:, None]
    short = np.where(enough, 0, gpu[:, None, :]).sum(axis=2)
    return np.where(hosted, short, left) @ mix.weight


Choice = tuple[int, tuple[int, ...]]
Choose = Callable[[Fleet, Kind, Int64], Choice | None]


class GradientDescent:
    """FGD: the node and the device where fragmentation grows the least; of equal ones the first.

    With `whole_points`, growth is what kube-scheduler sees of it: the score 100 x sigmoid(-growth in
    GPUs), cut to a whole number, as the published artifact has it. About 0.04 GPU of growth is a point.
    Growth is kept per kind and node and counted again only where a node has changed.
    """

    def __init__(self, mix: Typical, *, whole_points: bool) -> None:
        self._mix = mix
        self._whole_points = whole_points
        self._stamp = 0
        self._changed: Any = None
        self._kept: dict[Kind, tuple[int, Any, Int64]] = {}

    def __call__(self, state: Fleet, kind: Kind, nodes: Int64) -> Choice:
        if self._changed is None:
            self._changed = np.zeros(len(state.cpu), dtype=np.int64)
        size = len(state.cpu)
        at, growth, device = self._kept.get(kind, (-1, np.full(size, np.inf), np.zeros(size, np.int64)))
        stale = nodes[(self._changed[nodes] > at) | ~np.isfinite(growth[nodes])]
        if stale.size:
            growth[stale], device[stale] = self._growth(state, kind, stale)
        self._kept[kind] = (self._stamp, growth, device)
        grown = growth[nodes]
        if self._whole_points:
            grown = -np.floor(100 / (1 + np.exp(grown / WHOLE)))
        node = int(nodes[grown.argmin()])
        self._stamp += 1
        self._changed[node] = self._stamp
        return node, _devices(state, kind, node, first=int(device[node]))

    def _growth(self, state: Fleet, kind: Kind, nodes: Int64) -> tuple[Any, Int64]:
        """The least growth on each node, and the device that gives it."""
        cpu, memory = state.cpu[nodes], state.memory[nodes]
        gpu, model = state.gpu[nodes], state.model[nodes]
        before = fragmentation(cpu, memory, gpu, model, self._mix)
        best = np.full(len(nodes), np.inf)
        device = np.zeros(len(nodes), dtype=np.int64)
        tried = gpu.shape[1] if kind[2] == 1 and kind[3] < WHOLE else 1
        for first in range(tried):
            after = gpu.copy()
            if tried > 1:
                fits = gpu[:, first] >= kind[3]
                after[fits, first] -= kind[3]
            else:
                fits = np.ones(len(nodes), dtype=np.bool_)
                rank = np.cumsum(gpu >= kind[3], axis=1)
                after[(gpu >= kind[3]) & (rank <= kind[2])] -= kind[3]
            grown = fragmentation(cpu - kind[0], memory - kind[1], after, model, self._mix) - before
            better = fits & (grown < best - 1e-9)
            best[better], device[better] = grown[better], first
        return best, device


def best_fit(state: Fleet, kind: Kind, nodes: Int64) -> Choice:
    """The node with the least CPU and GPU left together, each as a share of the most there is; the
    fullest device that suffices."""
    cpu = state.cpu[nodes] / max(int(state.cpu.max()), 1)
    gpu = state.gpu[nodes].sum(axis=1) / (state.gpu.shape[1] * WHOLE)
    node = int(nodes[(cpu + gpu).argmin()])
    return node, _tightest(state, kind, node)


def at_random(draw: random.Random) -> Choose:
    """Any node with room, and the first devices that suffice."""
    return lambda state, kind, nodes: (
        (node := int(draw.choice(nodes.tolist()))),
        _devices(state, kind, node, first=0),
    )


def _devices(state: Fleet, kind: Kind, node: int, *, first: int) -> tuple[int, ...]:
    found = np.flatnonzero(state.gpu[node] >= kind[3])
    return tuple(found[found >= first][: kind[2]].tolist()) if kind[2] else ()


def _tightest(state: Fleet, kind: Kind, node: int) -> tuple[int, ...]:
    found = np.flatnonzero(state.gpu[node] >= kind[3])
    return tuple(found[np.argsort(state.gpu[node][found], kind="stable")][: kind[2]].tolist())


POLICIES = ("balanced", "lockstep", "fgd", "fgd-exact", "best-fit", "random")


def by_engine(first: Fleet, *, policy: str) -> Choose:
    """The engine that serves, under one of its policies."""
    engine = Engine(_shares(first), policy=policy)
    return lambda state, kind, _nodes: engine.choose(kind, _shares(state))


def _shares(state: Fleet) -> Shares:
    return Shares(state.cpu, state.memory, state.gpu, [state.models[at] for at in state.model.tolist()])


def arrive(nodes: Sequence[Node], jobs: Sequence[Job], *, policy: str, seed: int) -> list[dict[str, float]]:
    """Pods in an order drawn by `seed` (drawn again from the trace once all have come) until the demand
    for GPUs is 130 % of what there is; per mark: `arrived`, `allocated` and `fragmented`, as shares
    of all GPUs. A pod without room is turned away. Raises InvalidInput for pods without GPUs only."""
    state = fleet(nodes)
    if not any(job.gpus_per_pod for job in jobs):
        raise invalid("--pods", "GPUs", 0, "pods that ask for GPUs")
    mix = typical(jobs, state.models)
    draw = random.Random(f"arrivals-{seed}")
    chooser: dict[str, Callable[[], Choose]] = {
        "balanced": lambda: by_engine(state, policy="balanced"),
        "lockstep": lambda: by_engine(state, policy=""),
        "fgd": lambda: GradientDescent(mix, whole_points=True),
        "fgd-exact": lambda: GradientDescent(mix, whole_points=False),
        "best-fit": lambda: best_fit,
        "random": lambda: at_random(draw),
    }
    choose = chooser[policy]()
    order = draw.sample(list(jobs), len(jobs))
    arrived, found, marks = 0, [], list(MARKS)
    while marks:
        kind = kind_of(order.pop() if order else draw.choice(jobs))
        arrived += kind[2] * kind[3]
        open_nodes = state.fitting(kind)
        if open_nodes.size and (choice := choose(state, kind, open_nodes)) is not None:
            state.take(kind, *choice)
        while marks and arrived >= marks[0] * state.capacity:
            found.append(_figures(state, mix, marks.pop(0)))
    return found


def _figures(state: Fleet, mix: Typical, mark: float) -> dict[str, float]:
    left = int(state.gpu.sum())
    lost = float(fragmentation(state.cpu, state.memory, state.gpu, state.model, mix).sum())
    return {
        "arrived": mark,
        "allocated": round(1 - left / state.capacity, 6),
        "fragmented": round(lost / state.capacity, 6),
        **(stranded(state, mix) if mark in QUOTED else {}),
    }
