"""The fewest whose eviction makes room, by implicit hitting sets; target by target where the gang needs one.

A set of occupants is a *correction* when, with everybody else gone but not one of these, the
gang still does not fit: one of them must go. The smallest set that hits all corrections
found so far is a lower bound; when the gang fits without it, it is the answer, and
otherwise it grows into another correction (Davies and Bacchus, MaxHS, 2011).

A gang that must be inside one domain makes room in one: each domain is a target of its own, and
what is missing there, covered by the largest occupants, bounds its victims from below. Targets are
looked into in the order of this bound until none can be better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.changes import Asker, Occupant, without
from scheduler.placement.problem import Bool, Int64, PlacementProblem, allowed, asked
from scheduler.placement.tally import Tally, tally

MOST_ROUNDS, MOST_TRIES = 60, 20_000
"""Corrections that are gathered for one target, and occupants that are tried for them, before an answer
with a gap is given."""

HITTING_S = 0.1
"""Deterministic seconds for the smallest set that hits the corrections."""

Price = tuple[int, int]
"""Victims, and their pods."""


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
    best: Victims | None = None
    least: list[int] = []  # of the targets that were looked into
    for bound, nodes in _targets(problem, everyone):
        if best is not None and (bound >= _price(best.occupants) or asker.left <= 0):
            least.append(bound[0])  # the bounds only rise from here
            break
        found = _inside(problem, everyone, nodes, bound[0], asker)
        if found is not None:
            least.append(found.least)
            if best is None or _price(found.occupants) < _price(best.occupants):
                best = found
    if best is None:
        return Victims(tuple(everyone), 0)
    return replace(best, least=min(len(best.occupants), *least))


def _price(victims: Sequence[Occupant]) -> Price:
    return len(victims), sum(len(one.use) for one in victims)


def _targets(problem: PlacementProblem, everyone: Sequence[Occupant]) -> list[tuple[Price, Bool]]:
    """(least victims and pods, nodes) of what the gang could be gathered in, the cheapest first."""
    may = allowed(problem)
    may[problem.fixed[problem.fixed >= 0]] = True
    levels = [level for rule in problem.rules if rule.scope == "gang" for level in rule.required]
    if not levels:
        return [(_bound(problem, everyone, may), may)]
    domains = problem.cluster.domain_of(levels[-1])
    running = np.unique(domains[problem.fixed[problem.fixed >= 0]])
    wanted = running if running.size else np.unique(domains[may])
    gains = _gains(problem, everyone, domains)
    free = np.where(may, np.maximum(problem.cluster.free[problem.primary], 0), 0)
    room = np.bincount(domains, weights=free).astype(np.int64)
    missing = int(asked(problem)[problem.primary]) - room
    found = [(_cover(gains.get(d, []), int(missing[d])), d) for d in wanted.tolist()]
    possible = sorted((bound, d) for bound, d in found if bound is not None)
    return [(bound, may & (domains == d)) for bound, d in possible]


def _gains(
    problem: PlacementProblem, everyone: Sequence[Occupant], domains: Int64 | np.ndarray
) -> dict[int, list[Price]]:
    """Per domain (units that an occupant would free there, its pods) of everyone who runs in it."""
    found: dict[int, list[Price]] = {}
    may = allowed(problem)
    for one in everyone:
        own: dict[int, int] = {}
        for node, vector in one.use:
            if may[node]:
                domain = int(domains[node])
                own[domain] = own.get(domain, 0) + int(vector[problem.primary])
        for domain, units in own.items():
            found.setdefault(domain, []).append((units, len(one.use)))
    return found


def _bound(problem: PlacementProblem, everyone: Sequence[Occupant], nodes: Bool) -> Price:
    free = int(np.maximum(problem.cluster.free[problem.primary, nodes], 0).sum())
    missing = int(asked(problem)[problem.primary]) - free
    gains = _gains(problem, everyone, np.zeros(problem.cluster.size, dtype=np.int64))
    return _cover(gains.get(0, []), missing) or (0, 0)


def _cover(gains: Sequence[Price], missing: int) -> Price | None:
    """At least so many victims, and so many pods of victims, free what is missing; None: not even all."""
    if missing <= 0:
        return 0, 0
    units = np.cumsum(sorted((gain for gain, _ in gains), reverse=True))
    if not len(units) or units[-1] < missing:
        return None
    victims, pods = int(np.searchsorted(units, missing)) + 1, 0.0
    for gain, own in sorted((pair for pair in gains if pair[0]), key=lambda pair: pair[1] / pair[0]):
        part = min(gain, missing)
        pods, missing = pods + own * part / gain, missing - part
        if missing <= 0:
            break
    return victims, int(np.ceil(pods - 1e-9))


def _inside(
    problem: PlacementProblem, everyone: Sequence[Occupant], nodes: Bool, bound: int, asker: Asker
) -> Victims | None:
    """The fewest victims that make room on some nodes; None when not even all of them would."""
    shapes = tuple(replace(one, eligible=one.eligible & nodes) for one in problem.shapes)
    there = [one for one in everyone if any(nodes[node] for node, _ in one.use)]
    room = _Room(replace(problem, shapes=shapes), there, asker)
    corrections: list[frozenset[int]] = []
    least = bound
    for _ in range(min(MOST_ROUNDS, MOST_TRIES // max(len(there), 1))):
        chosen = _smallest_hitting(corrections, there)
        if chosen is None:
            break
        least = max(least, len(chosen))
        room.only_away(chosen)
        if room.fits():
            return Victims(tuple(there[at] for at in chosen), min(least, len(chosen)))
        correction = _correction(room, len(there))
        if not correction:
            return None
        corrections.append(correction)
        if asker.left <= 0 or asker.unsure:
            break
    return _some(room, there, least)


def _some(room: _Room, there: Sequence[Occupant], least: int) -> Victims | None:
    """Victims of whom none can be spared, the smallest spared first; not proven to be the fewest."""
    room.only_away(range(len(there)))
    if not room.fits():
        return None
    for at in range(len(there)):
        room.back(at)
        if not room.fits():
            room.leave(at)
    return Victims(tuple(there[at] for at in sorted(room.away)), min(least, len(room.away)))


class _Room:
    """Whether a gang fits while some occupants are away; counted where it is a tree, else solved."""

    def __init__(self, problem: PlacementProblem, occupants: Sequence[Occupant], asker: Asker) -> None:
        self._problem, self._occupants, self._asker = problem, occupants, asker
        self._counts: Tally | None = tally(problem, occupants)
        self.away: set[int] = set()

    def fits(self) -> bool:
        if self._counts is not None:
            return self._counts.fits
        return self._asker.fits(without([self._occupants[at] for at in sorted(self.away)])(self._problem))

    def leave(self, at: int) -> None:
        self.away.add(at)
        if self._counts is not None:
            self._counts.leave(self._occupants[at])

    def back(self, at: int) -> None:
        self.away.discard(at)
        if self._counts is not None:
            self._counts.come_back(self._occupants[at])

    def only_away(self, wanted: Iterable[int]) -> None:
        """These are away, and nobody else."""
        want = set(wanted)
        for at in sorted(self.away - want):
            self.back(at)
        for at in sorted(want - self.away):
            self.leave(at)


def _correction(room: _Room, occupants: int) -> frozenset[int]:
    """Occupants of whom one must go: what is left when as many as possible go and it still does not fit."""
    for at in range(occupants):
        if at not in room.away:
            room.leave(at)
            if room.fits():
                room.back(at)
    return frozenset(range(occupants)) - room.away


def _smallest_hitting(
    corrections: Sequence[frozenset[int]], everyone: Sequence[Occupant]
) -> list[int] | None:
    """The fewest occupants with one of every correction; then the fewest pods, then those that come first.
    None when that takes too long."""
    if not corrections:
        return []
    model = cp_model.CpModel()
    used = sorted(frozenset().union(*corrections))
    goes = {at: model.new_bool_var(f"v{at}") for at in used}
    for one in corrections:
        model.add_at_least_one(goes[at] for at in sorted(one))
    weight, last = 1 + sum(len(everyone[at].use) for at in used), 1 + sum(used)
    model.minimize(sum(((weight + len(everyone[at].use)) * last + at) * var for at, var in goes.items()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
    solver.parameters.max_deterministic_time = HITTING_S
    if solver.solve(model) != cp_model.OPTIMAL:
        return None
    return [at for at, var in goes.items() if solver.value(var)]
