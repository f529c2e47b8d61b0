"""Policies reorder and drop terms; whatever the order, the answer is the brute force optimum of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.model import InvalidInput
from scheduler.placement.check import violations
from scheduler.placement.place import place
from scheduler.placement.policy import BUILT_IN, PRESETS, Policy, is_pattern, ordered, policy_named
from scheduler.placement.problem import Assignment
from tests.placement import oracle
from tests.placement.instances import random_general_problem, random_problem, random_whole_nodes

TERMS = (
    "tp_crossings",
    "preferred_gang_rack",
    "domains_spine",
    "domains_rack",
    "broken_spine",
    "broken_rack",
    "nodes",
)
LEVELS = ("spine", "rack")


def test_the_default_changes_nothing() -> None:
    assert ordered(BUILT_IN["pack"], TERMS, LEVELS) == TERMS


def test_presets_put_their_terms_in_front_and_wishes_before_them() -> None:
    assert ordered(BUILT_IN["keep-holes"], TERMS, LEVELS)[:4] == (*TERMS[:2], "broken_spine", "broken_rack")
    assert ordered(BUILT_IN["latency"], TERMS, LEVELS)[2:5] == ("nodes", "domains_rack", "domains_spine")


def test_own_orders_and_dropped_terms() -> None:
    own = Policy("own", first=("domains_rack",), drop=("broken_*", "nodes"))
    assert ordered(own, TERMS, LEVELS) == (
        "domains_rack",
        "tp_crossings",
        "preferred_gang_rack",
        "domains_spine",
    )


def test_unknown_policies_name_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'latency'"):
        policy_named("latncy", BUILT_IN, owner="gang default/g")
    assert policy_named("", BUILT_IN, owner="gang default/g").name == "pack"


@pytest.mark.parametrize(
    ("text", "good"), [("broken_*", True), ("domains_rack", True), ("nodes", True), ("brokn_*", False)]
)
def test_patterns(text: str, good: bool) -> None:
    assert is_pattern(text) is good


@pytest.mark.parametrize("make", [random_problem, random_general_problem, random_whole_nodes])
def test_any_order_of_terms_is_solved_exactly(make: object) -> None:
    feasible = 0
    for seed in range(150):
        rng = np.random.default_rng(50_000 + seed)
        case = make(rng)  # type: ignore[operator]
        if seed % 2:
            policy = BUILT_IN[PRESETS[seed % len(PRESETS)]]
            terms = ordered(policy, case.terms, tuple(p.name for p in case.cluster.partitions))
        else:
            terms = tuple(rng.permutation(case.terms)[: int(rng.integers(1, len(case.terms) + 1))].tolist())
        case = replace(case, terms=terms)
        truth, answer = oracle.best(case), place(case)
        assert isinstance(answer, Assignment) == (truth is not None), seed
        if isinstance(answer, Assignment):
            feasible += 1
            assert violations(case, answer.nodes) == ()
            assert tuple(term.value for term in answer.terms) == truth, (seed, terms)
    assert feasible > 60
