"""Who has to move so that a blocked gang fits: the fewest units of its resource, in steps that are each safe.

Free capacity is there, but scattered. Every domain that the gang could be gathered in is a target;
a cover of what is missing there, by the cheapest occupants per unit, bounds its price from below.
Targets are looked at in the order of this bound, each exactly (an integer model in which occupants
may leave), until none can be cheaper. Whoever leaves is then placed again, one after the other,
beside the room that is kept for the gang; a set whose members find no new place is ruled out and the
next one tried. An occupant moves as a whole, since a gang restarts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations

import numpy as np

from scheduler.placement.changes import Occupant, without
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Bool,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    allowed,
    asked,
    taken,
)

Again = Callable[[Occupant], PlacementProblem | None]
"""The problem of placing an occupant anew, on the cluster as it is; None for what may not move."""

MOST_NODES = 1000
"""Larger targets are cut down to the nodes that are cheapest to clear: an answer then has no proof."""

MOST_SETS, MOST_ORDERS = 20, 24
"""Sets of occupants tried per target, and orders in which they are moved."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One occupant's move: its new node per pod (int32[pods], in rank order of its own problem)."""

    occupant: Occupant
    amount: int
    problem: PlacementProblem
    nodes: Int32


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Steps in order; after each of them every gang is whole and within its rules. `amount`: units of
    the gang's primary resource that move; `least`: the proven least; `gang`: where it then fits."""

    steps: tuple[Step, ...]
    amount: int
    least: int
    gang: Assignment

    @property
    def proof(self) -> str:
        return "optimal" if self.amount == self.least else "gap"


def defragment(
    problem: PlacementProblem, occupants: Sequence[Occupant], again: Again, limits: Limits
) -> Moves | None:
    """The moves of the least amount that make room; None when moving cannot help, or nothing was found."""
    search = _Search(problem, occupants, again, limits)
    if search.free < search.asked:
        return None
    best: Moves | None = None
    least: list[int] = []  # of every target that was looked into
    for bound, target in search.targets():
        if best is not None and bound >= best.amount:
            break
        found, at_least = search.inside(target, bound=bound, below=None if best is None else best.amount)
        least.append(at_least)
        best = found or best
    return None if best is None else replace(best, least=min(best.amount, *least))


def gathered(problem: PlacementProblem) -> tuple[int, int]:
    """Units of the primary resource that the gang asks for, and that are free where its pods may run: moving
    frees none in all."""
    free = problem.cluster.free[problem.primary][allowed(problem)]
    return int(asked(problem)[problem.primary]), int(np.maximum(free, 0).sum())


class _Search:
    """One blocked gang among its occupants."""

    def __init__(
        self, problem: PlacementProblem, occupants: Sequence[Occupant], again: Again, limits: Limits
    ) -> None:
        self.problem, self.again = problem, again
        self.occupants = sorted(occupants, key=lambda one: one.name)
        self.limits = replace(limits, deterministic_s=limits.refine_s)
        self.amounts = [_amount(one, problem.primary) for one in self.occupants]
        self.on_node: dict[int, list[int]] = {}
        for at, one in enumerate(self.occupants):
            for node in {node for node, _ in one.use}:
                self.on_node.setdefault(node, []).append(at)
        self.asked, self.free = gathered(problem)
        self.may = allowed(problem)

    def targets(self) -> list[tuple[int, Bool]]:
        """(least amount that must leave, nodes) of what the gang could be gathered in, cheapest first."""
        wishes = [rule.required for rule in self.problem.rules if rule.scope == "gang" and rule.required]
        if not wishes:
            return [(0, self.may)]
        level = wishes[0][-1]
        domains = self.problem.cluster.domain_of(level)
        found = []
        for domain in np.unique(domains[self.may]).tolist():
            nodes = self.may & (domains == domain)
            bound = self._least(nodes)
            if bound is not None:
                found.append((bound, domain, nodes))
        return [(bound, nodes) for bound, _, nodes in sorted(found, key=lambda one: one[:2])]

    def _least(self, nodes: Bool) -> int | None:
        """A bound from below: what is missing, covered by whole occupants as if they could be cut
        (the fractional knapsack); None when not even all of them would do."""
        row, inside = self.problem.primary, np.flatnonzero(nodes)
        missing = self.asked - int(np.maximum(self.problem.cluster.free[row, inside], 0).sum())
        if missing <= 0:
            return 0
        here = sorted({at for node in inside.tolist() for at in self.on_node.get(node, ())})
        gains = [
            (sum(int(v[row]) for node, v in self.occupants[at].use if nodes[node]), self.amounts[at])
            for at in here
        ]
        price = 0.0
        for gain, amount in sorted((pair for pair in gains if pair[0]), key=lambda pair: pair[1] / pair[0]):
            part = min(gain, missing)
            price, missing = price + amount * part / gain, missing - part
            if missing <= 0:
                return int(np.ceil(price - 1e-9))
        return None

    def inside(self, target: Bool, *, bound: int, below: int | None) -> tuple[Moves | None, int]:
        """The best moves found that clear this target, cheaper than `below`; and the least that any
        such moves can cost."""
        from scheduler.placement.cover import Cover  # noqa: PLC0415  (loads CP-SAT, only where needed)

        nodes, whole = self._cut(target)
        cover = Cover(self.problem, self.occupants, self.amounts, self.on_node, nodes)
        least: int | None = None if whole else bound
        for _ in range(MOST_SETS):
            chosen, proven = cover.cheapest(below=below, limit_s=self.limits.deterministic_s)
            price = sum(self.amounts[at] for at in chosen or ())
            if least is None:  # the first set tells: those behind it are not cheaper
                least = bound if not proven else price if chosen is not None else below or bound
            if chosen is None:
                break
            found = self._moved(chosen)
            if found is not None:
                return found, least
            cover.exclude(chosen)
        return None, bound if least is None else least

    def _cut(self, target: Bool) -> tuple[Bool, bool]:
        """The target, or of a large one the nodes that are cheapest to clear."""
        inside = np.flatnonzero(target)
        if inside.size <= MOST_NODES:
            return target, True
        price = np.array([sum(self.amounts[at] for at in self.on_node.get(n, ())) for n in inside.tolist()])
        kept = np.zeros(len(target), dtype=np.bool_)
        kept[inside[np.lexsort((inside, price))[:MOST_NODES]]] = True
        return kept, False

    def _moved(self, chosen: Sequence[int]) -> Moves | None:
        """New places for the chosen, one after the other beside the room kept for the gang; None when
        they do not all find one in any order tried."""
        leaving = [self.occupants[at] for at in chosen]
        anew = [self.again(one) for one in leaving]
        gang = place(without(leaving)(self.problem), limits=self.limits)
        if isinstance(gang, Rejection) or any(one is None for one in anew):
            return None
        by_size = sorted(range(len(leaving)), key=lambda at: (-self.amounts[chosen[at]], leaving[at].name))
        for order in islice(permutations(by_size), MOST_ORDERS):
            steps = self._steps([(leaving[at], anew[at], self.amounts[chosen[at]]) for at in order], gang)
            if steps is not None:
                return Moves(steps, sum(step.amount for step in steps), 0, gang)
        return None

    def _steps(
        self, moves: Sequence[tuple[Occupant, PlacementProblem | None, int]], gang: Assignment
    ) -> tuple[Step, ...] | None:
        free = dict(zip(self.problem.cluster.resources, self.problem.cluster.free.copy(), strict=True))
        kept = taken(self.problem, gang.nodes)
        found: list[Step] = []
        for one, problem, amount in moves:
            assert problem is not None
            _add(free, self.problem.cluster.resources, one)  # its own room is free again while it moves
            mine = replace(problem, cluster=replace(problem.cluster, free=_rows(problem, free, kept)))
            answer = place(mine, limits=self.limits)
            if isinstance(answer, Rejection):
                return None
            for name, amount_there in taken(problem, answer.nodes).items():
                free[name] = free.get(name, np.zeros_like(amount_there)) - amount_there
            found.append(Step(one, amount, problem, answer.nodes))
        return tuple(found)


def _amount(one: Occupant, primary: int) -> int:
    """Units of the primary resource that move with an occupant; at least 1, for no move is free."""
    return max(sum(int(vector[primary]) for _, vector in one.use), 1)


def _add(free: dict[str, Int64], resources: tuple[str, ...], one: Occupant) -> None:
    for node, vector in one.use:
        for row, amount in enumerate(vector.tolist()):
            free[resources[row]][node] += amount


def _rows(problem: PlacementProblem, free: dict[str, Int64], kept: dict[str, Int64]) -> Int64:
    """The free room of a problem's resources, less what is kept."""
    return np.stack(
        [
            free.get(name, problem.cluster.free[row]) - kept.get(name, 0)
            for row, name in enumerate(problem.cluster.resources)
        ]
    )
