"""Pods of several shapes in one domain against brute force: what it costs, and that it fits at all."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from scheduler.placement.check import violations
from scheduler.placement.packing import packed
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, PlacementProblem, Rejection, ShapeDemand, frozen
from tests.placement import oracle
from tests.placement.instances import cluster, problem
from tests.placement.shares import assert_share

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400"))

POLICIES = (
    ("domains_rack", "nodes", "nodes_broken", "left_node"),
    ("left_node", "nodes"),
    ("nodes_broken", "left_rack", "3*nodes + 1*left_node"),
)


def several_shapes(rng: np.random.Generator) -> PlacementProblem:
    """Three or four nodes of one rack with GPUs and CPUs, four or five pods of up to three shapes, which
    may not run everywhere."""
    size, pods = int(rng.integers(3, 5)), int(rng.integers(4, 6))
    nodes = cluster(rng.integers(0, 6, size).tolist(), [5] * size, {"leaf": [0] * size, "rack": [0] * size})
    free = np.stack([nodes.free[0], rng.integers(1, 8, size)])
    nodes = replace(
        nodes,
        resources=("gpu", "cpu"),
        free=frozen(free, np.int64),  # type: ignore[arg-type]  # int64 by the argument
        total=frozen(np.stack([nodes.total[0], np.full(size, 8)]), np.int64),  # type: ignore[arg-type]
    )
    bare = problem(nodes, pods=pods, preferred={"gang": "rack"} if rng.random() < 0.5 else {})
    shapes = tuple(
        ShapeDemand(frozen([gpus, cpus], np.int64), may, may)  # type: ignore[arg-type]  # int64 by the argument
        for gpus, cpus, may in zip(
            rng.permutation(4)[:3].tolist(),
            rng.integers(1, 4, 3).tolist(),
            rng.random((3, size)) < 0.8,
            strict=True,
        )
    )
    kept = bare.terms if rng.random() < 0.5 else POLICIES[int(rng.integers(0, len(POLICIES)))]
    shape_of = rng.integers(0, 3, pods).astype(np.int32)
    terms = tuple(term for term in kept if not term.startswith("imbalance_node"))
    return replace(bare, shapes=shapes, shape_of=shape_of, terms=terms)


def test_it_is_the_optimum() -> None:
    fits = 0
    for seed in range(INSTANCES):
        one = several_shapes(np.random.default_rng(seed))
        answer, truth = packed(one), oracle.best(one)
        if not any(one.shapes[at].eligible.any() for at in one.shape_of.tolist()):
            assert answer is None
            continue
        if truth is None:
            assert isinstance(answer, Rejection), seed
            assert answer.proof == "proven"
            continue
        assert isinstance(answer, Assignment), seed
        assert violations(one, answer.nodes) == (), seed
        assert tuple(term.value for term in answer.terms) == truth, seed
        assert answer.proof == "optimal"
        fits += 1
    print(f"{fits} feasible, {INSTANCES - fits} infeasible")
    assert_share(fits, of=INSTANCES, least=0.25, most=0.95)


def test_through_the_door() -> None:
    """Two racks of which one alone holds the gang: its GPU counts do not divide each other."""
    nodes = cluster([4, 4, 4, 3, 3, 2], [4] * 6, {"rack": [0, 0, 0, 1, 1, 1]})
    one = problem(nodes, pods=4, preferred={"gang": "rack"})
    shapes = tuple(replace(one.shapes[0], requests=frozen([gpus], np.int64)) for gpus in (3, 2, 4))  # type: ignore[arg-type]
    one = replace(one, shapes=shapes, shape_of=np.array([0, 1, 1, 2], dtype=np.int32))
    answer = place(one)
    assert isinstance(answer, Assignment)
    assert (answer.method, answer.proof) == ("packing", "optimal")
    assert answer.levels == (("rack", 1, 1), ("node", 3, 3))
    assert set(answer.nodes.tolist()) == {0, 1, 2}


def not_such(change: str) -> PlacementProblem:
    """A gang of which something is for another program."""
    level = {"leaf": [0, 0, 0, 0], "rack": [0, 0, 1, 1] if change == "racks" else [0, 0, 0, 0]}
    nodes = cluster([4] * 4, [4] * 4, level)
    required = {"gang": "node"} if change == "node" else {}
    one = problem(nodes, pods=4, required=required)
    if change == "running":
        one = replace(one, fixed=np.array([0, -1, -1, -1], dtype=np.int32))
    if change == "balance":
        one = replace(one, terms=("imbalance_node",))
    if change == "many":
        one = problem(cluster([4] * 200, [4] * 200, {"rack": [0] * 200}), pods=4)
    return one


@pytest.mark.parametrize("change", ["racks", "node", "running", "balance", "many"])
def test_what_is_not_such_a_problem_is_left_to_others(change: str) -> None:
    assert packed(not_such(change)) is None


def test_of_equal_answers_the_first_nodes() -> None:
    nodes = cluster([4] * 4, [4] * 4, {"rack": [0] * 4})
    one = problem(nodes, pods=4, gpus=2)
    answer = packed(one)
    assert isinstance(answer, Assignment)
    assert answer.nodes.tolist() == [0, 0, 1, 1]
