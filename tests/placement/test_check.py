"""The referee: for every rule one assignment that breaks just that rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.placement.apart import ApartRule
from scheduler.placement.check import violations
from scheduler.placement.problem import PlacementProblem, frozen
from tests.placement.instances import cluster, problem

NODES = cluster([4, 4, 4, 4], [4, 4, 4, 4], {"leaf": [0, 0, 1, 1]})


def gang() -> PlacementProblem:
    """Four pods of 2 GPUs, two per tensor-parallel group, each group under one leaf."""
    return problem(NODES, pods=4, gpus=2, tp=2, required={"tp": "leaf"})


def broken(case: PlacementProblem, nodes: list[int]) -> list[tuple[str, str]]:
    return [(v.rule, v.message) for v in violations(case, np.array(nodes, dtype=np.int32))]


def test_a_right_assignment_breaks_nothing() -> None:
    assert broken(gang(), [0, 1, 2, 3]) == []
    assert broken(gang(), [0, 0, 1, 1]) == []


@pytest.mark.parametrize("nodes", [[0, 1, 2], [0, 1, 2, 3, 3]])
def test_a_node_for_every_pod(nodes: list[int]) -> None:
    assert [rule for rule, _ in broken(gang(), nodes)] == ["size"]


@pytest.mark.parametrize("node", [-1, 4])
def test_nodes_exist(node: int) -> None:
    assert broken(gang(), [0, 1, 2, node]) == [("node", f"pod 3 is on node {node}, which does not exist")]


def test_pods_run_where_they_may() -> None:
    case = gang()
    shape = replace(case.shapes[0], eligible=np.array([True, True, True, False]))
    assert broken(replace(case, shapes=(shape,)), [0, 1, 2, 3]) == [
        ("eligible", "pod 3 may not run on node n3")
    ]


def test_nodes_hold_what_they_have() -> None:
    assert broken(gang(), [0, 0, 2, 2]) == []
    full = problem(NODES, pods=4, gpus=2)
    assert broken(full, [0, 0, 0, 1]) == [("capacity", "node n0: 6 gpu asked, 4 free")]


def test_members_that_run_stay() -> None:
    case = replace(gang(), fixed=frozen([1, -1, -1, -1]))  # type: ignore[arg-type]
    assert broken(case, [0, 1, 2, 3]) == [("fixed", "pod 0 runs elsewhere and may not move")]
    assert broken(case, [1, 0, 2, 3]) == []


def test_blocks_stay_in_one_domain_of_a_required_level() -> None:
    assert broken(gang(), [0, 2, 1, 3]) == [
        ("required", "tp tp0 must be in one leaf, spans 2: leaf0, leaf1"),
        ("required", "tp tp1 must be in one leaf, spans 2: leaf0, leaf1"),
    ]


def test_who_wants_a_domain_alone_shares_it_with_no_other_party() -> None:
    parties = frozen([0, 0, 1, -1])
    alone = ApartRule("group", "leaf", parties, np.array([True, False]))  # type: ignore[arg-type]
    case = replace(problem(NODES, pods=4), apart=(alone,))
    assert broken(case, [0, 1, 2, 0]) == []  # who is of no party may be anywhere
    assert broken(case, [0, 1, 1, 3]) == [
        ("apart", "group0 must have its leaf to itself, shares leaf leaf0 with group1")
    ]
    nobody = replace(alone, lone=np.array([False, False]))
    assert broken(replace(case, apart=(nobody,)), [0, 1, 1, 3]) == []
