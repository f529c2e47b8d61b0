"""Pieces of gangs divided over the domains of one level that lie in one domain, told apart by room only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.placement.cuts import Cut, Cuts, Expr, cut_up, fill, split
from scheduler.placement.search import Search

Key = tuple[int, ...]
Class = tuple[tuple[Key, ...], tuple[int, ...]]
"""Pieces that are alike: what they count at every level, and in multiples of what they are cut there."""

Things = dict[Class, dict[int, list[int]]]
"""The gangs that pieces belong to, by class and size."""


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """`cuts`: per class how its pieces are cut; `filled`: how the room is; `rooms`: per amount of room the
    domains, the first by name last."""

    cuts: dict[Class, Cuts]
    filled: dict[Cut, cp_model.IntVar]
    rooms: dict[int, list[int]]

    def dealt(self, search: Search, things: Things) -> dict[int, list[tuple[Class, int, int]]]:
        """Per domain the pieces it holds in the best answer: class, size and gang."""
        rooms = cut_up(self.rooms, {pair: search.value(one) for pair, one in self.filled.items()})
        found: dict[int, list[tuple[Class, int, int]]] = {}
        for own, some in things.items():
            pieces = cut_up(some, {pair: search.value(one) for pair, one in self.cuts[own].cut.items()})
            for size, gangs in pieces.items():
                for gang in gangs:
                    found.setdefault(rooms[size].pop(), []).append((own, size, gang))
        return found


def divide(
    model: cp_model.CpModel,
    pieces: Mapping[Class, Mapping[int, Expr]],
    room: Mapping[int, int],
    *,
    level: int,
    total: int,
) -> Division:
    """The pieces (per class and size: how many) cut over domains with so much `room` each, at a level of
    the nest; `total`: what all pieces add up to at most."""
    most = max(room.values(), default=0)
    cuts = {
        own: split(model, some, step=own[1][level], most=most, total=total) for own, some in pieces.items()
    }
    needs: dict[int, Expr] = {}
    for one in cuts.values():
        for size, many in one.ends.items():
            needs[size] = needs.get(size, 0) + many
    rooms: dict[int, list[int]] = {}
    for domain, units in sorted(room.items(), reverse=True):
        rooms.setdefault(units, []).append(domain)
    return Division(cuts, fill(model, Counter(room.values()), needs), rooms)


def as_things(pieces: list[tuple[Class, int, int]]) -> Things:
    """Pieces (class, size, gang) by class and size; those of one gang as one."""
    sums: Counter[tuple[Class, int]] = Counter()
    for own, size, gang in pieces:
        sums[own, gang] += size
    found: Things = {}
    for (own, gang), size in sorted(sums.items(), key=lambda item: item[0][1]):
        found.setdefault(own, {}).setdefault(size, []).append(gang)
    return found
