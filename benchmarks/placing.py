"""Figures of single decisions, of the sizes that the placement targets are stated for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from statistics import median
from typing import TypeVar

import numpy as np

from benchmarks import instances
from benchmarks.figures import Figure
from benchmarks.memory import memory_of_decisions
from scheduler.placement import kernels
from scheduler.placement.batch import place_batch
from scheduler.placement.changes import Occupant, Surroundings
from scheduler.placement.defragment import defragment
from scheduler.placement.explain import explain
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Cluster, Limits, PlacementProblem, Rejection

Tell = Callable[[str], None]
Make = Callable[[int], PlacementProblem]
SEEDS = 5
T = TypeVar("T")

LEAST_RUNS, SHORT_MS = 100, 40
"""Decisions shorter than this are measured so often at least, so that a 99th percentile means something."""

_SINGLE: tuple[tuple[str, Make, float, float | None], ...] = (
    ("16 pods, one leaf required, 5,000 nodes", lambda seed: _one_rack(5000, 16, seed), 1, 3),
    ("900 pods, leaf preferred, 5,000 nodes", lambda seed: _preferred(5000, 900, seed), 3, 10),
    ("900 pods, leaf preferred, 15,000 nodes", lambda seed: _preferred(15000, 900, seed), 10, 30),
    ("256 pods, 25,000 NVL72 nodes, 50 % load", lambda seed: _nvl72(25000, 256, seed), 3, 10),
    ("1,024 pods, 25,000 NVL72 nodes, 50 % load", lambda seed: _nvl72(25000, 1024, seed), 6, 20),
    ("1,024 pods, 25,000 HGX nodes, 50 % load", lambda seed: _hgx(25000, 1024, seed), 20, 60),
    ("256 pods, 100,000 NVL72 nodes, 50 % load", lambda seed: _nvl72(100000, 256, seed), 20, None),
    ("does not fit, with proof, 25,000 nodes", lambda seed: _one_rack(25000, 19, seed), 0.3, 1),
    ("8 unequal groups in 64 racks", lambda seed: instances.unequal_groups(64, 8, seed), 20, 100),
    ("4 pod shapes in 32 racks", lambda seed: instances.pod_shapes(32, 4, 6, seed), 20, 100),
)
"""Name, problem of a seed, and the targets of the median and the 99th percentile in milliseconds."""


def _one_rack(nodes: int, pods: int, seed: int) -> PlacementProblem:
    return instances.one_rack(instances.nvl72(nodes, 0.5, seed), pods)


def _preferred(nodes: int, pods: int, seed: int) -> PlacementProblem:
    return instances.preferred_rack(instances.nvl72(nodes, 0.3, seed), pods)


def _nvl72(nodes: int, pods: int, seed: int) -> PlacementProblem:
    return instances.tensor_pairs(instances.nvl72(nodes, 0.5, seed), pods, 4)


def _hgx(nodes: int, pods: int, seed: int) -> PlacementProblem:
    return instances.tensor_pairs(instances.hgx(nodes, 0.5, seed), pods, 8)


def figures(*, runs: int, tell: Tell) -> list[Callable[[], Figure]]:
    """Every measurement, to be made one after another."""
    kernels.warm_up()
    single: list[Callable[[], Figure]] = [
        row for case in _SINGLE for row in _single(*case, runs=runs, tell=tell)
    ]
    single += [partial(_hops, leaves, stages, runs, tell) for leaves, stages in ((256, 4), (256, 8))]
    more: list[Callable[[], Figure]] = [
        partial(_explained, runs, tell),
        partial(_batch, tell),
        *_batches(tell),
        partial(_moves, tell),
    ]
    return [*single, *more, partial(memory_of_decisions, tell)]


def _single(
    name: str, make: Make, target: float, slowest: float | None, *, runs: int, tell: Tell
) -> list[Callable[[], Figure]]:
    """The median and, where there is a target for it, the 99th percentile of the same runs."""
    measured = cache(partial(_decisions, make, runs))

    def row(share: int, most: float) -> Figure:
        times, proven = measured()
        means = "compiled loops" if kernels.warm_up() else "array operations"
        detail = f"{proven} of {len(times)} answers proven, by {means}"
        return _figure(f"place(): {name}, p{share}", times, most, detail, tell, share=share)

    return [partial(row, 50, target), *([partial(row, 99, slowest)] if slowest else [])]


def _decisions(make: Make, runs: int) -> tuple[list[float], int]:
    """Milliseconds of every decision, and how many were proven."""
    times: list[float] = []
    proven = 0
    for seed in range(SEEDS):
        problem = make(seed)
        first, _ = _timed(partial(place, problem))
        enough = runs if first > 2 * SHORT_MS else max(runs, LEAST_RUNS // SEEDS)
        for _ in range(enough):
            elapsed, answer = _timed(partial(place, _fresh(problem)))
            times.append(elapsed)
            proven += answer.proof in ("optimal", "proven")
    return times, proven


def _hops(leaves: int, stages: int, runs: int, tell: Tell) -> Figure:
    """Replicas for six in ten of the free nodes, over leaves and spines; how often the least is proven."""
    times, proven, needed = [], 0, 0
    for seed in range(SEEDS):
        one = instances.pipelines(leaves, 1, stages, seed)
        free = int(np.count_nonzero(one.cluster.free[0] >= 8))
        problem = instances.pipelines(leaves, free * 6 // 10 // stages, stages, seed)
        place(problem)
        for _ in range(runs):
            elapsed, answer = _timed(lambda problem=problem: place(_fresh(problem)))  # type: ignore[misc]
            times.append(elapsed)
            if isinstance(answer, Assignment):
                hops = [term for term in answer.terms if term.term.startswith("pipeline_hops_")]
                proven += all(term.value == term.bound for term in hops)
                needed += any(term.value for term in hops)
    detail = f"hops proven least in {proven} of {len(times)} answers, needed at all in {needed}"
    name = f"place(): D x P hop optimum, {leaves} leaves in spines of 16, {stages} stages, p50"
    return _figure(name, times, 50, detail, tell)


def _explained(runs: int, tell: Tell) -> Figure:
    """A refusal with its smallest set of facts and its fixes."""
    times = []
    for seed in range(SEEDS):
        cluster = instances.scattered(5000, 0.2, seed)
        problem, occupants = instances.one_rack(cluster, 18), _occupants(cluster, 4)
        refusal = place(problem)
        if isinstance(refusal, Rejection):
            around = Surroundings(tuple(occupants))
            for _ in range(runs):
                work = partial(explain, problem, refusal, around, limits=Limits())
                times.append(_timed(work)[0])
    return _figure("a refusal with facts and verified fixes, 5,000 nodes, p50", times, 100, "", tell)


def _batch(tell: Tell) -> Figure:
    times, told = [], []
    for seed in range(SEEDS):
        cluster, draw = instances.nvl72(25000, 0.5, seed), np.random.default_rng(seed)
        gangs = [instances.tensor_pairs(cluster, 2 * int(draw.integers(1, 33)), 4) for _ in range(50)]
        elapsed, answer = _timed(partial(place_batch, gangs, limits=Limits(), in_order=True, rounds=0))
        times.append(elapsed)
        told.append(answer.proof)
    detail = (
        f"each exact on what the earlier left, joint bound; {told.count('optimal')} of {len(told)} proven"
    )
    return _figure("50 gangs in one batch, 25,000 nodes, p50", times, 60, detail, tell)


def _batches(tell: Tell) -> list[Callable[[], Figure]]:
    """Batches of 8 to 50 gangs whose order means nothing: how many are proven in 2 s, else the gap."""
    measured = cache(_settled)

    def share() -> Figure:
        seconds, gaps = measured()
        pairs = list(zip(seconds, gaps, strict=True))
        within = [spent <= 2 and gap == 0 for spent, gap in pairs]
        value = 100 * sum(within) / len(within)
        detail = f"{sum(within)} of {len(within)}; slowest {max(seconds):.2g} s"
        tell(f"batches proven in 2 s: {value:.0f} %")
        return Figure(
            "batches of 8 to 50 gangs, 2 to 16 pods each, proven in 2 s", value, "%", 90, detail, least=True
        )

    def gap() -> Figure:
        _, gaps = measured()
        open_ones = sorted(gap for gap in gaps if gap) or [0.0]
        count = sum(gap > 0 for gap in gaps)
        detail = f"first term that misses its bound; {count} open, median {median(open_ones):.3g} %"
        tell(f"largest gap of a batch: {open_ones[-1]:.1f} %")
        return Figure("largest stated gap of a batch", open_ones[-1], "%", 2, detail)

    return [share, gap]


def _settled() -> tuple[list[float], list[float]]:
    """Seconds and the gap in percent (0: proven) of every batch."""
    seconds, gaps = [], []
    for nodes, gangs, seed in product((1000, 5000, 25000), (8, 20, 50), (0, 1)):
        cluster, draw = instances.nvl72(nodes, 0.5, seed), np.random.default_rng(seed)
        some = [instances.tensor_pairs(cluster, 2 * int(draw.integers(1, 9)), 4) for _ in range(gangs)]
        elapsed, answer = _timed(partial(place_batch, some, limits=Limits(), in_order=False))
        seconds.append(elapsed / 1000)
        missed = next((term for term in answer.terms if term.value != term.bound), None)
        gaps.append(100 * (missed.value - missed.bound) / missed.value if missed else 0.0)
    return seconds, gaps


def _moves(tell: Tell) -> Figure:
    """A gang that wants a whole rack among gangs of four pods."""
    times, proven, found = [], 0, 0
    for seed in range(SEEDS):
        cluster = instances.scattered(25000, 0.15, seed)
        problem, occupants = instances.one_rack(cluster, 18), _occupants(cluster, 4)
        if isinstance(place(problem), Assignment):
            continue
        again = partial(_again, problem)
        elapsed, moves = _timed(partial(defragment, problem, occupants, again, Limits()))
        times.append(elapsed)
        found += moves is not None
        proven += moves is not None and moves.proof == "optimal"
    detail = f"{found} of {len(times)} found, {proven} proven"
    return _figure("defragmentation, 25,000 nodes, p50", times or [0.0], 250, detail, tell)


def _again(problem: PlacementProblem, one: Occupant) -> PlacementProblem:
    free = problem.cluster.free.copy()
    for node, vector in one.use:
        free[:, node] += vector
    cluster = replace(problem.cluster, free=free)
    rules = [instances.whole(len(one.use))]
    return instances.gang(cluster, rules, gpus=[1], shape_of=[0] * len(one.use), name=one.name)


def _occupants(cluster: Cluster, size: int) -> list[Occupant]:
    """What is used, cut into gangs of so many one-GPU pods in the order of the nodes."""
    used = np.repeat(np.arange(cluster.size), (cluster.total - cluster.free)[0])
    one = np.array([1], dtype=np.int64)
    return [
        Occupant("gang", f"running/g{at // size}", tuple((int(node), one) for node in used[at : at + size]))
        for at in range(0, len(used), size)
    ]


def _fresh(problem: PlacementProblem) -> PlacementProblem:
    """The same problem on another cluster object, so that nothing is remembered."""
    return replace(problem, cluster=replace(problem.cluster))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    answer = work()
    return (time.perf_counter() - started) * 1000, answer


def _figure(
    name: str, times: list[float], target: float, detail: str, tell: Tell, *, share: int = 50
) -> Figure:
    value = float(np.percentile(times, share))
    tell(f"{name}: {value:.2f} ms ({min(times):.2f} to {max(times):.2f})")
    more = f"{detail}; " if detail else ""
    note = f"{more}{len(times)} runs over {SEEDS} seeds, {min(times):.3g} to {max(times):.3g} ms"
    return Figure(name=name, value=value, unit="ms", target=target, detail=note)
