"""Policies reorder and drop terms; whatever the order, the answer is the brute force optimum of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.model import InvalidInput
from scheduler.placement.check import violations
from scheduler.placement.place import place
from scheduler.placement.policy import (
    BUILT_IN,
    PRESETS,
    Policy,
    is_pattern,
    ordered,
    policy_named,
    without_strays,
)
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
    ("text", "good"),
    [
        ("broken_*", True),
        ("domains_rack", True),
        ("nodes", True),
        ("brokn_*", False),
        ("3*domains_rack + 1*left_rack", True),
        ("3*dmains_rack", False),
        ("replicas_sharing_rack", True),
    ],
)
def test_patterns(text: str, good: bool) -> None:
    assert is_pattern(text) is good


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("domains_rak", "did you mean domains_rack?"),
        ("domains_foo*", "the levels are spine, rack"),
        ("3*nodes + 1*left_foo", "the levels are spine, rack"),
        ("preferred_gangs_rack", "did you mean preferred_gang_rack?"),
        ("replicas_sharing_leaf", "the levels are spine, rack"),
        ("domains_*", ""),
        ("broken_ra*", ""),
        ("preferred_*_rack", ""),
        ("left_node", ""),
        ("nodes_broken", ""),
        ("*", ""),
    ],
)
def test_terms_of_levels_that_are_not_there_are_faults(text: str, wanted: str) -> None:
    for policy in (Policy("own", first=(text,)), Policy("own", drop=(text,))):
        if not wanted:
            assert without_strays(policy, LEVELS) is policy
            continue
        with pytest.raises(InvalidInput) as told:
            without_strays(policy, LEVELS)
        (fault,) = told.value.faults
        assert fault.value == text
        assert wanted in fault.wanted


LEVEL_NAMES = ("leaf", "rack")


def _random_front(rng: np.random.Generator) -> tuple[str, ...]:
    """Replica terms and weighted sums in some order."""
    some = [
        "replicas_sharing_rack",
        "replica_domains_*",
        "3*domains_leaf + 2*domains_rack",
        "2*broken_rack + 1*nodes",
        "1*replicas_sharing_leaf + 2*domains_rack",
        "1*left_leaf + 5*domains_rack",
    ]
    return tuple(rng.permutation(some)[: int(rng.integers(1, 4))].tolist())


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
        if seed % 5 == 4:
            terms = ordered(Policy("own", first=_random_front(rng)), case.terms, LEVEL_NAMES)
        case = replace(case, terms=terms)
        truth, answer = oracle.best(case), place(case)
        assert isinstance(answer, Assignment) == (truth is not None), seed
        if isinstance(answer, Assignment):
            feasible += 1
            assert violations(case, answer.nodes) == ()
            assert tuple(term.value for term in answer.terms) == truth, (seed, terms)
    assert feasible > 60


def test_spread_packs_each_replica_and_parts_the_replicas() -> None:
    front = ordered(BUILT_IN["spread"], TERMS, LEVELS)[:5]
    assert front == (*TERMS[:2], "replica_domains_spine", "replica_domains_rack", "replicas_sharing_rack")


def test_a_weighted_sum_names_only_what_the_cluster_has() -> None:
    own = Policy("own", first=("3*domains_rack + 1*left_leaf",))
    assert ordered(own, TERMS, LEVELS)[0] == "3*domains_rack"
