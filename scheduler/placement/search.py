"""Lexicographic search with CP-SAT: one term after the other, each fixed before the next."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ortools.sat.python import cp_model


class Search:
    """The solver's budget and its best answer so far.

    Deterministic: one worker, a fixed seed, and limits in deterministic seconds, which count
    work and not time. `unknown` after a search that neither found nor ruled out anything;
    `out_of_time` once a term stayed unproven.
    """

    def __init__(self, model: cp_model.CpModel, limit_s: float) -> None:
        self._model, self._left_s = model, limit_s
        self._values: list[int] = []
        self.unknown = False
        self.out_of_time = False

    def feasible(self, hints: Mapping[cp_model.IntVar, int]) -> bool:
        """Whether any answer exists; it becomes the best one."""
        for variable, value in hints.items():
            self._model.add_hint(variable, value)
        status, _ = self._solve()
        self.unknown = status == cp_model.UNKNOWN
        return status in (cp_model.OPTIMAL, cp_model.FEASIBLE)

    def minimise(self, expression: cp_model.LinearExprT, *, least: int) -> tuple[int, int]:
        """(value, proven bound) of an expression under all fixed so far; then fixes the value. `least`: a
        value that it cannot be below, so that nothing is left to search where it is reached."""
        if not isinstance(expression, cp_model.LinearExpr):
            return int(expression), int(expression)
        value = self.evaluate(expression)
        settled = value <= least and self._knows(expression)
        bound = value if settled else self._bounded(expression, value)
        value = self.evaluate(expression)
        self._model.add(expression <= value)
        return value, bound

    def _knows(self, expression: cp_model.LinearExpr) -> bool:
        """Whether the best answer has a value for every variable: none is younger than it."""
        return all(variable.index < len(self._values) for variable in cp_model.FlatIntExpr(expression).vars)

    def _bounded(self, expression: cp_model.LinearExpr, value: int) -> int:
        """Improve the best answer for an expression; the proven bound."""
        if self._left_s <= 0:
            self.out_of_time = True
            return 0
        self._hint()
        self._model.minimize(expression)
        status, bound = self._solve()
        self._model.clear_objective()  # type: ignore[no-untyped-call]
        if status == cp_model.OPTIMAL:
            return self.evaluate(expression)
        self.out_of_time = True
        return min(max(math.ceil(bound - 1e-6), 0), value)

    def least(self, expression: cp_model.LinearExprT, *, at_most: int) -> int:
        """The proven least of an expression on its own, not above `at_most`."""
        if not isinstance(expression, cp_model.LinearExpr):
            return min(int(expression), at_most)
        self._model.minimize(expression)
        status, bound = self._solve()
        self._model.clear_objective()  # type: ignore[no-untyped-call]
        found = self.evaluate(expression) if status == cp_model.OPTIMAL else math.ceil(max(bound, 0) - 1e-6)
        return min(found, at_most)

    def prefer(self, expression: cp_model.LinearExprT, *, limit_s: float) -> None:
        """Among answers that are equal so far, one with a small value of an expression: as good as can
        be found in so much work, without a proof."""
        if self._left_s <= 0 or not isinstance(expression, cp_model.LinearExpr):
            return
        saved, self._left_s = self._left_s, min(limit_s, self._left_s)
        self._hint()
        self._model.minimize(expression)
        self._solve()
        self._model.clear_objective()  # type: ignore[no-untyped-call]
        self._left_s = saved

    def value(self, variable: cp_model.IntVar) -> int:
        """A variable in the best answer."""
        return self._values[variable.index]

    def evaluate(self, expression: cp_model.LinearExprT) -> int:
        """An expression in the best answer; variables younger than it count as 0."""
        if not isinstance(expression, cp_model.LinearExpr):
            return int(expression)
        flat = cp_model.FlatIntExpr(expression)
        known = len(self._values)
        return int(flat.offset) + sum(
            int(coefficient) * (self._values[variable.index] if variable.index < known else 0)
            for variable, coefficient in zip(flat.vars, flat.coeffs, strict=True)
        )

    def _hint(self) -> None:
        self._model.clear_hints()  # type: ignore[no-untyped-call]
        for index, value in enumerate(self._values):
            self._model.add_hint(self._model.get_int_var_from_proto_index(index), value)

    def _solve(self) -> tuple[int, float]:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        # Measured on gangs of three shapes over 1,000 nodes: three times faster to the proof. Nodes are
        # classes already, so there is little symmetry to find.
        solver.parameters.linearization_level = 2
        solver.parameters.symmetry_level = 0
        solver.parameters.cp_model_probing_level = 0
        solver.parameters.max_deterministic_time = max(self._left_s, 0.0)
        status = solver.solve(self._model)
        self._left_s -= solver.response_proto.deterministic_time
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            self._values = list(solver.response_proto.solution)
        return int(status), solver.best_objective_bound
