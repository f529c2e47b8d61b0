"""The integer model against brute force on problems of every kind that has no tree form."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import permutations

import numpy as np

from scheduler.placement.check import violations
from scheduler.placement.groups import groups_fit, place_groups
from scheduler.placement.model import solve_model
from scheduler.placement.objective import evaluate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, PlacementProblem, Rejection
from tests.placement import oracle
from tests.placement.instances import (
    cluster,
    problem,
    random_apart,
    random_combined,
    random_general_problem,
    random_groups,
    random_parts,
    random_pipelines,
    random_problem,
)
from tests.placement.shares import assert_share

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400"))


def test_every_answer_is_the_brute_force_optimum() -> None:
    feasible = infeasible = 0
    for seed in range(INSTANCES):
        problem = random_general_problem(np.random.default_rng(seed))
        if _agrees(problem, seed):
            feasible += 1
        else:
            infeasible += 1
    print(f"{feasible} feasible, {infeasible} infeasible")
    assert_share(feasible, of=INSTANCES, least=0.3, most=0.95)


def test_pipelines_that_must_hop_are_the_brute_force_optimum() -> None:
    found = [_as_brute_force(random_pipelines(np.random.default_rng(s)), s) for s in range(INSTANCES)]
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=INSTANCES, least=0.3, most=0.95)


def test_everything_at_once_is_the_brute_force_optimum() -> None:
    found = [_as_brute_force(random_combined(np.random.default_rng(s)), s) for s in range(INSTANCES)]
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=INSTANCES, least=0.3, most=0.95)


def test_unequal_groups_are_the_brute_force_optimum() -> None:
    feasible, listed = 0, 0
    for seed in range(INSTANCES):
        case = random_groups(np.random.default_rng(seed))
        right = _as_brute_force(case, seed)
        feasible += right
        known = place_groups(case)
        listed += known is not None
        assert known in (None, False) or right, seed
        assert groups_fit(case) in (None, right), seed
    print(f"{feasible} feasible, {INSTANCES - feasible} infeasible")
    assert_share(listed, of=INSTANCES, least=0.5)
    assert_share(feasible, of=INSTANCES, least=0.25, most=0.95)


def test_parts_with_wishes_of_their_own_are_the_brute_force_optimum() -> None:
    found = [_as_brute_force(random_parts(np.random.default_rng(s)), s) for s in range(INSTANCES)]
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=INSTANCES, least=0.25, most=0.95)


def test_parties_that_keep_apart_are_the_brute_force_optimum() -> None:
    feasible = binding = listed = 0
    for seed in range(INSTANCES):
        case = random_apart(np.random.default_rng(seed))
        right = _as_brute_force(case, seed)
        feasible += right
        free = place(replace(case, apart=()))
        binding += isinstance(free, Assignment) and bool(violations(case, free.nodes))
        if any(rule.binds for rule in case.apart):
            known = place_groups(case)
            listed += known is not None
            assert known in (None, False) or right, seed
            assert groups_fit(case) in (None, right), seed
    print(f"{feasible} feasible, {INSTANCES - feasible} infeasible")
    assert_share(feasible, of=INSTANCES, least=0.25, most=0.95)
    assert_share(binding, of=INSTANCES, least=0.125)
    assert_share(listed, of=INSTANCES, least=0.05)


def _as_brute_force(problem: PlacementProblem, seed: int) -> bool:
    return right(problem, oracle.best(problem), place(problem), seed)


def test_the_model_agrees_where_a_tree_would_do() -> None:
    found = [_agrees(random_problem(np.random.default_rng(seed)), seed) for seed in range(INSTANCES // 8)]
    assert 0 < sum(found) < len(found)


def _agrees(problem: PlacementProblem, seed: int) -> bool:
    """Compare the oracle with the model, and with `place`, which narrows it; True when there is an answer."""
    truth, one = oracle.best(problem), solve_model(problem, Limits())
    return right(problem, truth, one, seed) and right(problem, truth, place(problem), seed)


def right(
    problem: PlacementProblem, truth: tuple[int, ...] | None, answer: Assignment | Rejection, seed: int
) -> bool:
    if isinstance(answer, Rejection):
        assert truth is None, (seed, answer)
        assert answer.proof == "proven"
        return False
    assert truth is not None, seed
    assert violations(problem, answer.nodes) == (), seed
    values = tuple(term.value for term in answer.terms)
    assert values == evaluate(problem, answer.nodes)
    assert answer.proof == "optimal", seed
    assert values == truth, (seed, dict(zip(problem.terms, zip(values, truth, strict=True), strict=True)))
    return True


def test_the_order_of_nodes_does_not_change_the_quality() -> None:
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(10_000 + seed)
        problem = random_general_problem(rng)
        shuffled = _renumbered(problem, rng.permutation(problem.cluster.size))
        one, other = solve_model(problem, Limits()), solve_model(shuffled, Limits())
        assert isinstance(one, Assignment) == isinstance(other, Assignment), seed
        if isinstance(one, Assignment) and isinstance(other, Assignment):
            assert [t.value for t in one.terms] == [t.value for t in other.terms], seed
            compared += 1
    assert compared > 20


def _renumbered(problem: PlacementProblem, order: np.ndarray) -> PlacementProblem:  # type: ignore[type-arg]
    """The same nodes in another order; `order[i]` is the old index of the new node i."""
    cluster = problem.cluster
    new_of = np.argsort(order)
    return replace(
        problem,
        cluster=replace(
            cluster,
            free=cluster.free[:, order],
            total=cluster.total[:, order],
            usable=cluster.usable[order],
            partitions=tuple(replace(p, domain_of=p.domain_of[order]) for p in cluster.partitions),
        ),
        shapes=tuple(
            replace(shape, eligible=shape.eligible[order], ever=shape.ever[order]) for shape in problem.shapes
        ),
        fixed=np.where(problem.fixed >= 0, new_of[problem.fixed], -1).astype(np.int32),
    )


def test_out_of_time_is_not_infeasible() -> None:
    problem = random_general_problem(np.random.default_rng(1))
    answer = solve_model(problem, Limits(deterministic_s=0.0))
    assert not isinstance(answer, Rejection) or answer.proof in ("timed_out", "proven")
    if isinstance(answer, Rejection) and answer.proof == "timed_out":
        assert answer.possible


def test_levels_whose_names_end_alike_are_told_apart() -> None:
    """`leaf` and `rack` divide the nodes alike, `super_leaf` and `super_rack` do not."""
    levels = {
        "leaf": [0, 0, 1, 1, 2, 2],
        "rack": [0, 0, 1, 1, 2, 2],
        "super_leaf": [0, 0, 0, 1, 1, 1],
        "super_rack": [0, 1, 1, 0, 0, 1],
    }
    given = problem(cluster([1, 1, 0, 1, 1, 1], [1] * 6, levels), pods=3)
    for terms in permutations(("domains_super_leaf", "domains_super_rack", "domains_leaf", "domains_rack")):
        assert _agrees(replace(given, terms=terms), 0)
