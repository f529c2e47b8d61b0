"""The solver against brute force on small random problems, and against itself under renaming."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scheduler.placement import build
from scheduler.placement.check import violations
from scheduler.placement.objective import evaluate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Rejection
from tests.placement import oracle
from tests.placement.instances import cluster, random_problem, random_whole_nodes
from tests.placement.instances import problem as one_shape
from tests.placement.shares import assert_share

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400"))


def test_the_answer_is_the_brute_force_optimum() -> None:
    feasible = infeasible = proven = 0
    for seed in range(INSTANCES):
        problem = random_problem(np.random.default_rng(seed))
        truth = oracle.best(problem)
        answer = place(problem)
        if isinstance(answer, Rejection):
            assert truth is None, (seed, answer)
            infeasible += 1
            continue
        feasible += 1
        assert truth is not None, seed
        assert violations(problem, answer.nodes) == (), seed
        values = tuple(term.value for term in answer.terms)
        assert values == evaluate(problem, answer.nodes)
        _bounds_hold(answer, truth, seed)
        if answer.proof == "optimal":
            proven += 1
            assert values == truth, (
                seed,
                dict(zip(problem.terms, zip(values, truth, strict=True), strict=True)),
            )
    print(f"{feasible} feasible, {infeasible} infeasible")
    assert_share(feasible, of=INSTANCES, least=0.25, most=0.95)
    assert proven == feasible, f"only {proven} of {feasible} answers are proven"


def test_any_order_of_terms_is_the_brute_force_optimum() -> None:
    """Policies reorder and drop terms: no pruning may lean on the default order."""
    feasible = 0
    for seed in range(INSTANCES):
        draw = np.random.default_rng(10_000_000 + seed)
        problem = random_problem(draw)
        some = draw.permutation(len(problem.terms))[: draw.integers(1, len(problem.terms) + 1)]
        problem = replace(problem, terms=tuple(problem.terms[at] for at in some))
        truth, answer = oracle.best(problem), place(problem)
        assert isinstance(answer, Assignment) == (truth is not None), seed
        if isinstance(answer, Assignment):
            feasible += 1
            assert violations(problem, answer.nodes) == (), seed
            assert answer.proof == "optimal", seed
            assert tuple(term.value for term in answer.terms) == truth, (seed, problem.terms)
    print(f"{feasible} feasible, {INSTANCES - feasible} infeasible")
    assert_share(feasible, of=INSTANCES, least=0.25, most=0.95)


def test_whole_nodes_are_the_brute_force_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    together, feasible = 0, 0
    solve = build._shelved

    def counted(*args: Any) -> Any:
        nonlocal together
        together += 1
        return solve(*args)

    monkeypatch.setattr(build, "_shelved", counted)
    for seed in range(INSTANCES):
        problem = random_whole_nodes(np.random.default_rng(seed))
        truth, answer = oracle.best(problem), place(problem)
        assert isinstance(answer, Assignment) == (truth is not None), seed
        if isinstance(answer, Assignment):
            feasible += 1
            assert violations(problem, answer.nodes) == (), seed
            assert tuple(term.value for term in answer.terms) == truth, seed
    print(f"{feasible} feasible, {INSTANCES - feasible} infeasible")
    assert_share(together, of=INSTANCES, least=0.1)
    assert_share(feasible, of=INSTANCES, least=0.5, most=0.95)


def test_alike_racks_of_unlike_leaves_are_not_the_same_answer() -> None:
    """Two free racks of 4 that differ only in what their leaf has left."""
    nodes = cluster([2] * 5, [2] * 5, {"leaf": [0, 0, 0, 1, 1], "rack": [0, 0, 1, 2, 2], "nvlink": range(5)})
    gang = one_shape(nodes, pods=4, required={"gang": "leaf"}, preferred={"pp": "rack"}, tp=1, stages=4)
    answer = place(gang)
    assert isinstance(answer, Assignment)
    assert answer.nodes.tolist() == [3, 3, 4, 4]
    assert tuple(term.value for term in answer.terms) == oracle.best(gang)


def test_a_coarser_term_behind_a_preferred_level_is_not_skipped() -> None:
    """Racks preferred, leaves counted next, nodes after that: fewest nodes must not come before leaves."""
    nodes = cluster(
        [0, 4, 2, 2, 0, 4],
        [2, 4, 4, 4, 4, 4],
        {"leaf": [0, 0, 0, 0, 1, 1], "rack": [0, 0, 0, 1, 2, 2], "nvlink": range(6)},
    )
    gang = one_shape(nodes, pods=4, gpus=2, preferred={"gang": "rack"})
    answer = place(gang)
    assert isinstance(answer, Assignment)
    assert answer.nodes.tolist() == [1, 1, 2, 3]
    assert tuple(term.value for term in answer.terms) == oracle.best(gang)


def _bounds_hold(answer: Assignment, truth: tuple[int, ...], seed: int) -> None:
    """As long as the answer keeps pace with the optimum, no bound may exceed it."""
    for term, least in zip(answer.terms, truth, strict=True):
        assert term.bound <= least, (seed, term, least)
        if term.value != least:
            return
