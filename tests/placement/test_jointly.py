"""The common bound of a batch and its model of flows, against brute force and against each other."""

from __future__ import annotations

import os

import numpy as np
import pytest

from scheduler.placement.batch import place_batch
from scheduler.placement.check import violations
from scheduler.placement.cuts import count_partings, cut_up, partings
from scheduler.placement.flows import Whole
from scheduler.placement.hints import hints
from scheduler.placement.jointly import best_together, good_together
from scheduler.placement.nesting import Nest, nested
from scheduler.placement.objective import evaluate
from scheduler.placement.problem import Assignment, Limits, PlacementProblem
from scheduler.placement.rivals import Stakes, least_together
from scheduler.placement.rounds import Work
from scheduler.placement.search import Search
from scheduler.placement.seats import Shares, seated
from tests.placement.instances import cluster, problem
from tests.placement.shares import assert_share
from tests.placement.test_batch import amount, brute, used

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "400")) // 4


def small_batch(rng: np.random.Generator, *, shapes: int) -> list[PlacementProblem]:
    """Two or three gangs, six pods in all at most, on three to five nodes in two levels; pairs that must
    stay in a rack, gangs that must or would rather; `shapes`: pods of up to so many GPUs."""
    size = int(rng.integers(3, 6))
    leaf = np.sort(rng.integers(0, 2, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 3, size))
    nodes = cluster(
        rng.integers(0, 4, size).tolist(), [3] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()}
    )
    found, sizes = [], [(1, 2, 2), (2, 3), (2, 2), (1, 4), (1, 1, 3), (4, 2), (2, 2, 1)]
    gpus = int(rng.integers(1, 3))
    for pods in sizes[int(rng.integers(0, len(sizes)))]:
        wishes: dict[str, object] = {}
        if pods % 2 == 0 and rng.random() < 0.4:
            wishes = {"tp": 2, "required": {"tp": "rack"}}
        elif rng.random() < 0.3:
            wishes = {"required": {"gang": str(rng.choice(["rack", "leaf"]))}}
        if rng.random() < 0.3:
            wishes["preferred"] = {"gang": str(rng.choice(["rack", "leaf"]))}
        own = gpus if shapes == 1 else int(rng.integers(1, shapes + 1))
        found.append(problem(nodes, pods=pods, gpus=own, **wishes))  # type: ignore[arg-type]
    return found


def stakes(problems: list[PlacementProblem], *, all_placed: bool = False) -> Stakes:
    work = Work(problems, Limits(), 1)
    return Stakes(work.kinds(range(len(problems))), work.names, all_placed=all_placed)


def nest_of(one: Stakes) -> Nest | None:
    return nested(one.kinds, list(one.levels().values()))


def best(one: Stakes) -> Shares | None:
    nest = nest_of(one)
    return best_together(one, nest, limits=Limits(), shown={}) if nest is not None else None


def value(problems: list[PlacementProblem], shares: Shares, names: tuple[str, ...]) -> tuple[int, ...]:
    """(unplaced, terms...) of the nodes that shares lead to, which must be allowed and have room."""
    found = seated(shares, Work(problems, Limits(), 1).kinds(range(len(problems))))
    load = np.zeros(problems[0].cluster.size, dtype=np.int64)
    sums = np.zeros(len(names), dtype=np.int64)
    for at, nodes in found.items():
        assert violations(problems[at], nodes) == ()
        np.add.at(load, nodes, int(problems[at].shapes[0].requests[0]))
        terms = dict(zip(problems[at].terms, evaluate(problems[at], nodes), strict=True))
        sums += [terms.get(name, 0) for name in names]
    assert (load <= problems[0].cluster.free[0]).all()
    return (sum(amount(one) for at, one in enumerate(problems) if at not in found), *sums.tolist())


def test_the_flows_of_one_shape_are_the_optimum() -> None:
    whole = 0
    for seed in range(INSTANCES):
        problems = small_batch(np.random.default_rng(seed), shapes=1)
        one = stakes(problems)
        shares = best(one)
        assert shares is not None, seed
        truth = brute(problems, list(one.names))
        assert shares.values == shares.bounds == truth, seed
        assert value(problems, shares, one.names) == truth, seed
        whole += truth[0] == 0
    print(f"{whole} feasible, {INSTANCES - whole} infeasible as a whole")
    assert_share(whole, of=INSTANCES, least=0.25, most=0.95)


def test_the_flows_of_multiples_of_one_shape_are_the_optimum() -> None:
    """Pods of one, two and three GPUs on nodes with up to three: a node is where unlike pods meet."""
    asked = whole = solved = 0
    for seed in range(INSTANCES):
        problems = small_batch(np.random.default_rng(3_000_000 + seed), shapes=3)
        one = stakes(problems)
        shares = best(one)
        if shares is None:
            continue
        solved += 1
        truth = brute(problems, list(one.names))
        assert shares.values == shares.bounds == truth, seed
        assert value(problems, shares, one.names) == truth, seed
        asked += len({int(own.shapes[0].requests[0]) for own in problems}) > 1
        whole += truth[0] == 0
    print(f"{whole} feasible, {solved - whole} infeasible as a whole; {asked} with unlike pods")
    assert_share(asked, of=INSTANCES, least=0.2)
    assert_share(whole, of=INSTANCES, least=0.05, most=0.95)


def test_no_batch_is_better_than_the_common_bound() -> None:
    """Mixed shapes among them; and it is better than the gangs' own bounds often enough to be worth it."""
    tight = sharper = whole = 0
    for seed in range(INSTANCES):
        problems = small_batch(np.random.default_rng(5_000_000 + seed), shapes=3)
        one = stakes(problems)
        least, truth = least_together(one, limits=Limits()), brute(problems, list(one.names))
        assert least <= truth, seed
        work = Work(problems, Limits(), 1)
        own = work.bound(work.possible(), work.round(range(len(problems))))
        tight += least == truth
        whole += truth[0] == 0
        sharper += least > own
    print(f"{whole} feasible, {INSTANCES - whole} infeasible as a whole; {tight} tight, {sharper} sharper")
    assert_share(tight, of=INSTANCES, least=0.5)
    assert_share(sharper, of=INSTANCES, least=0.1)


@pytest.mark.parametrize(("gangs", "most"), [(8, 9), (12, 5), (20, 9), (20, 17)])
def test_larger_batches_hold_together_and_meet_their_bound(gangs: int, most: int) -> None:
    """Two spines of racks with uneven room; pairs in one rack each. What is proven is what is seen."""
    proven = 0
    for seed in range(4):
        draw = np.random.default_rng([gangs, most, seed])
        rack = np.repeat(np.arange(12), 8)
        free = np.where(draw.random(96) < np.repeat(draw.random(12), 8), 4, draw.integers(0, 4, 96))
        nodes = cluster(free.tolist(), [4] * 96, {"spine": (rack // 6).tolist(), "rack": rack.tolist()})
        sizes = (2 * draw.integers(1, most, gangs)).tolist()
        problems = [problem(nodes, pods=one, gpus=4, tp=2, required={"tp": "rack"}) for one in sizes]
        found = place_batch(problems, limits=Limits(), in_order=False)
        names = tuple(term.term for term in found.terms[1:])
        load = used(problems, found.answers)
        assert all(have <= may for have, may in zip(load, free.tolist(), strict=True))
        for one, answer in zip(problems, found.answers, strict=True):
            assert not isinstance(answer, Assignment) or violations(one, answer.nodes) == ()
        least = least_together(stakes(problems), limits=Limits())
        values = tuple(term.value for term in found.terms)
        assert least <= values
        proven += found.proof == "optimal"
        shares = best(stakes(problems))
        assert shares is not None
        assert shares.bounds <= values
        if shares.values == shares.bounds:
            assert value(problems, shares, names) == shares.values == values
    assert proven >= 3


@pytest.mark.parametrize("seed", range(6))
def test_a_known_answer_is_one_of_the_model(seed: int) -> None:
    """Its values for all variables keep every rule of the model, and give the terms that it has. What is
    divided level by level holds together, too."""
    draw = np.random.default_rng(seed)
    rack = np.repeat(np.arange(6), 5)
    levels = {"spine": (rack // 3).tolist(), "rack": rack.tolist()}
    nodes = cluster(draw.integers(0, 5, 30).tolist(), [4] * 30, levels)
    problems = [
        problem(nodes, pods=2 * int(pods), gpus=2, tp=2, required={"tp": "rack"})
        for pods in draw.integers(1, 7, 8)
    ]
    work = Work(problems, Limits(), 1)
    shown = work.round(range(8))
    one = stakes(problems)
    nest = nest_of(one)
    assert nest is not None
    whole = Whole(one, nest)
    assert whole.built()
    known = hints(whole, {at: shown.answers[at].nodes for at in shown.placed})  # type: ignore[union-attr]
    assert len(known) == len(one.model.proto.variables)
    for variable, number in known.items():
        one.model.add(variable == number)
    search = Search(one.model, 10)
    assert search.feasible({})
    terms = [one.unplaced(), *(one.term(name, whole.used) for name in one.names)]
    assert tuple(search.evaluate(term) for term in terms) == work.key(shown)
    divided = good_together(stakes(problems), nest, limits=Limits())
    assert divided is not None
    assert value(problems, divided, one.names) >= least_together(stakes(problems), limits=Limits())


def test_the_same_whatever_the_order_and_the_names() -> None:
    draw = np.random.default_rng(7)
    rack = np.repeat(np.arange(6), 6)
    free = draw.integers(0, 5, 36)
    nodes = cluster(free.tolist(), [4] * 36, {"spine": (rack // 3).tolist(), "rack": rack.tolist()})
    problems = [problem(nodes, pods=int(pods), gpus=2) for pods in draw.integers(2, 12, 12)]
    first = place_batch(problems, limits=Limits(), in_order=False)
    again = place_batch(problems, limits=Limits(), in_order=False)
    for one, other in zip(first.answers, again.answers, strict=True):
        if isinstance(one, Assignment):
            assert isinstance(other, Assignment)
            assert one.nodes.tolist() == other.nodes.tolist()
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(problems)).tolist()
        shuffled = place_batch([problems[at] for at in order], limits=Limits(), in_order=False)
        assert shuffled.terms == first.terms
        assert first.proof == "optimal"


def test_every_way_to_divide_is_a_flow_of_cuts() -> None:
    """Cutting by the pairs of `partings` alone reaches every partition of a size into pieces that fit."""
    for largest, most in [(7, 7), (9, 4), (12, 3)]:
        pairs = set(partings(range(1, largest + 1), most))
        assert len(pairs) == count_partings(range(1, largest + 1), most)
        reached = {(largest,)}
        waiting = [(largest,)]
        while waiting:
            pieces = waiting.pop()
            for at, size in enumerate(pieces):
                for part in (part for whole, part in pairs if whole == size):
                    new = tuple(sorted((*pieces[:at], *pieces[at + 1 :], part, size - part)))
                    if new not in reached:
                        reached.add(new)
                        waiting.append(new)
        assert {one for one in reached if max(one) <= most} == set(partitions(largest, most))


def partitions(number: int, most: int) -> list[tuple[int, ...]]:
    if number == 0:
        return [()]
    return [
        (*rest, part) for part in range(1, min(number, most) + 1) for rest in partitions(number - part, part)
    ]


def test_pieces_belong_to_what_they_were_cut_from() -> None:
    found = cut_up({5: ["a", "b"]}, {(5, 3): 2, (3, 2): 1})
    assert {size: len(own) for size, own in found.items() if own} == {1: 1, 2: 3, 3: 1}
    sums = {name: sum(size * own.count(name) for size, own in found.items()) for name in "ab"}
    assert sums == {"a": 5, "b": 5}
