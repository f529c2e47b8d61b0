"""The fewest whose eviction makes room: exact, by implicit hitting sets.

A set of occupants is a *correction* when, with everybody else gone but not one of these, the
gang still does not fit: one of them must go. The smallest set that hits all corrections
found so far is a lower bound; when the gang fits without it, it is the answer, and
otherwise it grows into another correction (Davies and Bacchus, MaxHS, 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.placement.changes import Asker, Occupant, without
from scheduler.placement.problem import PlacementProblem


@dataclass(frozen=True, slots=True, eq=False)
class Victims:
    """Who would have to go; `least` is the proven least number of victims, equal to theirs when optimal.

    A gang counts as one victim; among equally few the ones with fewer pods, then by name.
    """

    occupants: tuple[Occupant, ...]
    least: int

    @property
    def proof(self) -> str:
        return "optimal" if len(self.occupants) == self.least else "gap"


def fewest_victims(problem: PlacementProblem, occupants: Sequence[Occupant], asker: Asker) -> Victims | None:
    """The fewest occupants whose end lets the gang fit; None when not even all of them would do."""
    everyone = sorted(occupants, key=lambda one: (len(one.use), one.name))
    if not asker.fits(without(everyone)(problem)):
        return None
    corrections: list[frozenset[int]] = []
    chosen: list[int] = []
    while asker.left > 0 and not asker.unsure:
        chosen = _smallest_hitting(corrections, everyone)
        if asker.fits(without([everyone[at] for at in chosen])(problem)):
            return Victims(tuple(everyone[at] for at in chosen), len(chosen))
        corrections.append(_correction(problem, everyone, chosen, asker))
    return Victims(tuple(everyone), len(chosen))


def _correction(
    problem: PlacementProblem, everyone: Sequence[Occupant], gone: Sequence[int], asker: Asker
) -> frozenset[int]:
    """Occupants of whom one must go: what is left when as many as possible go and it still does not fit."""
    out = set(gone)
    for at in range(len(everyone)):
        if at in out or asker.left <= 0:
            continue
        if not asker.fits(without([everyone[i] for i in sorted({*out, at})])(problem)):
            out.add(at)
    return frozenset(range(len(everyone))) - out


def _smallest_hitting(corrections: Sequence[frozenset[int]], everyone: Sequence[Occupant]) -> list[int]:
    """The fewest occupants with one of every correction; then the fewest pods, then those that come first."""
    if not corrections:
        return []
    model = cp_model.CpModel()
    used = sorted(frozenset().union(*corrections))
    goes = {at: model.new_bool_var(f"v{at}") for at in used}
    for one in corrections:
        model.add_at_least_one(goes[at] for at in sorted(one))
    weight = 1 + sum(len(everyone[at].use) for at in used)
    model.minimize(sum((weight + len(everyone[at].use)) * var for at, var in goes.items()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
    status = solver.solve(model)
    assert status == cp_model.OPTIMAL
    return [at for at, var in goes.items() if solver.value(var)]
