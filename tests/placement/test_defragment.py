"""Defragmentation against brute force: the least that must move, and steps that each leave all in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from scheduler.placement.changes import Occupant
from scheduler.placement.check import violations
from scheduler.placement.defragment import Moves, defragment
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Cluster, Limits, PlacementProblem
from tests.placement.instances import cluster, problem
from tests.placement.shares import assert_share

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400")) // 4


def scattered(
    total: list[int], racks: list[int], running: list[tuple[int, ...]], *, pods: int, gpus: int
) -> tuple[PlacementProblem, list[Occupant], Callable[[Occupant], PlacementProblem]]:
    """A gang that wants one rack among occupants, each a gang of one-GPU pods."""
    free = np.array(total)
    occupants = []
    for at, nodes in enumerate(running):
        for node in nodes:
            free[node] -= 1
        occupants.append(Occupant("gang", f"o{at}", tuple((node, np.array([1])) for node in nodes)))
    nodes = cluster(free.tolist(), total, {"rack": racks})
    blocked = problem(nodes, pods=pods, gpus=gpus, required={"gang": "rack"})

    def again(one: Occupant) -> PlacementProblem:
        back = free.copy()
        for node, _ in one.use:
            back[node] += 1
        mine = cluster(back.tolist(), total, {"rack": racks})
        return replace(problem(mine, pods=len(one.use), gpus=1), gang=one.name)

    return blocked, occupants, again


def walk(blocked: PlacementProblem, occupants: list[Occupant], moves: Moves) -> None:
    """After every step no node is overfull, and at the end the gang fits where the answer says."""
    free = blocked.cluster.free[0].copy()
    for step in moves.steps:
        for node, vector in step.occupant.use:
            free[node] += vector[0]
        for node in step.nodes.tolist():
            free[node] -= 1
        assert (free >= 0).all()
    moved: Cluster = replace(blocked.cluster, free=free[None])
    assert violations(replace(blocked, cluster=moved), moves.gang.nodes) == ()


def brute(blocked: PlacementProblem, occupants: list[Occupant]) -> int | None:
    """The least number of pods of whole occupants that must leave so that the gang fits, wherever they
    then go: one-GPU pods go wherever there is room, so only the room in all matters."""
    best: int | None = None
    if int(blocked.cluster.free.sum()) < blocked.pods * int(blocked.shapes[0].requests[0]):
        return None
    for choice in product([False, True], repeat=len(occupants)):
        free = blocked.cluster.free.copy()
        gone = [one for one, leaves in zip(occupants, choice, strict=True) if leaves]
        for one in gone:
            for node, vector in one.use:
                free[:, node] += vector
        cost = sum(len(one.use) for one in gone)
        if best is not None and cost >= best:
            continue
        if isinstance(place(replace(blocked, cluster=replace(blocked.cluster, free=free))), Assignment):
            best = cost
    return best


def test_against_brute_force() -> None:
    feasible = impossible = 0
    for seed in range(INSTANCES):
        draw = np.random.default_rng(seed)
        size = int(draw.integers(3, 7))
        racks = np.sort(draw.integers(0, 3, size)).tolist()
        room = [2] * size
        running = []
        for _ in range(int(draw.integers(2, 6))):
            some = [node for node in draw.integers(0, size, int(draw.integers(1, 4))).tolist() if room[node]]
            for node in dict.fromkeys(some):
                room[node] -= 1
            if some:
                running.append(tuple(dict.fromkeys(some)))
        pods, gpus = int(draw.integers(1, 4)), int(draw.integers(1, 3))
        blocked, occupants, again = scattered([2] * size, racks, running, pods=pods, gpus=gpus)
        if isinstance(place(blocked), Assignment):
            continue
        truth, found = brute(blocked, occupants), defragment(blocked, occupants, again, Limits())
        assert (found is None) == (truth is None), seed
        if found is None:
            impossible += 1
            continue
        feasible += 1
        walk(blocked, occupants, found)
        assert found.least <= truth <= found.amount, seed
        assert found.proof == "gap" or found.amount == truth, seed
        assert found.proof == "optimal", seed
    print(f"{feasible} feasible, {impossible} infeasible")
    assert_share(feasible, of=INSTANCES, least=0.1)
    assert_share(impossible, of=INSTANCES, least=0.1)


def test_the_cheapest_rack_is_cleared() -> None:
    """Two racks of two nodes, one GPU used on each node: three in one rack belong to small gangs."""
    blocked, occupants, again = scattered(
        [2] * 6, [0, 0, 1, 1, 2, 2], [(0,), (1,), (2, 3), (4, 5, 4)], pods=2, gpus=2
    )
    found = defragment(blocked, occupants, again, Limits())
    assert found is not None
    assert (found.amount, found.least) == (2, 2)
    walk(blocked, occupants, found)


def test_nothing_to_gather() -> None:
    """Free units are too few in all: moving frees none."""
    blocked, occupants, again = scattered([2, 2], [0, 0], [(0,), (1,)], pods=2, gpus=2)
    assert defragment(blocked, occupants, again, Limits()) is None


def test_who_finds_no_new_place_stays() -> None:
    """The cheapest occupant cannot run elsewhere: another one moves, and nothing is called proven."""
    blocked, occupants, again = scattered([2] * 6, [0, 0, 1, 1, 2, 2], [(0,), (2, 3), (4, 5)], pods=2, gpus=2)

    def stubborn(one: Occupant) -> PlacementProblem | None:
        return None if one.name == "o0" else again(one)

    found = defragment(blocked, occupants, stubborn, Limits())
    assert found is not None
    assert [step.occupant.name for step in found.steps] in (["o1"], ["o2"])
    walk(blocked, occupants, found)
