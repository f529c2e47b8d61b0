"""Several gangs as one problem, for batches that are small enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from scheduler.placement.apart import ApartRule, beside_others
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    ScopeRule,
    ShapeDemand,
    taken,
)
from scheduler.placement.spent import TERM as SPENT

Numbered = tuple[int, PlacementProblem, int]
"""A gang's number in its batch, its problem, and its amount of the primary resource."""

MOST_GANGS, MOST_SETS = 8, 40
"""In batches of so many gangs, so many sets of them are asked whether they fit together."""


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """The gangs that are placed, with int32[pods] nodes each; `proven` when no more can be placed, and
    these not better by the summed terms."""

    nodes: dict[int, Int32]
    proven: bool


def solve_together(
    gangs: Sequence[Numbered], *, names: Sequence[str], limits: Limits, floor: int
) -> Together | None:
    """The most (by amount, at least `floor`) of these gangs that fit together, best by `names` summed
    over gangs; None when none of the sets that were asked is known to fit."""
    if SPENT in names:  # it is the price of one pod alone on its node
        return None
    certain = True
    for alike in _sets(gangs, floor):
        best: tuple[tuple[int, ...], dict[int, Int32]] | None = None
        for some in alike:
            answer = place(combine([problem for _, problem, _ in some], names), limits=limits)
            certain = certain and answer.proof in ("optimal", "proven")
            if isinstance(answer, Assignment):
                values = tuple(term.value for term in answer.terms)
                if best is None or values < best[0]:
                    best = values, _parts(some, answer.nodes)
        if best is not None:
            return Together(best[1], certain)
        if not certain:  # out of time: nothing more can be proven
            return None
    return None


def _parts(gangs: Sequence[Numbered], nodes: Int32) -> dict[int, Int32]:
    ends = np.cumsum([problem.pods for _, problem, _ in gangs])
    return {at: own for (at, _, _), own in zip(gangs, np.split(nodes, ends[:-1]), strict=True)}


def _sets(gangs: Sequence[Numbered], floor: int) -> Iterator[list[list[Numbered]]]:
    """Sets of gangs with at least the floor, by amount from the largest; of many gangs only the whole."""
    if len(gangs) > MOST_GANGS:
        yield [list(gangs)]
        return
    by_amount: dict[int, list[list[Numbered]]] = {}
    for size in range(len(gangs), 0, -1):
        for some in combinations(gangs, size):
            by_amount.setdefault(sum(amount for _, _, amount in some), []).append(list(some))
    asked = 0
    for amount in sorted(by_amount, reverse=True):
        asked += len(by_amount[amount])
        if amount < floor or asked > MOST_SETS:
            return
        yield by_amount[amount]


def combine(problems: Sequence[PlacementProblem], names: Sequence[str]) -> PlacementProblem:
    """One problem of all pods, gang after gang; all problems are of one snapshot of the cluster.

    An assignment of it is an assignment of each gang that leaves room for the others. The domains
    of every gang are counted for it alone: its `batch` block would rather stay in one of each level.
    """
    first = problems[0]
    resources = tuple(dict.fromkeys(name for one in problems for name in one.cluster.resources))
    cluster = replace(
        first.cluster,
        resources=resources,
        free=_rows([one.cluster.free for one in problems], problems, resources),
        total=_rows([one.cluster.total for one in problems], problems, resources),
    )
    levels = tuple(p.name for p in cluster.partitions)
    each = tuple(_own_rules(problems, at) for at in range(len(problems)))
    gangs = [next(rule for rule in own if rule.scope == "gang") for own in each]
    counted = [ScopeRule("batch", one.name, one.block_of, preferred=levels) for one in gangs]
    rules = (*(rule for own in each for rule in own), *counted)
    stage = np.concatenate([one.stage_of for one in problems])
    shapes = tuple(_widened(shape, one, resources) for one in problems for shape in one.shapes)
    kinds = [len(one.shapes) for one in problems]
    counts = [int(one.replica_of.max(initial=-1)) + 1 for one in problems]
    return PlacementProblem(
        gang=", ".join(one.gang for one in problems),
        cluster=cluster,
        shapes=shapes,
        shape_of=np.concatenate(_shifted([one.shape_of for one in problems], kinds)),
        rules=rules,
        stage_of=stage,
        replica_of=np.concatenate(_shifted([one.replica_of for one in problems], counts)),
        fixed=np.concatenate([one.fixed for one in problems]),
        primary=resources.index(first.cluster.resources[first.primary]),
        terms=tuple(dict.fromkeys(name.replace("domains_", "preferred_batch_", 1) for name in names)),
        excluded=first.excluded,
        apart=tuple(rule for at in range(len(problems)) for rule in _own_apart(problems, at)),
    )


def _own_apart(problems: Sequence[PlacementProblem], at: int) -> tuple[ApartRule, ...]:
    return beside_others(problems[at].apart, *_around(problems, at))


def _around(problems: Sequence[PlacementProblem], at: int) -> tuple[int, int]:
    """Pods of the gangs before and after one."""
    return sum(one.pods for one in problems[:at]), sum(one.pods for one in problems[at + 1 :])


def _own_rules(problems: Sequence[PlacementProblem], at: int) -> list[ScopeRule]:
    """The rules of one gang over the pods of all: others belong to no block of theirs."""
    before, after = _around(problems, at)
    return [
        replace(
            rule,
            name=f"{problems[at].gang} {rule.name}",
            block_of=np.pad(rule.block_of, (before, after), constant_values=-1),
        )
        for rule in problems[at].rules
    ]


def _shifted(values: Sequence[Int32], counts: Sequence[int]) -> list[Int32]:
    """Numbers of several gangs kept apart; -1 stays -1."""
    starts = np.cumsum([0, *counts[:-1]])
    return [
        np.where(own >= 0, own + start, -1).astype(np.int32)
        for own, start in zip(values, starts, strict=True)
    ]


def _rows(given: Sequence[Int64], problems: Sequence[PlacementProblem], resources: tuple[str, ...]) -> Int64:
    """int64[resources, nodes] with a row per resource that any of the problems names."""
    found = {
        name: rows[at]
        for rows, one in zip(given, problems, strict=True)
        for at, name in enumerate(one.cluster.resources)
    }
    return np.stack([found[name] for name in resources])


def _widened(shape: ShapeDemand, problem: PlacementProblem, resources: tuple[str, ...]) -> ShapeDemand:
    asked = dict(zip(problem.cluster.resources, shape.requests.tolist(), strict=True))
    return replace(shape, requests=np.array([asked.get(name, 0) for name in resources], dtype=np.int64))


def use(problem: PlacementProblem, nodes: Int32, used: dict[str, Int64]) -> None:
    """Add what a gang's new members take on their nodes."""
    for name, amount in taken(problem, nodes).items():
        used[name] = used[name] + amount if name in used else amount


def take_back(problem: PlacementProblem, nodes: Int32, used: dict[str, Int64]) -> None:
    """Take off again what `use` has added."""
    for name, amount in taken(problem, nodes).items():
        used[name] = used[name] - amount


def beside(problem: PlacementProblem, used: dict[str, Int64]) -> PlacementProblem:
    """The problem on what others leave."""
    free = problem.cluster.free.copy()
    for row, name in enumerate(problem.cluster.resources):
        if name in used:
            free[row] -= used[name]
    return replace(problem, cluster=replace(problem.cluster, free=free))
