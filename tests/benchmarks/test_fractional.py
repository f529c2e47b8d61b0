"""Shared GPUs: fragmentation by hand, FGD against every choice there is, and books that balance."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.simulate import fractional
from benchmarks.simulate.fractional import GradientDescent, arrive, fleet, fragmentation, kind_of, typical
from benchmarks.simulate.stranding import stranded
from benchmarks.simulate.traces.job import GPU, PRODUCT, Job
from scheduler.model import Node, NodeName


def node(name: str, gpus: int, *, cpu: int = 8000, model: str = "T4") -> Node:
    amounts = {"cpu": cpu, "memory": 1 << 30, "pods": 110, GPU: gpus}
    return Node(NodeName(name), {PRODUCT: model}, allocatable=amounts)


def task(name: str, milli: int, *, gpus: int = 1, cpu: int = 1000, products: tuple[str, ...] = ()) -> Job:
    return Job(name, 0.0, 0.0, 1, gpus, milli, cpu, 1, products=products)


def test_fragmentation_by_hand() -> None:
    """Left are 1000, 600 and 0 of a node of three; what each task cannot use of them, by its weight."""
    jobs = [
        task("half", 500),  # uses both: 0
        task("most", 700),  # the 600 are too few: 600
        task("two", 1000, gpus=2),  # not here: 1600
        task("cpu", 0, gpus=0),  # no GPU asked: 1600
        task("other", 500, products=("A10",)),  # not this model: 1600
        task("heavy", 500, cpu=9000),  # too few cores: 1600
    ]
    mix = typical(jobs * 20, ["A10", "T4"])
    assert len(mix.weight) == 6
    state = fleet([node("a", 3), node("b", 1, model="A10")])
    state.take(kind_of(task("x", 1000)), 0, [2])
    state.take(kind_of(task("x", 400)), 0, [1])
    rows = [at[:1] for at in (state.cpu, state.memory, state.gpu, state.model)]
    found = fragmentation(rows[0], rows[1], rows[2], rows[3], mix)
    assert abs(found[0] - (0 + 600 + 4 * 1600) / 6) < 1e-9
    reasons = stranded(state, mix)
    whole = fragmentation(state.cpu, state.memory, state.gpu, state.model, mix).sum() / state.capacity
    assert abs(sum(reasons.values()) - whole) < 1e-5
    assert abs(reasons["no GPU asked"] - (1600 + 1000) / 6 / 4000) < 1e-5
    assert abs(reasons["model"] - 1600 / 6 / 4000) < 1e-5


def test_gradient_descent_is_the_least_growth_of_all_choices() -> None:
    draw = random.Random(5)
    nodes = [node(f"n{at}", draw.choice([1, 2, 4]), cpu=draw.choice([3000, 8000])) for at in range(6)]
    jobs = [task(f"j{at}", draw.choice([200, 300, 500, 700, 1000])) for at in range(60)]
    jobs += [task(f"t{at}", 1000, gpus=2) for at in range(6)]
    state = fleet(nodes)
    mix = typical(jobs, state.models)
    choose, placed = GradientDescent(mix, whole_points=False), 0
    for job in draw.sample(jobs, len(jobs)):
        kind = kind_of(job)
        fitting = state.fitting(kind)
        if not fitting.size:
            continue
        node_at, devices = choose(state, kind, fitting)
        assert len(devices) == job.gpus_per_pod
        assert (state.gpu[node_at, list(devices)] >= job.gpu_milli).all()
        least = min(
            growth(state, mix, kind, int(at), one) for at in fitting for one in choices(state, kind, int(at))
        )
        assert abs(growth(state, mix, kind, node_at, devices) - least) < 1e-6
        state.take(kind, node_at, devices)
        placed += 1
        assert (state.gpu >= 0).all() and (state.cpu >= 0).all()
    assert placed > 15


def choices(state: fractional.Fleet, kind: fractional.Kind, at: int) -> list[tuple[int, ...]]:
    fitting = np.flatnonzero(state.gpu[at] >= kind[3]).tolist()
    return [(one,) for one in fitting] if kind[2] == 1 else [tuple(fitting[: kind[2]])]


def growth(
    state: fractional.Fleet, mix: fractional.Typical, kind: fractional.Kind, at: int, devices: tuple[int, ...]
) -> float:
    def value(cpu: int, memory: int, gpu: np.ndarray) -> float:  # type: ignore[type-arg]
        row = [np.array([cpu]), np.array([memory]), gpu[None, :], state.model[at : at + 1]]
        return float(fragmentation(row[0], row[1], row[2], row[3], mix)[0])

    after = state.gpu[at].copy()
    after[list(devices)] -= kind[3]
    before = value(int(state.cpu[at]), int(state.memory[at]), state.gpu[at])
    return value(int(state.cpu[at]) - kind[0], int(state.memory[at]) - kind[1], after) - before


def test_the_curve_rises_and_is_the_same_every_time() -> None:
    nodes = [node(f"n{at}", 4) for at in range(5)]
    jobs = [task(f"j{at}", [300, 500, 1000][at % 3]) for at in range(40)]
    for policy in fractional.POLICIES:
        found = arrive(nodes, jobs, policy=policy, seed=2)
        assert found == arrive(nodes, jobs, policy=policy, seed=2)
        shares = [one["allocated"] for one in found]
        assert shares == sorted(shares)
        assert 0.5 < shares[-1] <= 1
        assert all(one["allocated"] + one["fragmented"] <= 1 + 1e-9 for one in found)
