"""An answer that is known, as values of the variables of the model of flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.cuts import Cut, Cuts, cutting
from scheduler.placement.divisions import Class
from scheduler.placement.flows import Domain, Whole
from scheduler.placement.problem import Int32

Hints = dict[cp_model.IntVar, int]
Pieces = dict[int, dict[int, int]]
"""Per gang and domain of the finest level the units there."""


def hints(whole: Whole, shown: Mapping[int, Int32]) -> Hints:
    """A value for every variable; `shown`: int32[pods] per gang that is placed, its nodes."""
    found: Hints = {}
    classes: dict[int, Class] = {}
    pieces: Pieces = {}
    for kind, own in enumerate(whole.classes):
        gangs = [gang for gang in whole.stakes.kinds[kind].gangs if gang in shown]
        found[whole.stakes.placed[kind]] = len(gangs)
        for gang in gangs:
            domains = np.bincount(whole.nest.domain_of[shown[gang]]) * whole.nest.times[kind]
            used = np.flatnonzero(domains)
            pieces[gang] = dict(zip(used.tolist(), (domains[used] // whole.nest.unit).tolist(), strict=True))
            classes[gang] = own
    assert whole.root is not None
    return found | _hint_domain(whole, whole.root, (0, 0), pieces, classes)


def _hint_domain(
    whole: Whole,
    domain: Domain,
    where: tuple[int, int],
    pieces: Pieces,
    classes: Mapping[int, Class],
) -> Hints:
    """How the pieces in a domain are cut, and what the domains inside take of them."""
    level, at = where
    found: Hints = {}
    inside = whole.nest.inside[level].get(at, [])
    room = whole.nest.room[level]
    held = {gang: _by_domain(whole, level, own) for gang, own in pieces.items()}
    most = max((int(room[one]) for one in inside), default=0)
    for own, cuts in domain.pieces.items():
        found |= _hint_cuts(cuts, [list(held[gang].values()) for gang in held if classes[gang] == own], most)
    if domain.division is not None:
        needs = max((size for cuts in domain.pieces.values() for size in cuts.ends), default=0)
        filled: Counter[Cut] = Counter()
        for one in inside:
            parts = sorted((own[one] for own in held.values() if one in own), reverse=True)
            left = int(room[one]) - sum(parts)
            filled.update(cutting([*parts, left] if left else parts, needs))
        return found | {one: filled[pair] for pair, one in domain.division.filled.items()}
    for one, inner in domain.inside.items():
        counted = Counter((classes[gang], own[one]) for gang, own in held.items() if one in own)
        for own, some in inner.taken.items():
            found |= {many: counted[own, size] for size, many in some.items()}
        below = {
            gang: {finest: units for finest, units in own.items() if _around(whole, level, finest) == one}
            for gang, own in pieces.items()
            if one in held[gang]
        }
        found |= _hint_domain(whole, inner, (level + 1, one), below, classes)
    return found


def _hint_cuts(cuts: Cuts, parts: list[list[int]], most: int) -> Hints:
    made: Counter[Cut] = Counter()
    ends: Counter[int] = Counter()
    for own in parts:
        made.update(cutting(sorted(own, reverse=True), most))
        ends.update(own)
    found = {one: made[pair] for pair, one in cuts.cut.items()}
    return found | {one: ends[size] for size, one in cuts.ends.items()}


def _by_domain(whole: Whole, level: int, own: Mapping[int, int]) -> dict[int, int]:
    """Units per domain of a level."""
    found: dict[int, int] = {}
    for finest, units in own.items():
        domain = _around(whole, level, finest)
        found[domain] = found.get(domain, 0) + units
    return found


def _around(whole: Whole, level: int, finest: int) -> int:
    first = whole.nest.levels[-1].first[finest]
    return int(whole.nest.levels[level].domain_of[first])
