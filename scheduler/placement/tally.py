"""Whether a gang in tree form fits, kept up to date while occupants leave and nodes return.

An explanation asks thousands of times whether the gang would fit if this or that were otherwise.
What one occupant takes touches a few nodes, and the capacity of the domains above them; the rest
of the cluster need not be looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scheduler.placement.changes import Occupant, usable, without
from scheduler.placement.problem import PlacementProblem, slots
from scheduler.placement.tree import parents, tree_form


class Tally:
    """The capacity of every domain. `fits`: whether the whole gang would fit now.

    Taking something away twice, or putting back what is there, is a mistake of the caller.
    """

    def __init__(self, problem: PlacementProblem, occupants: Sequence[Occupant], tree: _Tree) -> None:
        shape = problem.shapes[int(problem.shape_of[0])]
        self._asked = [(row, amount) for row, amount in enumerate(shape.requests.tolist()) if amount]
        self._free = {row: problem.cluster.free[row].tolist() for row, _ in self._asked}
        self._may, self._ever = shape.eligible.tolist(), shape.ever.tolist()
        self._pods, self._tree = problem.pods, tree
        self._uses = {id(one): self._use(one) for one in occupants}
        self._room = [0] * problem.cluster.size
        self._total = [[0] * count for count in tree.counts]
        self._sum = self._whole = 0
        for node, room in enumerate(slots(problem, int(problem.shape_of[0])).tolist()):
            if room:
                self._add(node, room)

    @property
    def fits(self) -> bool:
        """As `dp.fits` of the problem with what is away taken out of it."""
        return self._whole > 0 if self._tree.sizes[0] == self._pods else self._sum >= self._pods

    def leave(self, one: Occupant) -> None:
        """An occupant no longer runs."""
        self._change(one, 1)

    def come_back(self, one: Occupant) -> None:
        """An occupant runs again."""
        self._change(one, -1)

    def open(self, node: int) -> None:
        """A node may be used again, by pods that may ever run there."""
        if self._ever[node]:
            self._may[node] = True
            self._recount(node)

    def close(self, node: int) -> None:
        """A node is out of use."""
        self._may[node] = False
        self._recount(node)

    def _use(self, one: Occupant) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
        """Per node what an occupant takes there, by row, of what the gang asks for."""
        found: dict[int, list[int]] = {}
        for node, vector in one.use:
            amounts = found.setdefault(node, [0] * len(self._asked))
            for at, (row, _) in enumerate(self._asked):
                amounts[at] += int(vector[row])
        rows = [row for row, _ in self._asked]
        return tuple((node, tuple(zip(rows, amounts, strict=True))) for node, amounts in found.items())

    def _change(self, one: Occupant, sign: int) -> None:
        for node, amounts in self._uses[id(one)]:
            for row, amount in amounts:
                self._free[row][node] += sign * amount
            if self._may[node]:
                self._recount(node)

    def _recount(self, node: int) -> None:
        room = 0
        if self._may[node]:
            room = min([self._pods, *(self._free[row][node] // amount for row, amount in self._asked)])
        self._add(node, max(room, 0) - self._room[node])

    def _add(self, node: int, more: int) -> None:
        """So many more pods have room on a node; what that means for the domains above it."""
        domain = self._tree.home[node]
        if not more or domain < 0:
            return
        self._room[node] += more
        for level in range(len(self._total) - 1, -1, -1):
            size, totals = self._tree.sizes[level], self._total[level]
            before = totals[domain]
            totals[domain] = before + more
            was, now = before // size * size, (before + more) // size * size
            more = now - was
            if not more:
                return
            if level:
                domain = self._tree.parent[level][domain]
        self._sum += more
        self._whole += (now >= self._pods) - (was >= self._pods)


@dataclass(frozen=True, slots=True)
class _Tree:
    """`home`: node to domain of the finest level (-1: outside); `parent[level]`: domain to domain of the
    level above; `sizes[level]`: pods per indivisible block; `counts[level]`: domains."""

    home: list[int]
    parent: list[list[int]]
    sizes: tuple[int, ...]
    counts: list[int]


def tally(
    problem: PlacementProblem, occupants: Sequence[Occupant], nodes: Sequence[int] = ()
) -> Tally | None:
    """The tally of a problem with everything in place, for these occupants, and nodes that are out of
    use; None when the problem is no tree once all of them are taken away."""
    form = tree_form(usable(list(nodes))(without(occupants)(problem)))
    if form is None:
        return None
    levels = form.levels
    tree = _Tree(
        home=levels[-1].domain_of.tolist(),
        parent=[[], *(parents(fine, coarse).tolist() for coarse, fine in pairwise(levels))],
        sizes=form.step,
        counts=[level.domains for level in levels],
    )
    return Tally(problem, occupants, tree)
