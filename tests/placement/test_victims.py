"""The fewest victims against brute force: no smaller set would do, and theirs does."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from scheduler.placement.changes import Asker, without
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, Rejection
from scheduler.placement.victims import fewest_victims
from tests.placement.instances import random_general_problem, random_problem
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
