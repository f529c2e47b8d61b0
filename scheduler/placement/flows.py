"""The model of flows of a batch on nested levels: its variables, and what they say of every gang."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from ortools.sat.python import cp_model

from scheduler.placement.cuts import Cuts, Expr, count_partings, cut_up, split, summed
from scheduler.placement.descent import Levels
from scheduler.placement.divisions import Class, Division, Key, Things, divide
from scheduler.placement.nesting import Nest
from scheduler.placement.rivals import Stakes
from scheduler.placement.search import Search

MOST_CUTS = 2_500
"""Batches of more cuts than this are not modelled."""


@dataclass(slots=True, eq=False)
class Domain:
    """The flows in one domain: how its pieces are cut, and how they fill the domains inside, by name
    or, in the finest level, by room."""

    pieces: dict[Class, Cuts]
    inside: dict[int, Domain] = field(default_factory=dict)
    taken: dict[Class, dict[int, cp_model.IntVar]] = field(default_factory=dict)
    division: Division | None = None


class Whole:
    """The model of all levels."""

    def __init__(self, stakes: Stakes, nest: Nest) -> None:
        self.stakes, self.nest, self.finest = stakes, nest, len(nest.levels) - 1
        levels = Levels.of(stakes, nest)
        self.level_at, self.classes = levels.names, levels.classes
        sized = list(zip(nest.sizes, stakes.kinds, strict=True))
        self.total = sum(size * len(kind.gangs) for size, kind in sized)
        self.ends: dict[tuple[int, Class], list[Expr]] = {}
        self.used: dict[tuple[str, Key], Expr] = {}
        self.root: Domain | None = None

    def built(self) -> bool:
        """Make the model; False, and nothing made, where it would be too large."""
        if any(size > MOST_CUTS for size in accumulate(self._sizes())):
            return False
        pieces: dict[Class, dict[int, Expr]] = {}
        for own, size, placed in zip(self.classes, self.nest.sizes, self.stakes.placed, strict=True):
            some = pieces.setdefault(own, {})
            some[size] = some.get(size, 0) + placed
        self.root = self._domain(0, 0, pieces)
        for (at, own), many in self.ends.items():
            if at in self.level_at:
                place = (self.level_at[at], own[0][at])
                self.used[place] = self.used.get(place, 0) + summed(many)
        self._count_units()
        return True

    def _count_units(self) -> None:
        """At a level where every unit uses as many domains as any other, units tell the domains used."""
        for level in set(self.stakes.levels().values()) - set(self.level_at.values()):
            for kind, size, placed in zip(
                self.stakes.kinds, self.nest.sizes, self.stakes.placed, strict=True
            ):
                place = (level, self.stakes.key(kind, level))
                self.used[place] = self.used.get(place, 0) + size * self.nest.nodes * placed

    def _sizes(self) -> Iterator[int]:
        """About how many cuts there are, domain by domain."""
        largest: dict[Class, int] = {}
        for own, size in zip(self.classes, self.nest.sizes, strict=True):
            largest[own] = max(size, largest.get(own, 0))
        for at, by_domain in enumerate(self.nest.inside):
            for inside in by_domain.values():
                room = self.nest.room[at][inside]
                most = int(room.max(initial=0))
                for (_, steps), size in largest.items():
                    if steps[at]:
                        yield count_partings(
                            range(steps[at], min(size, int(room.sum())) + 1, steps[at]), most
                        )
                if at == self.finest:
                    yield count_partings(range(1, most + 1), min(most, max(largest.values())))

    def _domain(self, level: int, domain: int, pieces: Mapping[Class, Mapping[int, Expr]]) -> Domain:
        """What lies in a domain (level 0: in the cluster), cut over the domains of `level` inside it."""
        inside, room = self.nest.inside[level].get(domain, []), self.nest.room[level]
        model, total = self.stakes.model, min(int(room[inside].sum()), self.total)
        if level == self.finest:
            division = divide(model, pieces, {at: int(room[at]) for at in inside}, level=level, total=total)
            found = Domain(division.cuts, division=division)
        else:
            most = max((int(room[at]) for at in inside), default=0)
            found = Domain(
                {
                    own: split(model, some, step=own[1][level], most=most, total=total)
                    for own, some in pieces.items()
                }
            )
        for own, cuts in found.pieces.items():
            self.ends.setdefault((level, own), []).extend(cuts.ends.values())
        if level == self.finest:
            return found
        taken = {at: self._taken(found, int(room[at])) for at in inside}
        for own, cuts in found.pieces.items():
            for size, many in cuts.ends.items():
                inner = summed(one[own][size] for one in taken.values() if size in one[own])
                self.stakes.model.add(inner == many)
        for at, own_pieces in taken.items():
            found.inside[at] = self._domain(level + 1, at, own_pieces)
            found.inside[at].taken = own_pieces
        return found

    def _taken(self, around: Domain, room: int) -> dict[Class, dict[int, cp_model.IntVar]]:
        """How many pieces of each class and size a domain with so much room takes."""
        model = self.stakes.model
        found = {
            own: {size: model.new_int_var(0, room // size, "") for size in cuts.ends if size <= room}
            for own, cuts in around.pieces.items()
        }
        model.add(sum(size * many for some in found.values() for size, many in some.items()) <= room)
        return found

    def slots(self, search: Search) -> dict[int, dict[int, int]]:
        """Per gang and domain of the finest level, the slots of the best answer."""
        things: Things = {}
        kinds = zip(self.classes, self.nest.sizes, self.stakes.kinds, self.stakes.placed, strict=True)
        for own, size, kind, placed in kinds:
            things.setdefault(own, {}).setdefault(size, []).extend(kind.gangs[: search.value(placed)])
        shares: dict[int, dict[int, int]] = {}
        assert self.root is not None
        self._spread(search, self.root, things, (0, 0), shares)
        return shares

    def _spread(
        self,
        search: Search,
        domain: Domain,
        things: Things,
        where: tuple[int, int],
        shares: dict[int, dict[int, int]],
    ) -> None:
        """Give every piece in a domain a domain inside it; in the finest level, note who is where."""
        level, _ = where
        if domain.division is not None:
            for seat, pieces in domain.division.dealt(search, things).items():
                for _, size, gang in pieces:
                    share = shares.setdefault(gang, {})
                    share[seat] = share.get(seat, 0) + size * self.nest.unit
            return
        waiting = {
            own: cut_up(some, {pair: search.value(one) for pair, one in domain.pieces[own].cut.items()})
            for own, some in things.items()
        }
        for inner, one in domain.inside.items():
            given = {
                own: {
                    size: [waiting[own][size].pop() for _ in range(search.value(many))]
                    for size, many in some.items()
                }
                for own, some in one.taken.items()
                if own in waiting
            }
            self._spread(search, one, given, (level + 1, inner), shares)
