"""Which gangs of a batch ask for the same, and what each can have at best, in closed form."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from scheduler.placement.problem import PlacementProblem
from scheduler.placement.prune import largest
from scheduler.placement.tree import TreeForm, tree_form

Kind = tuple[object, ...]


def kind_of(problem: PlacementProblem) -> Kind:
    """Equal for problems that have the same answer: all but the gang's name and what is told of it."""
    cluster = problem.cluster
    shapes = tuple(
        (one.requests.tobytes(), one.eligible.tobytes(), one.ever.tobytes()) for one in problem.shapes
    )
    rules = tuple(
        (one.scope, one.role, one.block_of.tobytes(), one.required, one.preferred) for one in problem.rules
    )
    apart = tuple((one.level, one.party_of.tobytes(), one.lone.tobytes()) for one in problem.apart)
    arrays = (problem.shape_of, problem.stage_of, problem.replica_of, problem.fixed)
    own = tuple(one.tobytes() for one in arrays)
    names = (cluster.resources, problem.primary, problem.terms, problem.excluded)
    return (id(cluster.free), id(cluster.partitions), id(cluster.total), shapes, rules, apart, own, names)


class Floor:
    """Lower bounds on one gang's terms, alone on its cluster, by the size of domains only."""

    def __init__(self, problem: PlacementProblem, names: tuple[str, ...]) -> None:
        self._problem, self._names = problem, names
        self._least: dict[str, int | None] = {}

    @cached_property
    def form(self) -> TreeForm | None:
        """The problem as a tree, if it is one."""
        return tree_form(self._problem)

    @cached_property
    def vector(self) -> tuple[int, ...]:
        """A lower bound on every named term: as many domains as the largest must be, else 0."""
        return tuple(
            self.least(name.removeprefix("domains_"), 0) if name.startswith("domains_") else 0
            for name in self._names
        )

    def least(self, level: str, other: int) -> int:
        """The fewest domains of a level that hold the gang's pods, wherever they are; `other` where
        the gang has no tree form or does not fit."""
        if level not in self._least:
            self._least[level] = self._fewest(level)
        found = self._least[level]
        return other if found is None else found

    def _fewest(self, level: str) -> int | None:
        form, pods = self.form, self._problem.pods
        capacity = form.capacity[form.position(level)] if form is not None else np.zeros(0, dtype=np.int64)
        return largest(capacity, pods) if int(capacity.sum()) >= pods else None
