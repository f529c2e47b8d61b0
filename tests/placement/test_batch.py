"""Batches against brute force: what is placed, what it costs, and that nothing false is called proven."""

from __future__ import annotations

import os
from itertools import product

import numpy as np
import pytest

from scheduler.model import Code
from scheduler.placement import rounds
from scheduler.placement.batch import BatchAnswer, place_batch
from scheduler.placement.check import violations
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, PlacementProblem, Rejection
from scheduler.placement.rounds import Work
from tests.placement import oracle
from tests.placement.instances import cluster, problem
from tests.placement.shares import assert_share

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400")) // 4
SUMMED = ("tp_crossings", "preferred_gang_rack", "domains_leaf", "domains_rack")


def random_batch(rng: np.random.Generator) -> list[PlacementProblem]:
    """Two or three gangs, five pods in all at most, on up to five nodes, which often do not hold them all."""
    size = int(rng.integers(3, 6))
    leaf = np.sort(rng.integers(0, 2, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size))
    nodes = cluster(
        rng.integers(0, 4, size).tolist(), [3] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()}
    )
    found = []
    for pods in [(1, 2, 2), (2, 3), (2, 2), (1, 1, 3), (1, 2, 1)][int(rng.integers(0, 5))]:
        wishes = {"required": {"gang": "rack"}} if rng.random() < 0.4 else {}
        if rng.random() < 0.3:
            wishes["preferred"] = {"gang": "rack"}
        found.append(
            problem(nodes, pods=pods, gpus=int(rng.integers(1, 3)), **wishes)  # type: ignore[arg-type]
        )
    return found


def used(problems: list[PlacementProblem], answers: tuple[Assignment | Rejection, ...]) -> list[int]:
    load = [0] * problems[0].cluster.size
    for one, answer in zip(problems, answers, strict=True):
        if isinstance(answer, Assignment):
            for node in answer.nodes.tolist():
                load[node] += int(one.shapes[0].requests[0])
    return load


def amount(one: PlacementProblem) -> int:
    return one.pods * int(one.shapes[0].requests[0])


def brute(problems: list[PlacementProblem], terms: list[str], *, in_order: bool = False) -> tuple[int, ...]:
    """The least (unplaced, summed terms...) over every way to place some of the gangs; with `in_order`
    whether the first is placed counts before all else, then the second, and so on."""
    options: list[list[tuple[int, ...] | None]] = []
    for one in problems:
        facts = oracle._Facts(one)
        legal = [n for n in product(range(one.cluster.size), repeat=one.pods) if facts.legal(n)]
        options.append([None, *legal])
    free = problems[0].cluster.free[0].tolist()
    best: tuple[tuple[bool, ...], tuple[int, ...]] | None = None
    for choice in product(*options):
        load = [0] * len(free)
        for one, nodes in zip(problems, choice, strict=True):
            for node in nodes or ():
                load[node] += int(one.shapes[0].requests[0])
        if any(have > may for have, may in zip(load, free, strict=True)):
            continue
        unplaced = sum(amount(one) for one, nodes in zip(problems, choice, strict=True) if nodes is None)
        sums = [
            sum(
                oracle._Facts(one)._value(term, nodes)
                for one, nodes in zip(problems, choice, strict=True)
                if nodes is not None and term in one.terms
            )
            for term in terms
        ]
        first = tuple(nodes is None for nodes in choice) if in_order else ()
        value = (first, (unplaced, *sums))
        best = value if best is None or value < best else best
    assert best is not None
    return best[1]


def check(problems: list[PlacementProblem], found: BatchAnswer) -> None:
    for one, answer in zip(problems, found.answers, strict=True):
        if isinstance(answer, Assignment):
            assert violations(one, answer.nodes) == ()
    free = problems[0].cluster.free[0].tolist()
    assert all(have <= may for have, may in zip(used(problems, found.answers), free, strict=True))


def test_batches_against_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = optimal = 0
    for seed in range(INSTANCES):
        problems = random_batch(np.random.default_rng(seed))
        found = place_batch(problems, limits=Limits(), in_order=False)
        check(problems, found)
        names = [term.term for term in found.terms[1:]]
        truth = brute(problems, names)
        values = tuple(term.value for term in found.terms)
        for term, least in zip(found.terms, truth, strict=False):
            assert term.bound <= least, (seed, term)
            if term.value != least:
                break
        assert values >= truth[: len(values)], seed
        if found.proof == "optimal":
            optimal += 1
            assert values == truth[: len(values)], seed
        whole += all(isinstance(answer, Assignment) for answer in found.answers)
    print(f"{whole} feasible, {INSTANCES - whole} infeasible as a whole; {optimal} proven")
    assert_share(whole, of=INSTANCES, least=0.25, most=0.95)
    assert_share(optimal, of=INSTANCES, least=0.75)


def test_the_order_given_means_nothing() -> None:
    for seed in range(INSTANCES // 4):
        problems = random_batch(np.random.default_rng(1_000_000 + seed))
        one = place_batch(problems, limits=Limits(), in_order=False)
        other = place_batch(problems[::-1], limits=Limits(), in_order=False)
        if one.proof == other.proof == "optimal":
            assert [term.value for term in one.terms] == [term.value for term in other.terms], seed


def test_in_order_nobody_gives_way_to_those_behind() -> None:
    """Each is placed if it can be beside those before it, wherever they then are: against brute force."""
    optimal = more = whole = 0
    for seed in range(INSTANCES):
        problems = random_batch(np.random.default_rng(2_000_000 + seed))
        found = place_batch(problems, limits=Limits(), in_order=True)
        check(problems, found)
        values = tuple(term.value for term in found.terms)
        truth = brute(problems, [term.term for term in found.terms[1:]], in_order=True)
        assert truth >= tuple(term.bound for term in found.terms), seed
        assert found.proof != "optimal" or values == truth, seed
        optimal += values == truth
        first = Work(problems, Limits(), 1).round(range(len(problems)))
        placed = [isinstance(answer, Assignment) for answer in found.answers]
        before = [isinstance(answer, Assignment) for answer in first.answers]
        assert placed >= before, seed
        more += placed > before
        whole += all(placed)
    print(f"{whole} feasible, {INSTANCES - whole} infeasible as a whole; {optimal} optimal")
    print(f"in {more} a gang is placed that finds no place one after another")
    assert_share(optimal, of=INSTANCES, least=0.95)
    assert_share(whole, of=INSTANCES, least=0.25, most=0.95)
    assert more > 0


def test_in_order_a_gang_is_placed_that_finds_no_place_behind_the_others() -> None:
    """Racks of three and four free nodes, and gangs of two, three and two that must be in one rack each."""
    nodes = cluster([8] * 7, [8] * 7, {"leaf": [0] * 7, "rack": [0] * 3 + [1] * 4})
    for sizes in ((2, 3, 2), (2, 2, 3), (3, 2, 2)):
        problems = [problem(nodes, pods=pods, gpus=8, required={"gang": "rack"}) for pods in sizes]
        found = place_batch(problems, limits=Limits(), in_order=True, rounds=2)
        assert all(isinstance(answer, Assignment) for answer in found.answers), sizes
        assert found.proof == "optimal"


def test_without_rounds_nothing_is_called_proven_that_was_not_tried() -> None:
    nodes = cluster([8] * 7, [8] * 7, {"leaf": [0] * 7, "rack": [0] * 3 + [1] * 4})
    problems = [problem(nodes, pods=pods, gpus=8, required={"gang": "rack"}) for pods in (2, 3, 2)]
    found = place_batch(problems, limits=Limits(), in_order=True, rounds=0)
    assert [isinstance(answer, Assignment) for answer in found.answers] == [True, True, False]
    assert (found.proof, found.terms[0].value, found.terms[0].bound) == ("gap", 16, 0)


@pytest.mark.parametrize("in_order", [False, True])
def test_a_gang_that_runs_out_of_time_is_not_counted_as_one_that_cannot_be_placed(
    in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = cluster([8] * 4, [8] * 4, {"leaf": [0] * 4})
    problems = [problem(nodes, pods=pods, gpus=8) for pods in (1, 2)]

    def slow(one: PlacementProblem, *, limits: Limits) -> Assignment | Rejection:
        if one.pods == 2:
            return Rejection(Code.TIMED_OUT, "", possible=True, proof="timed_out", needed=2)
        return place(one, limits=limits)

    monkeypatch.setattr(rounds, "place", slow)
    found = place_batch(problems, limits=Limits(), in_order=in_order, rounds=1)
    assert [isinstance(answer, Assignment) for answer in found.answers] == [True, False]
    assert (found.proof, found.terms[0].value, found.terms[0].bound) == ("gap", 16, 0)


def test_in_order_finds_the_places_that_one_after_another_misses() -> None:
    """Racks of three and four nodes, gangs of two, three and two that would rather be in one rack each."""
    nodes = cluster([8] * 7, [8] * 7, {"leaf": [0] * 7, "rack": [0] * 3 + [1] * 4})
    problems = [problem(nodes, pods=pods, gpus=8, preferred={"gang": "rack"}) for pods in (2, 3, 2)]
    found = place_batch(problems, limits=Limits(), in_order=True)
    assert found.proof == "optimal"
    assert all(isinstance(a, Assignment) and a.terms[0].value == 0 for a in found.answers)
    first = Work(problems, Limits(), 1).round(range(3))
    assert sum(a.terms[0].value for a in first.answers if isinstance(a, Assignment)) == 1


def test_scarcity_places_the_most() -> None:
    """Four free nodes: a gang of two and one of two fit, but not beside a gang of three that came first."""
    nodes = cluster([8] * 4, [8] * 4, {"leaf": [0] * 4})
    problems = [problem(nodes, pods=pods, gpus=8) for pods in (3, 2, 2)]
    found = place_batch(problems, limits=Limits(), in_order=False)
    assert [isinstance(answer, Assignment) for answer in found.answers] == [False, True, True]
    assert (found.terms[0].term, found.terms[0].value, found.terms[0].bound) == ("unplaced", 24, 24)
    kept = place_batch(problems, limits=Limits(), in_order=True)
    assert [isinstance(answer, Assignment) for answer in kept.answers] == [True, False, False]
