"""Where the leading terms want the whole gang in one domain: look into those domains, and nowhere else.

The terms are walked in order. One that counts domains of a level is at its least when one
domain holds the whole gang, so only such domains can hold an optimum, if there is one; what
a domain costs by itself then orders them. The walk ends at the first term that only a search
can tell. The cheapest domains are then solved each on its own, by the same integer model that
would else have to consider the whole cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.placement.objective import domain_capacity, parts_of, with_bounds
from scheduler.placement.problem import (
    Assignment,
    Bool,
    Int32,
    Int64,
    PlacementProblem,
    Rejection,
    allowed,
    asked,
    slots,
)

Solve = Callable[[PlacementProblem], Assignment | Rejection]

MOST_DOMAINS = 48
"""How many domains are solved each on its own before the whole cluster is asked at once."""

_WHOLE = re.compile(r"(?:domains|preferred_gang)_(.+)")
_INSIDE = re.compile(
    r"(?:preferred_(?:gang|part|group|ep|pp|tp|batch)|pipeline_hops|imbalance|replica_domains|replicas_sharing)_(.+)"
)
_CHARGE = re.compile(r"(broken|left)_(.+)")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One domain of a level that may hold the whole gang, and what it costs by itself."""

    domain: int
    price: tuple[int, ...] = ()


def narrowed(problem: PlacementProblem, solve: Solve) -> Assignment | None:
    """The optimum, when some single domain holds it; None when only the whole cluster can tell."""
    banned: set[str] = set()
    while (found := _Walk(problem, banned).run()) is not None:
        level, candidates = found
        answer = _best_of(problem, level, candidates, solve)
        if answer is not None:
            return answer if isinstance(answer, Assignment) else None
        banned.add(level)
    return None


def _best_of(
    problem: PlacementProblem, level: str, candidates: list[_Candidate], solve: Solve
) -> Assignment | str | None:
    """The best answer inside one of the candidates, the cheapest first; None when none of them holds
    the gang, "unknown" when that could not be settled."""
    tried = 0
    ordered = sorted(candidates, key=lambda one: (one.price, one.domain))
    for _, alike in groupby(ordered, key=lambda one: one.price):
        answers = []
        for inside in _distinct(problem, level, [one.domain for one in alike]):
            tried += 1
            if tried > MOST_DOMAINS:
                return "unknown"
            answers.append(solve(_within(problem, inside)))
        if any(isinstance(one, Rejection) and one.proof != "proven" for one in answers):
            return "unknown"
        placed = [one for one in answers if isinstance(one, Assignment)]
        if placed:
            return _proven(problem, placed)
    return None


def _proven(problem: PlacementProblem, placed: list[Assignment]) -> Assignment:
    """The best of the answers; proven when all of them are."""
    best = min(placed, key=lambda one: tuple(term.value for term in one.terms))
    values = tuple(term.value for term in best.terms)
    if all(one.proof == "optimal" for one in placed):
        return replace(best, terms=with_bounds(problem.terms, values, {}))
    least = [min(one.terms[at].bound for one in placed) for at in range(len(values))]
    bounds = dict(zip(problem.terms, least, strict=True))
    proof = next(one.proof for one in placed if one.proof != "optimal")
    return replace(best, terms=with_bounds(problem.terms, values, bounds), proof=proof)


def _within(problem: PlacementProblem, nodes: Bool) -> PlacementProblem:
    shapes = tuple(replace(one, eligible=one.eligible & nodes) for one in problem.shapes)
    return replace(problem, shapes=shapes)


def _distinct(problem: PlacementProblem, level: str, domains: list[int]) -> Iterator[Bool]:
    """The nodes (bool[nodes]) of every domain, of domains that look alike only the first."""
    own, seen = problem.cluster.domain_of(level), set()
    for domain in domains:
        nodes = np.flatnonzero(own == domain)
        look = _look(problem, nodes)
        if look not in seen:
            seen.add(look)
            yield own == domain


def _look(problem: PlacementProblem, nodes: Int64) -> bytes:
    """Equal for domains that differ only in names: per node, in order, the domains it lies in and what the
    objective sees of them, its room, and who may run there."""
    cluster = problem.cluster
    rows: list[NDArray[Any]] = []
    for one in cluster.partitions:
        own = one.domain_of[nodes]
        free, wholly_free = domain_capacity(cluster, one.name, problem.primary)
        rows += [np.unique(own, return_inverse=True)[1], free[own], wholly_free[own]]
    rows += [cluster.free[row, nodes] for row in range(len(cluster.resources))]
    rows += [cluster.total[problem.primary, nodes], cluster.usable[nodes], _masks(problem, nodes)]
    return np.column_stack(rows).astype(np.int64).tobytes()


def _masks(problem: PlacementProblem, nodes: Int64) -> Int64:
    """int64[nodes]: which shapes may run on a node, as bits, and whether a member runs there already."""
    found = np.isin(nodes, problem.fixed).astype(np.int64)
    for at, shape in enumerate(problem.shapes[:60]):
        found |= shape.eligible[nodes].astype(np.int64) << (at + 1)
    return found


class _Walk:
    """The terms in order, and the candidates that they leave."""

    def __init__(self, problem: PlacementProblem, banned: set[str]) -> None:
        self.problem, self.banned = problem, banned
        self.may = allowed(problem)
        self.may[problem.fixed[problem.fixed >= 0]] = True
        self.level = ""
        self.candidates: list[_Candidate] = []
        self.asked = asked(problem)
        self.one_gang = sum(rule.scope == "gang" for rule in problem.rules) == 1

    def run(self) -> tuple[str, list[_Candidate]] | None:
        """The level and the domains of it that can hold an optimum; None without such a level."""
        for term in self.problem.terms:
            if not all(self._settles(part) for _, part in parts_of(term)):
                break
        return (self.level, self.candidates) if self.level else None

    def _settles(self, term: str) -> bool:
        """Take a term into account; False when only a search can tell its least value."""
        if term == "tp_crossings":
            wishes = {level for rule in self.problem.rules if rule.scope == "tp" for level in rule.preferred}
            return all(self._covers(level) for level in wishes)
        if term in ("nodes", "nodes_broken"):
            term = "domains_node" if term == "nodes" else "broken_node"
        if match := _CHARGE.fullmatch(term):
            return self._charge(match[1], match[2])
        if (match := _WHOLE.fullmatch(term)) and (self.one_gang or term.startswith("domains_")):
            return self._covers(match[1]) or self._descend(match[1])
        match = _INSIDE.fullmatch(term)
        return match is not None and self._covers(match[1])

    def _covers(self, level: str) -> bool:
        """Whether every candidate lies inside one domain of a level."""
        return bool(self.level) and self._above(level) is not None

    def _above(self, level: str) -> list[int] | None:
        """The domain of a level that each candidate lies in; None when one lies in several."""
        own, other = (self.problem.cluster.domain_of(one) for one in (self.level, level))
        found = []
        for one in self.candidates:
            domains = np.unique(other[(own == one.domain) & self.may])
            if domains.size > 1:
                return None
            found.append(int(domains[0]))
        return found

    def _charge(self, what: str, level: str) -> bool:
        above = self._above(level) if self.level else None
        if above is None:
            return False
        free, wholly_free = domain_capacity(self.problem.cluster, level, self.problem.primary)
        price = wholly_free if what == "broken" else free
        self.candidates = [
            replace(one, price=(*one.price, int(price[domain])))
            for one, domain in zip(self.candidates, above, strict=True)
        ]
        return True

    def _descend(self, level: str) -> bool:
        """Go on with the domains of a finer level, when one of them could hold the whole gang."""
        if level in self.banned or len({one.price for one in self.candidates}) > 1:
            return False  # of unlike prices the least comes first, whoever holds the gang in a finer domain
        domains = self.problem.cluster.domain_of(level)
        possible = np.flatnonzero(_could_hold(self.problem, domains, self.asked)).tolist()
        if not self.level:
            found = [_Candidate(domain) for domain in possible]
        else:
            own = self.problem.cluster.domain_of(self.level)
            price = {one.domain: one.price for one in self.candidates}
            homes = {domain: np.unique(own[(domains == domain) & self.may]).tolist() for domain in possible}
            if any(len(home) > 1 for home in homes.values()):
                return False  # the level does not nest in the one before
            found = [_Candidate(d, price[home[0]]) for d, home in homes.items() if home[0] in price]
        if found:
            self.level, self.candidates = level, found
        return bool(found)


def _could_hold(problem: PlacementProblem, domains: Int32, wanted: Int64) -> Bool:
    """bool[domains]: the room is enough in sum, for every resource and for the pods of every shape, and
    the members that run are all there. Necessary, not sufficient."""
    count, cluster = int(domains.max(initial=-1)) + 1, problem.cluster
    new = problem.shape_of[problem.fixed < 0]
    found = np.ones(count, dtype=np.bool_)
    useful = np.zeros(cluster.size, dtype=np.bool_)
    for shape in np.unique(new).tolist():
        room = slots(problem, shape)
        useful |= room > 0
        found &= np.bincount(domains, weights=room, minlength=count) >= np.count_nonzero(new == shape)
    for row in np.flatnonzero(wanted).tolist():
        free = np.where(useful, np.maximum(cluster.free[row], 0), 0)
        found &= np.bincount(domains, weights=free, minlength=count) >= wanted[row]
    running = np.unique(domains[problem.fixed[problem.fixed >= 0]])
    if running.size:
        found &= (np.arange(count) == running[0]) & (running.size == 1)
    return found
