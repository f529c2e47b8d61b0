"""A batch of one pod shape on nested levels as one model of flows: exact, and small.

Gangs are cut over the domains of the coarsest level, in each of them over those of the next, and in the
finest over its domains by how much room they have (cuts). Which gang a piece belongs to is settled
afterwards: pieces of one size are all alike. Two pieces of one gang in one domain count twice in the
model and once in truth; no optimum has such, so its optimum is the batch's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.contests import Kind, View, views_of
from scheduler.placement.cuts import Cuts, Expr, count_partings, cut_up, fill, split, summed
from scheduler.placement.problem import Int32, Int64, Limits
from scheduler.placement.rivals import Key, Stakes, level_of
from scheduler.placement.search import Search
from scheduler.placement.seats import Shares

MOST_CUTS = 2_500
"""Batches of more cuts than this are not modelled."""

Class = tuple[tuple[Key, ...], tuple[int, ...]]
"""Pieces that are alike: what they count at every level, and in multiples of what they are cut there."""


@dataclass(frozen=True, slots=True, eq=False)
class _Fabric:
    """Nested levels, coarse to fine: their names, int64[domains] of units each, and per level but the
    first the domain around each. `pods`: how many a unit is; `block`: how many of them stay on one node;
    `domain_of`: int32[nodes], of the finest."""

    names: tuple[str, ...]
    domain_of: Int32
    room: tuple[Int64, ...]
    around: tuple[Int64, ...]
    pods: int
    block: int

    def inside(self, level: int, domain: int) -> list[int]:
        """The domains of a level, with room, inside one of the level above."""
        there = self.room[level] > 0
        if level:
            there &= self.around[level - 1] == domain
        return np.flatnonzero(there).tolist()


@dataclass(slots=True, eq=False)
class _Domain:
    """The flows in one domain: how its pieces are cut, and how they fill the domains inside, by name
    or, in the finest level, by room."""

    pieces: dict[Class, Cuts]
    inside: dict[int, _Domain] = field(default_factory=dict)
    taken: dict[Class, dict[int, cp_model.IntVar]] = field(default_factory=dict)
    filled: dict[tuple[int, int], cp_model.IntVar] = field(default_factory=dict)


def best_together(stakes: Stakes, *, limits: Limits) -> Shares | None:
    """The best that gangs of one shape can have together; None where the batch has no such form, is too
    large, or nothing was found in time."""
    whole = _whole(stakes)
    if whole is None:
        return None
    search = Search(stakes.model, limits.deterministic_s)
    if not search.feasible({}):
        return None
    values, bounds, proven = [], [], True
    for term in [stakes.unplaced(), *(stakes.term(name, whole.used) for name in stakes.names)]:
        value, bound = search.minimise(term, least=0)
        values.append(value)
        bounds.append(bound if proven else 0)
        proven = proven and value == bound
    pods = whole.pods(search)
    return Shares(pods, whole.fabric.domain_of, whole.fabric.block, tuple(values), tuple(bounds))


def _whole(stakes: Stakes) -> _Whole | None:
    kinds = stakes.kinds
    views = views_of(kinds)
    if len(views) != 1 or any(kind.form is None or (kind.problem.stage_of > 0).any() for kind in kinds):
        return None
    if any(_wishes_elsewhere(kind) for kind in kinds) or any((one != 1).any() for one in views[0].takes):
        return None
    fabric = _fabric(kinds, views[0], [level for name in stakes.names if (level := level_of(name))])
    if fabric is None:
        return None
    whole = _Whole(stakes, fabric)
    return whole if whole.built() else None


def _wishes_elsewhere(kind: Kind) -> bool:
    """Whether a gang prefers something for blocks of its own, which the flows do not see."""
    return any(rule.preferred and rule.scope != "gang" for rule in kind.problem.rules)


def _fabric(kinds: Sequence[Kind], view: View, counted: Sequence[str]) -> _Fabric | None:
    forms = [kind.form for kind in kinds if kind.form is not None]
    form = forms[0]
    if any(other.levels != form.levels for other in forms):
        return None
    last, blocks = len(form.levels) - 1, {other.step[-1] for other in forms}
    deepest = max((form.position(level) for level in counted), default=0)
    # A block that must stay in a domain is cut no further than there; unlike blocks share nodes one by one.
    deepest = last if len(blocks) > 1 else max(deepest, last - 1)
    levels, block = form.levels[: deepest + 1], blocks.pop() if deepest < last else 1
    slots = view.slots // block
    pods = gcd(*(step for other in forms for step in other.step[: deepest + 1])) // block
    room, around = [], []
    for at, level in enumerate(levels):
        if (level.domain_of < 0).any():
            return None
        sums = np.bincount(level.domain_of, weights=slots, minlength=level.domains).astype(np.int64)
        room.append(sums // pods)
        if at:
            around.append(levels[at - 1].domain_of[level.first].astype(np.int64))
    for at in range(len(levels) - 1, 0, -1):  # what does not fit into the domains inside is no room
        room[at - 1] = np.bincount(around[at - 1], weights=room[at], minlength=len(room[at - 1])).astype(
            np.int64
        )
    names = tuple(level.names[0] for level in levels)
    return _Fabric(names, levels[-1].domain_of, tuple(room), tuple(around), pods * block, block)


class _Whole:
    """The model of all levels."""

    def __init__(self, stakes: Stakes, fabric: _Fabric) -> None:
        self.stakes, self.fabric = stakes, fabric
        self.classes = [self._class(kind) for kind in stakes.kinds]
        self.sizes = [kind.problem.pods // fabric.pods for kind in stakes.kinds]
        self.largest = {
            one: max(size for own, size in zip(self.classes, self.sizes, strict=True) if own == one)
            for one in self.classes
        }
        self.total = sum(size * len(kind.gangs) for size, kind in zip(self.sizes, stakes.kinds, strict=True))
        self.ends: dict[tuple[int, Class], list[Expr]] = {}
        self.used: dict[tuple[str, Key], Expr] = {}
        self.root: _Domain | None = None

    def _class(self, kind: Kind) -> Class:
        counted = self.stakes.levels().values()
        form = kind.form
        assert form is not None
        where = {level: form.position(level) for level in counted}
        steps = tuple(
            0 if step >= kind.problem.pods else step // self.fabric.pods
            for step in form.step[: len(self.fabric.names)]
        )
        keys = tuple(
            next((self.stakes.key(kind, level) for level, at in where.items() if at == position), ())
            for position in range(len(self.fabric.names))
        )
        return keys, steps

    def built(self) -> bool:
        """Make the model; False, and nothing made, where it would be too large."""
        if self._size() > MOST_CUTS:
            return False
        pieces: dict[Class, dict[int, Expr]] = {}
        for own, size, placed in zip(self.classes, self.sizes, self.stakes.placed, strict=True):
            some = pieces.setdefault(own, {})
            some[size] = some.get(size, 0) + placed
        self.root = self._domain(0, 0, pieces)
        for level in self.stakes.levels().values():
            at = next(at for at, name in enumerate(self.fabric.names) if self._same(name, level))
            for (position, own), many in self.ends.items():
                if position == at:
                    place = (level, own[0][at])
                    self.used[place] = self.used.get(place, 0) + sum(many)
        return True

    def _same(self, one: str, other: str) -> bool:
        form = self.stakes.kinds[0].form
        assert form is not None
        return form.position(one) == form.position(other)

    def _size(self) -> int:
        """About how many cuts there are."""
        found, names = 0, self.fabric.names
        for at in range(len(names)):
            for domain in range(len(self.fabric.room[at - 1])) if at else [0]:
                room = self.fabric.room[at][self.fabric.inside(at, domain)]
                most = int(room.max(initial=0))
                for (_, steps), largest in self.largest.items():
                    if steps[at]:
                        held = min(largest, int(room.sum()))
                        found += count_partings(range(steps[at], held + 1, steps[at]), most)
                if at == len(names) - 1:
                    found += count_partings(range(1, most + 1), min(most, max(self.sizes)))
        return found

    def _domain(self, level: int, domain: int, pieces: Mapping[Class, Mapping[int, Expr]]) -> _Domain:
        """What lies in a domain (level 0: in the cluster), cut over the domains of `level` inside it."""
        inside = self.fabric.inside(level, domain)
        room = self.fabric.room[level]
        most, total = max((int(room[at]) for at in inside), default=0), int(room[inside].sum())
        found = _Domain({})
        for own, some in pieces.items():
            cuts = split(self.stakes.model, some, step=own[1][level], most=most, total=min(total, self.total))
            found.pieces[own] = cuts
            self.ends.setdefault((level, own), []).extend(cuts.ends.values())
        if level == len(self.fabric.names) - 1:
            needs: dict[int, Expr] = {}
            for cuts in found.pieces.values():
                for size, many in cuts.ends.items():
                    needs[size] = needs.get(size, 0) + many
            found.filled = fill(self.stakes.model, Counter(room[inside].tolist()), needs)
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

    def _taken(self, around: _Domain, room: int) -> dict[Class, dict[int, cp_model.IntVar]]:
        """How many pieces of each class and size a domain with so much room takes."""
        model = self.stakes.model
        found = {
            own: {size: model.new_int_var(0, room // size, "") for size in cuts.ends if size <= room}
            for own, cuts in around.pieces.items()
        }
        model.add(sum(size * many for some in found.values() for size, many in some.items()) <= room)
        return found

    def pods(self, search: Search) -> dict[int, dict[int, int]]:
        """Per gang and domain of the finest level, the pods of the best answer."""
        things: dict[Class, dict[int, list[int]]] = {}
        kinds = zip(self.classes, self.sizes, self.stakes.kinds, self.stakes.placed, strict=True)
        for own, size, kind, placed in kinds:
            things.setdefault(own, {}).setdefault(size, []).extend(kind.gangs[: search.value(placed)])
        shares: dict[int, dict[int, int]] = {}
        assert self.root is not None
        self._spread(search, self.root, things, (0, 0), shares)
        return shares

    def _spread(
        self,
        search: Search,
        domain: _Domain,
        things: Mapping[Class, Mapping[int, list[int]]],
        where: tuple[int, int],
        shares: dict[int, dict[int, int]],
    ) -> None:
        """Give every piece in a domain a domain inside it; in the finest level, note who is where."""
        level, at = where
        waiting = {
            own: cut_up(
                {size: list(gangs) for size, gangs in some.items()},
                {pair: search.value(one) for pair, one in domain.pieces[own].cut.items()},
            )
            for own, some in things.items()
        }
        if level == len(self.fabric.names) - 1:
            self._seat(search, domain, waiting, at, shares)
            return
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

    def _seat(
        self,
        search: Search,
        domain: _Domain,
        waiting: Mapping[Class, Mapping[int, list[int]]],
        at: int,
        shares: dict[int, dict[int, int]],
    ) -> None:
        finest = len(self.fabric.names) - 1
        room: dict[int, list[int]] = {}
        for inner in reversed(self.fabric.inside(finest, at)):  # the first by name are taken first
            room.setdefault(int(self.fabric.room[finest][inner]), []).append(inner)
        free = cut_up(room, {pair: search.value(one) for pair, one in domain.filled.items()})
        for some in waiting.values():
            for size, gangs in some.items():
                for gang in gangs:
                    own, seat = shares.setdefault(gang, {}), free[size].pop()
                    own[seat] = own.get(seat, 0) + size * self.fabric.pods
