"""Which reason a refusal names first: size before scattered room, scattered room before waiting."""

from __future__ import annotations

import pytest

from scheduler.model import Code
from scheduler.placement.place import place
from scheduler.placement.problem import Limits, Rejection
from tests.placement.instances import cluster, problem


@pytest.mark.parametrize(
    ("free", "pods", "code"),
    [
        ([8, 8], 3, Code.CLUSTER_TOO_SMALL),
        ([4, 4], 1, Code.FRAGMENTED),
        ([8, 4], 2, Code.NOT_ENOUGH_CAPACITY),
        ([4, 3], 1, Code.NOT_ENOUGH_CAPACITY),
    ],
)
def test_the_first_reason_that_holds(free: list[int], pods: int, code: Code) -> None:
    nodes = cluster(free, [8, 8], {"leaf": [0, 0]})
    answer = place(problem(nodes, pods=pods, gpus=8))
    assert isinstance(answer, Rejection)
    assert (answer.code, answer.proof) == (code, "proven")
    assert ("scattered" in answer.message) == (code == Code.FRAGMENTED)


def test_out_of_time_is_not_infeasible() -> None:
    """Levels that cross, so that the integer model is asked, which has no time at all."""
    nodes = cluster([8] * 6, [8] * 6, {"leaf": [0, 0, 0, 1, 1, 1], "rack": [0, 1, 0, 1, 0, 1]})
    answer = place(
        problem(nodes, pods=4, gpus=8, required={"gang": "leaf", "tp": "rack"}, tp=2),
        limits=Limits(deterministic_s=0.0),
    )
    assert isinstance(answer, Rejection)
    assert (answer.code, answer.proof, answer.possible) == (Code.TIMED_OUT, "timed_out", True)


def test_levels_that_nest_only_while_nodes_are_full_do_not_make_it_impossible() -> None:
    """n1 and n2 are a clique across two racks: while they are full, cliques nest. Empty, a rack holds two."""
    levels = {"rack": [0, 0, 1, 1], "nvlink": [0, 1, 1, 2]}
    nodes = cluster([8, 7, 8, 7], [8] * 4, levels)
    answer = place(problem(nodes, pods=2, gpus=8, required={"gang": "rack"}))
    assert isinstance(answer, Rejection)
    assert (answer.code, answer.possible, answer.proof) == (Code.NO_DOMAIN_FITS, True, "proven")
    larger = place(problem(nodes, pods=3, gpus=8, required={"gang": "rack"}))
    assert isinstance(larger, Rejection)
    assert (larger.code, larger.possible) == (Code.TOO_LARGE_FOR_LEVEL, False)
