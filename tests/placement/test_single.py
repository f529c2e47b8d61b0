"""One pod: the short table against the dynamic program, answer for answer, and against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.placement.costs import tree_terms
from scheduler.placement.objective import evaluate
from scheduler.placement.place import _on_tree, place
from scheduler.placement.policy import BUILT_IN, ordered
from scheduler.placement.problem import Assignment, PlacementProblem, frozen
from scheduler.placement.single import solve_single
from scheduler.placement.tree import tree_form
from tests.placement import oracle
from tests.placement.instances import cluster, problem, random_general_problem


def one_pod(rng: np.random.Generator) -> PlacementProblem:
    """A pod on up to 12 nodes, some of them not usable or not eligible, under any preset."""
    size = int(rng.integers(1, 13))
    leaf = np.sort(rng.integers(0, 3, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size))
    nvlink = np.arange(size) if rng.random() < 0.5 else rack * 10 + rng.integers(0, 2, size)
    total = rng.choice([2, 4, 8], size)
    free = np.where(rng.random(size) < 0.4, total, np.minimum(rng.integers(-1, 9, size), total))
    levels = {"leaf": leaf.tolist(), "rack": rack.tolist(), "nvlink": nvlink.tolist()}
    made = problem(
        cluster(free.tolist(), total.tolist(), levels),
        pods=1,
        gpus=int(rng.integers(1, 4)),
        required={"gang": str(rng.choice(["leaf", "rack"]))} if rng.random() < 0.3 else {},
        preferred={"gang": str(rng.choice(["leaf", "rack"]))} if rng.random() < 0.3 else {},
        tp=int(rng.integers(0, 2)),
    )
    usable = rng.random(size) < 0.8
    shape = replace(made.shapes[0], eligible=frozen(usable & (rng.random(size) < 0.9), np.bool_))
    policy = BUILT_IN[str(rng.choice(sorted(BUILT_IN)))]
    return replace(
        made,
        cluster=replace(made.cluster, usable=usable),
        shapes=(shape,),
        terms=ordered(policy, made.terms, tuple(levels), pods=1),
    )


def test_the_table_answers_as_the_dynamic_program_does() -> None:
    placed = 0
    for seed in range(600):
        given = one_pod(np.random.default_rng(seed))
        form = tree_form(given)
        assert form is not None
        expected, found = _on_tree(given, form, tree_terms(given, form)), solve_single(given)
        if expected is None:
            assert found is None, seed
            continue
        placed += 1
        assert found is not None, seed
        assert found.nodes.tolist() == expected.nodes.tolist(), seed
        assert (found.terms, found.proof, found.levels) == (expected.terms, "optimal", expected.levels), seed
    assert placed > 300


def test_levels_that_do_not_nest_are_no_matter() -> None:
    placed = 0
    for seed in range(1500):
        given = random_general_problem(np.random.default_rng(seed))
        found = solve_single(given)
        if found is None:
            continue
        placed += 1
        assert evaluate(given, found.nodes) == oracle.best(given), seed
        assert tuple(term.value for term in found.terms) == oracle.best(given), seed
    assert placed > 100


NAMES = ("nodes_broken", "domains_leaf", "imbalance_leaf", "left_node", "spent_node")


@pytest.mark.parametrize("name", NAMES)
def test_every_term_is_valued_as_the_objective_values_it(name: str) -> None:
    given = replace(one_pod(np.random.default_rng(3)), terms=(name,))
    answer = place(given)
    assert isinstance(answer, Assignment)
    assert tuple(term.value for term in answer.terms) == evaluate(given, answer.nodes)
