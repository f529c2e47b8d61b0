"""Who Arnold is compared with, from their descriptions: each fills minipods unit by unit."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.placement.problem import Int32, Int64


@dataclass(frozen=True, slots=True)
class Case:
    """A setting of the paper. `tensor` is 8 where the paper has 4: a node then holds the same stage of two
    replicas, which are one column of nodes."""

    name: str
    minipods: int
    nodes: int
    units: int
    pipeline: int

    @property
    def job_nodes(self) -> int:
        """Nodes of the job."""
        return self.units * self.pipeline


Fill = Callable[[Int64, Case, random.Random], list[list[int]]]
"""Free nodes per minipod to, for each unit, the minipod of each of its stages."""


def best_fit(free: Int64, case: Case, draw: random.Random) -> list[list[int]]:
    """Every unit in the minipod with the least room that suffices."""
    return _one_by_one(free, case, lambda fits, left: min(fits, key=lambda at: (left[at], at)))


def random_fit(free: Int64, case: Case, draw: random.Random) -> list[list[int]]:
    """Every unit in any minipod with room."""
    return _one_by_one(free, case, lambda fits, left: draw.choice(fits))


def gpu_packing(free: Int64, case: Case, draw: random.Random) -> list[list[int]]:
    """Every unit in the minipod with most in use that has room."""
    size = np.bincount(minipods_of(case))
    return _one_by_one(free, case, lambda fits, left: max(fits, key=lambda at: (size[at] - left[at], -at)))


def topology_aware(free: Int64, case: Case, draw: random.Random) -> list[list[int]]:
    """Recursive bipartition: all units into the tighter half that holds them, else into both by room."""
    found: list[list[int]] = []
    left = free.copy()

    def part(pods: list[int], units: int) -> None:
        if not units:
            return
        if len(pods) == 1:
            for _ in range(units):
                found.append(_unit(left, case, pods[0]))
            return
        halves = [pods[: len(pods) // 2], pods[len(pods) // 2 :]]
        room = [sum(int(left[at]) // case.pipeline for at in half) for half in halves]
        enough = [at for at in (0, 1) if room[at] >= units]
        if enough:
            part(halves[min(enough, key=lambda at: (room[at], at))], units)
            return
        first = min(max(round(units * room[0] / max(sum(room), 1)), units - room[1]), room[0], units)
        part(halves[0], first)
        part(halves[1], units - first)

    part(list(range(case.minipods)), case.units)
    return found


RIVALS: Mapping[str, Fill] = {
    "best-fit": best_fit,
    "random-fit": random_fit,
    "GPU-packing": gpu_packing,
    "topo-aware": topology_aware,
}


def _one_by_one(free: Int64, case: Case, choose: Callable[[list[int], Int64], int]) -> list[list[int]]:
    left, found = free.copy(), []
    for _ in range(case.units):
        fits = [at for at in range(case.minipods) if left[at] >= case.pipeline]
        found.append(_unit(left, case, choose(fits, left) if fits else int(left.argmax())))
    return found


def _unit(left: Int64, case: Case, at: int) -> list[int]:
    """Take a unit's nodes, from other minipods where this one does not suffice."""
    stages = []
    for _ in range(case.pipeline):
        where = at if left[at] else int(left.argmax())
        left[where] -= 1
        stages.append(where)
    return stages


def minipods_of(case: Case) -> Int32:
    """int32[nodes]: minipods as equal as they go."""
    return np.sort(np.arange(case.nodes, dtype=np.int32) % case.minipods)
