"""A batch divided level by level, coarse to fine: no proof, but good, and fast for any number of domains.

What the coarsest level's domains take is settled first, with the contests for the other levels beside
it, so that who is placed suits them too; then in each of these domains alone what the domains inside
it take, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.placement.cuts import Expr, summed
from scheduler.placement.divisions import Class, Division, Things, as_things, divide
from scheduler.placement.nesting import Nest
from scheduler.placement.rivals import Key, Stakes, contested
from scheduler.placement.search import Search

DOMAIN_S = 0.02
"""What dividing the pieces of one domain may cost, in deterministic seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Which levels of the nest are counted, by which name; `classes`: per kind the class of its pieces."""

    names: dict[int, str]
    classes: tuple[Class, ...]

    @classmethod
    def of(cls, stakes: Stakes, nest: Nest) -> Levels:
        """For the kinds of a batch."""
        names = {
            at: level
            for at, tree in enumerate(nest.levels)
            for level in stakes.levels().values()
            if level in tree.names
        }
        classes = tuple(
            (
                tuple(stakes.key(kind, names[at]) if at in names else () for at in range(len(nest.levels))),
                steps,
            )
            for kind, steps in zip(stakes.kinds, nest.steps, strict=True)
        )
        return cls(names, classes)


def descended(stakes: Stakes, nest: Nest, *, limit_s: float) -> dict[int, dict[int, int]] | None:
    """Per gang that is placed and domain of the finest level its slots there; None when some domain could
    not be divided any further, or nothing was found in time."""
    levels = Levels.of(stakes, nest)
    parts = _top(stakes, nest, levels, limit_s)
    for level in range(1, len(nest.levels)):
        if parts is None:
            return None
        finer: dict[int, list[tuple[Class, int, int]]] = {}
        for domain, pieces in sorted(parts.items()):
            inside = _inside(nest, level, domain, as_things(pieces))
            if inside is None:
                return None
            finer |= inside
        parts = finer
    shares: dict[int, dict[int, int]] = {}
    for domain, pieces in (parts or {}).items():
        for _, size, gang in pieces:
            own = shares.setdefault(gang, {})
            own[domain] = own.get(domain, 0) + size * nest.unit
    return shares if parts is not None else None


def _top(
    stakes: Stakes, nest: Nest, levels: Levels, limit_s: float
) -> dict[int, list[tuple[Class, int, int]]] | None:
    """What each domain of the coarsest level takes."""
    pieces: dict[Class, dict[int, Expr]] = {}
    kinds = list(zip(levels.classes, nest.sizes, stakes.kinds, stakes.placed, strict=True))
    for own, size, _, placed in kinds:
        some = pieces.setdefault(own, {})
        some[size] = some.get(size, 0) + placed
    total = sum(size * len(kind.gangs) for _, size, kind, _ in kinds)
    division = divide(stakes.model, pieces, _room(nest, 0, 0), level=0, total=total)
    used = contested(stakes, but=levels.names.get(0, ""))
    if 0 in levels.names:
        for (level, key), many in _used(division, levels.names[0], 0).items():
            stakes.model.add(summed([used[level, key]]) >= many)
    search = Search(stakes.model, limit_s)
    if not search.feasible({}):
        return None
    for term in [stakes.unplaced(), *(stakes.term(name, used) for name in stakes.names)]:
        search.minimise(term, least=0)
    things: Things = {}
    for own, size, kind, placed in kinds:
        things.setdefault(own, {}).setdefault(size, []).extend(kind.gangs[: search.value(placed)])
    return division.dealt(search, things)


def _inside(
    nest: Nest, level: int, domain: int, things: Things
) -> dict[int, list[tuple[Class, int, int]]] | None:
    """What the domains of a level inside one domain take of the pieces it holds."""
    model = cp_model.CpModel()
    pieces: dict[Class, dict[int, Expr]] = {
        own: {size: len(gangs) for size, gangs in some.items()} for own, some in things.items()
    }
    total = sum(size * len(gangs) for some in things.values() for size, gangs in some.items())
    division = divide(model, pieces, _room(nest, level, domain), level=level, total=total)
    search = Search(model, DOMAIN_S)
    if not search.feasible({}):
        return None
    used = _used(division, "", level)
    for at in range(max((len(key) for _, key in used), default=0)):
        search.minimise(summed(key[at] * many for (_, key), many in used.items()), least=0)
    return division.dealt(search, things)


def _room(nest: Nest, level: int, domain: int) -> dict[int, int]:
    room = nest.room[level]
    return {at: int(room[at]) for at in nest.inside[level].get(domain, [])}


def _used(division: Division, name: str, level: int) -> Mapping[tuple[str, Key], Expr]:
    """Per key the domains that pieces use."""
    found: dict[tuple[str, Key], list[Expr]] = {}
    for own, cuts in division.cuts.items():
        found.setdefault((name, own[0][level]), []).extend(cuts.ends.values())
    return {place: summed(many) for place, many in found.items()}
