"""Every row of the quality cases has a family of its kind, which is compared with brute force."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, PlacementProblem
from tests.placement import families, oracle
from tests.placement.shares import assert_share
from tests.placement.test_model import right

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "40"))


@pytest.mark.parametrize(
    "family",
    [
        families.unlike_groups,
        families.roles_in_one_rack,
        families.odd_sizes,
        families.lost_members,
        families.crossing_levels,
    ],
)
def test_every_answer_of_a_family_is_the_brute_force_optimum(
    family: Callable[[np.random.Generator], PlacementProblem],
) -> None:
    found = []
    for seed in range(INSTANCES):
        case = family(np.random.default_rng(seed))
        found.append(right(case, oracle.best(case), place(case), seed))
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=INSTANCES, least=0.2, most=0.95)


def test_every_gang_of_a_stream_has_the_best_of_what_is_left() -> None:
    """And the room it leaves is what the policy promises: big holes are not broken without need."""
    found = []
    for seed in range(INSTANCES // 2):
        arrivals = families.stream(np.random.default_rng(seed))
        case = next(arrivals)
        for _ in range(4):
            answer = place(case)
            found.append(right(case, oracle.best(case), answer, seed))
            case = arrivals.send(answer.nodes.tolist() if isinstance(answer, Assignment) else [])
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=len(found), least=0.2, most=0.95)
