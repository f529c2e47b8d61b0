"""The solver against brute force on small random problems, and against itself under renaming."""

from __future__ import annotations

import os

import numpy as np

from scheduler.placement.check import violations
from scheduler.placement.objective import evaluate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Rejection
from tests.placement import oracle
from tests.placement.instances import random_problem

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
    assert feasible > INSTANCES // 4, "too few feasible instances to mean anything"
    assert infeasible > INSTANCES // 20, "too few infeasible instances to mean anything"
    assert proven > feasible * 8 // 10, f"only {proven} of {feasible} answers are proven"


def _bounds_hold(answer: Assignment, truth: tuple[int, ...], seed: int) -> None:
    """As long as the answer keeps pace with the optimum, no bound may exceed it."""
    for term, least in zip(answer.terms, truth, strict=True):
        assert term.bound <= least, (seed, term, least)
        if term.value != least:
            return
