"""What a batch can have at best, gangs that compete for the same domains included.

One model of small flows: for every level and every view (contests) how gangs are cut over domains, all
levels above and below left out, and how many gangs of every kind are placed at all, which is common to
all of them. Everything that can be done is an answer of it, so its optimum is a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ortools.sat.python import cp_model

from scheduler.placement.contests import Contest, Kind, contest, views_of
from scheduler.placement.cuts import Expr, count_partings, fill, split, summed
from scheduler.placement.problem import Limits
from scheduler.placement.search import Search

MOST_CUTS = 3_000
"""Contests of more cuts than this are left out."""

Key = tuple[int, ...]


class Stakes:
    """How many gangs of each kind are placed, and the batch's terms over the domains that they use.

    `names`: the summed terms in order; `all_placed`: nobody may be left out; `others`: the amount of the
    gangs that are none of these and stay unplaced.
    """

    def __init__(
        self, kinds: Sequence[Kind], names: Sequence[str], *, all_placed: bool, others: int = 0
    ) -> None:
        self.kinds, self.names, self.others = tuple(kinds), tuple(names), others
        self.model = cp_model.CpModel()
        self.placed = [
            self.model.new_int_var(len(kind.gangs) if all_placed else 0, len(kind.gangs), "")
            for kind in self.kinds
        ]
        cluster = kinds[0].problem.cluster
        same = {part.name: at for at, part in enumerate(cluster.partitions)}
        form = next((kind.form for kind in kinds if kind.form is not None), None)
        self._number = {name: form.position(name) if form is not None else at for name, at in same.items()}

    def levels(self) -> dict[int, str]:
        """A name of every level that some term counts the domains of; levels that are equal count once."""
        found: dict[int, str] = {}
        for name in self.names:
            if (level := level_of(name)) is not None:
                found.setdefault(self._number[level], level)
        return found

    def key(self, kind: Kind, level: str) -> Key:
        """How often a domain of a level that a gang uses counts in each term of that level."""
        return tuple(kind.weight(name) for name in self._at(level))

    def _at(self, level: str) -> list[str]:
        number = self._number[level]
        return [name for name in self.names if (own := level_of(name)) and self._number[own] == number]

    def unplaced(self) -> Expr:
        """What stays unplaced, in units of the primary resource."""
        pairs = list(zip(self.kinds, self.placed, strict=True))
        all_of_it = sum(kind.amount * len(kind.gangs) for kind in self.kinds) + self.others
        return all_of_it - sum(kind.amount * placed for kind, placed in pairs)

    def term(self, name: str, used: Mapping[tuple[str, Key], Expr]) -> Expr:
        """A term, given per level and key the domains used, each gang's counted for itself. What is not
        about domains of gangs counts as 0: it is not less."""
        own = level_of(name)
        if own is None:
            return 0
        at, level = self._at(own).index(name), self.levels()[self._number[own]]
        domains = [key[at] * many for (where, key), many in used.items() if where == level]
        once = [
            kind.weight(name) * placed
            for kind, placed in zip(self.kinds, self.placed, strict=True)
            if name.startswith("preferred_gang_")
        ]
        return summed(domains) - summed(once)

    def counts(self, name: str) -> tuple[object, ...]:
        """Equal for terms that always have the same value."""
        own = level_of(name)
        number = -1 if own is None else self._number[own]
        return name.partition("_")[0], number, tuple(kind.weight(name) for kind in self.kinds)


def level_of(name: str) -> str | None:
    """The level whose domains a term counts, gang by gang; None for other terms."""
    for prefix in ("domains_", "preferred_gang_"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return None


def least_together(stakes: Stakes, *, limits: Limits) -> tuple[int, ...]:
    """A lower bound on (unplaced, terms...), in lexicographic order: a batch's value is not smaller.
    What follows the first of them that could not be settled in time is 0."""
    used = contested(stakes)
    search = Search(stakes.model, limits.deterministic_s)
    if not search.feasible({}):
        return (0,) * (1 + len(stakes.names))
    _, bounds = settled(stakes, search, used)
    return bounds


def settled(
    stakes: Stakes, search: Search, used: Mapping[tuple[str, Key], Expr]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(unplaced, terms...) made small one after the other, and what is proven of them: behind the first that
    is not settled, nothing; a term that counts what an earlier one counts has its bound."""
    value, bound = search.minimise(stakes.unplaced(), least=0)
    values, bounds, proven = [value], [bound], value == bound
    known: dict[tuple[object, ...], int] = {}
    for name in stakes.names:
        value, bound = search.minimise(stakes.term(name, used), least=known.get(stakes.counts(name), 0))
        known[stakes.counts(name)] = value
        values.append(value)
        bounds.append(bound if proven else 0)
        proven = proven and value == bound
    return tuple(values), tuple(bounds)


def contested(stakes: Stakes, *, but: str = "") -> dict[tuple[str, Key], Expr]:
    """Put every contest into the model; per level and key the domains used at least. `but`: a level
    that is modelled otherwise, where only what each gang needs alone is."""
    used: dict[tuple[str, Key], Expr] = {}
    views = views_of(stakes.kinds)
    for level in stakes.levels().values():
        counted = _counted(stakes, level)
        for view in views if level != but else []:
            rivalry = contest(stakes.kinds, view, level)
            if rivalry is not None and _size(rivalry) <= MOST_CUTS:
                _compete(stakes, rivalry, counted)
        used |= {(level, key): many for key, many in counted.items()}
    return used


def _counted(stakes: Stakes, level: str) -> dict[Key, cp_model.IntVar]:
    """Per key the domains of a level that gangs use, not fewer than each gang alone needs."""
    found: dict[Key, cp_model.IntVar] = {}
    most = sum(kind.problem.pods * len(kind.gangs) for kind in stakes.kinds)
    alone: dict[Key, list[Expr]] = {}
    for kind, placed in zip(stakes.kinds, stakes.placed, strict=True):
        alone.setdefault(stakes.key(kind, level), []).append(kind.floor.least(level, 1) * placed)
    for key, least in alone.items():
        found[key] = stakes.model.new_int_var(0, most, "")
        stakes.model.add(found[key] >= sum(least))
    return found


def _size(rivalry: Contest) -> int:
    """How many cuts a contest has, in each of its classes."""
    most, room = max(rivalry.sizes), max(rivalry.room, default=0)
    classes = len({step for step, size in zip(rivalry.steps, rivalry.sizes, strict=True) if size and step})
    pieces = sum(count_partings(range(step, most + 1, step), room) for step in set(rivalry.steps) if step)
    return pieces + count_partings(range(1, room + 1), most) + classes


def _compete(stakes: Stakes, rivalry: Contest, counted: Mapping[Key, cp_model.IntVar]) -> None:
    """Every gang that is placed is cut into pieces for which there is room; a piece is a domain used."""
    model, most = stakes.model, max(rivalry.room, default=0)
    classes: dict[tuple[Key, int], dict[int, Expr]] = {}
    needs: dict[int, Expr] = {}
    used: dict[Key, list[Expr]] = {}
    for at, kind in enumerate(stakes.kinds):
        key, size = stakes.key(kind, rivalry.level), rivalry.sizes[at]
        if size:
            own = classes.setdefault((key, rivalry.steps[at]), {})
            own[size] = own.get(size, 0) + stakes.placed[at]
        else:  # it does not compete, and still needs domains
            used.setdefault(key, []).append(kind.floor.least(rivalry.level, 1) * stakes.placed[at])
    total = sum(size * len(kind.gangs) for size, kind in zip(rivalry.sizes, stakes.kinds, strict=True))
    for (key, step), pieces in classes.items():
        cuts = split(model, pieces, step=step, most=most, total=total)
        for size, many in cuts.ends.items():
            needs[size] = needs.get(size, 0) + many
        used.setdefault(key, []).extend(cuts.ends.values())
    fill(model, rivalry.room, needs)
    for key, pieces_of_all in used.items():
        model.add(counted[key] >= summed(pieces_of_all))
