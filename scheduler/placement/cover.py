"""Who must leave some nodes so that a gang fits there, at the least price: an integer model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.changes import Occupant, without
from scheduler.placement.counts import Counts
from scheduler.placement.problem import Bool, PlacementProblem
from scheduler.placement.units import reduce


class Cover:
    """The gang inside some nodes, with the occupants there free to leave, as an integer model."""

    def __init__(
        self,
        problem: PlacementProblem,
        occupants: Sequence[Occupant],
        amounts: Sequence[int],
        on_node: dict[int, list[int]],
        nodes: Bool,
    ) -> None:
        inside = {at for node in np.flatnonzero(nodes).tolist() for at in on_node.get(node, ())}
        self.names = sorted(inside)
        cleared = without([occupants[at] for at in self.names])(problem)
        shapes = tuple(replace(one, eligible=one.eligible & nodes) for one in problem.shapes)
        self._counts = Counts(
            replace(cleared, shapes=shapes), reduce(replace(cleared, shapes=shapes), apart=True)
        )
        self._goes = {at: self._counts.model.new_bool_var(f"goes{at}") for at in self.names}
        self._price: cp_model.LinearExprT = sum(amounts[at] * self._goes[at] for at in self.names)
        if not self._counts.hopeless:
            for c in range(len(self._counts.reduced.classes)):
                self._leave_room(problem, occupants, on_node, c)

    def _leave_room(
        self, problem: PlacementProblem, occupants: Sequence[Occupant], on_node: dict[int, list[int]], c: int
    ) -> None:
        """A node holds what is free there now and what those who go leave behind."""
        node = self._counts.reduced.classes[c].nodes[0]
        for row in range(len(problem.cluster.resources)):
            asked = [
                (int(problem.shapes[self._counts.reduced.units[u].shape].requests[row]), var)
                for u, var in self._counts.in_class(c)
            ]
            if not any(amount for amount, _ in asked):
                continue
            left = [
                (sum(int(v[row]) for n, v in occupants[at].use if n == node), self._goes[at])
                for at in on_node.get(node, ())
            ]
            free = int(problem.cluster.free[row, node])
            self._counts.model.add(
                sum(amount * var for amount, var in asked) <= free + sum(amount * var for amount, var in left)
            )

    def cheapest(self, *, below: int | None, limit_s: float) -> tuple[list[int] | None, bool]:
        """Who goes at the least price, under `below`, None when nobody can be found; and whether that
        is proven."""
        if self._counts.hopeless:
            return None, True
        model = self._counts.model
        if below is not None:
            model.add(self._price <= below - 1)
        model.minimize(self._price)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
        solver.parameters.max_deterministic_time = limit_s
        status = solver.solve(model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None, status == cp_model.INFEASIBLE
        return [at for at in self.names if solver.value(self._goes[at])], status == cp_model.OPTIMAL

    def exclude(self, chosen: Sequence[int]) -> None:
        """Another set than this one, since its members find no new place."""
        some = set(chosen)
        self._counts.model.add_bool_or(
            [self._goes[at].negated() if at in some else self._goes[at] for at in self.names]
        )
