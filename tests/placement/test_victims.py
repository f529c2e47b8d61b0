"""The fewest victims against brute force: no smaller set would do, and theirs does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from scheduler.placement.changes import Asker, Occupant, without
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, Rejection
from scheduler.placement.victims import fewest_victims
from tests.placement.instances import cluster, problem, random_general_problem, random_problem
from tests.placement.test_explain import surrounded


def test_no_fewer_victims_would_do() -> None:
    compared = several = 0
    for seed in range(600):
        rng = np.random.default_rng(7_000 + seed)
        make = random_problem if seed % 2 else random_general_problem
        case, around = surrounded(make(rng), rng)
        if not isinstance(place(case), Rejection) or len(around.occupants) > 9:
            continue
        found = fewest_victims(case, around.occupants, Asker(Limits()))
        fewest = next(
            (
                size
                for size in range(1, len(around.occupants) + 1)
                for some in combinations(around.occupants, size)
                if isinstance(place(without(some)(case)), Assignment)
            ),
            None,
        )
        assert (found is None) == (fewest is None), seed
        if found is not None:
            compared += 1
            several += fewest is not None and fewest > 1
            assert found.proof == "optimal"
            assert len(found.occupants) == fewest, seed
            assert isinstance(place(without(found.occupants)(case)), Assignment), seed
    assert compared > 25
    assert several > 5


@pytest.mark.parametrize("seed", range(4))
def test_the_fewest_among_hundreds_are_proven(seed: int) -> None:
    """Racks of eight nodes among gangs of random size; a rack is wanted whole. The truth is rack by rack:
    everybody who is there must go."""
    rng = np.random.default_rng(seed)
    rack = np.repeat(np.arange(30), 8)
    used = rng.integers(0, 5, len(rack))
    one, occupants = np.array([1], dtype=np.int64), list[Occupant]()
    units = np.repeat(np.arange(len(rack)), used).tolist()
    while units:
        size = int(rng.integers(1, 30))
        occupants.append(Occupant("gang", f"g{len(occupants)}", tuple((node, one) for node in units[:size])))
        units = units[size:]
    case = problem(
        cluster((4 - used).tolist(), [4] * len(rack), {"rack": rack.tolist()}),
        pods=8, gpus=4, required={"gang": "rack", "group": "rack"}, group=8,
    )  # fmt: skip
    there = [{int(rack[node]) for node, _ in one.use} for one in occupants]
    fewest = min(sum(at in racks for racks in there) for at in range(30))
    found = fewest_victims(case, occupants, Asker(Limits()))
    assert found is not None
    assert (len(found.occupants), found.proof) == (fewest, "optimal")
    assert isinstance(place(without(found.occupants)(case)), Assignment)
