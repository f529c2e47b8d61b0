"""Gangs without tree form, as an integer model: several shapes, unequal groups, members that already
run, levels that do not nest. Exact, one rule one function; solved term by term.

The solver is CP-SAT with one worker, a fixed seed and a deterministic time limit, so
that the same problem always has the same answer.
"""

from __future__ import annotations

import numpy as np
from ortools.sat.python import cp_model

from scheduler.model import Code
from scheduler.placement.counts import Counts
from scheduler.placement.groups import groups_fit
from scheduler.placement.objective import evaluate, with_bounds
from scheduler.placement.problem import (
    NODE,
    Assignment,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    allowed,
    asked,
)
from scheduler.placement.refuse_general import refuse_general
from scheduler.placement.search import Search
from scheduler.placement.terms import term_expression
from scheduler.placement.units import Reduced, reduce


def solve_model(problem: PlacementProblem, limits: Limits, *, reasons: bool = True) -> Assignment | Rejection:
    """The best assignment under every rule, or why there is none; `timed_out` when neither is proven.
    Without `reasons` a refusal says only that."""
    reduced = reduce(problem)
    if not reduced.units:
        return _nothing_to_place(problem)
    counts = Counts(problem, reduced)
    search = Search(counts.model, limits.deterministic_s)
    if counts.hopeless or not search.feasible(counts.hints()):
        if search.unknown and not counts.hopeless:
            return _timed_out(problem)
        if reasons:
            return refuse_general(problem, limits)
        return Rejection(Code.NOT_ENOUGH_CAPACITY, "does not fit", possible=True, needed=problem.pods)
    bounds, complete = _lexicographic(problem, counts, search)
    if complete:
        search.prefer(_names(problem, reduced, counts), limit_s=_NAMES_S)
    nodes = _assign(problem, reduced, counts, search)
    terms = with_bounds(problem.terms, evaluate(problem, nodes), bounds)
    proof = (
        "optimal" if all(t.value == t.bound for t in terms) else "timed_out" if search.out_of_time else "gap"
    )
    return Assignment(nodes, terms, proof, _levels(problem, nodes, counts, limits), "integer model")


def _lexicographic(problem: PlacementProblem, counts: Counts, search: Search) -> tuple[dict[str, int], bool]:
    """Term by term the least value, fixed before the next; what is proven of each, and whether all are.

    A term that means the same as an earlier one (two levels with the same domains) is settled by it.
    """
    bounds: dict[str, int] = {}
    seen: dict[tuple[str, bytes], int] = {}
    for term in problem.terms:
        same = _meaning(problem, term)
        if same in seen:
            bounds[term] = seen[same]
            continue
        expression = term_expression(counts, term)
        if expression is None:
            continue
        least = least_domains(problem, term) - expression.offset
        value, bound = search.minimise(expression.linear, least=least)
        bounds[term] = seen[same] = max(bound + expression.offset, 0)
        if value != bound:
            return bounds, False
    return bounds, True


def _meaning(problem: PlacementProblem, term: str) -> tuple[str, bytes]:
    """Equal for terms that are the same function of an assignment."""
    named = (p for p in problem.cluster.partitions if term.endswith(f"_{p.name}"))
    partition = max(named, key=lambda p: len(p.name), default=None)  # one level's name may end in another's
    if partition is None or term[:1].isdigit():
        return term, b""
    what = term.removesuffix(partition.name)
    if what.startswith("preferred_"):
        return term, b""  # which blocks prefer it differs from level to level
    return what, partition.domain_of.tobytes()


def least_domains(problem: PlacementProblem, term: str) -> int:
    """For a count of domains, the fewest whose free capacity is enough; 0 for other terms."""
    if term == "nodes":
        level = NODE
    elif term.startswith("domains_"):
        level = term.removeprefix("domains_")
    else:
        return 0
    free = np.where(allowed(problem), np.maximum(problem.cluster.free[problem.primary], 0), 0)
    sums = np.sort(np.bincount(problem.cluster.domain_of(level), weights=free))[::-1]
    return min(int(np.searchsorted(np.cumsum(sums), int(asked(problem)[problem.primary]))) + 1, len(sums))


_NAMES_S = 0.2
"""Deterministic seconds for the last tie-break: it may cost less than the decision."""


def _names(problem: PlacementProblem, reduced: Reduced, counts: Counts) -> cp_model.LinearExprT:
    """Small for the nodes that come first, domain by domain in natural order: equal answers end in a name."""
    place_of = _places(problem)
    order = sorted(range(len(reduced.classes)), key=lambda c: int(place_of[reduced.classes[c].nodes[0]]))
    rank = {c: at for at, c in enumerate(order)}
    return sum(rank[c] * var for (_, c), var in counts.x.items())


def can_be_placed(problem: PlacementProblem, limits: Limits) -> bool | None:
    """Whether any assignment exists; None when the limits end before that is known."""
    known = groups_fit(problem)
    if known is not None:
        return known
    counts = Counts(problem, reduce(problem))
    if not counts.reduced.units or counts.hopeless:
        return not counts.hopeless
    search = Search(counts.model, limits.deterministic_s)
    return True if search.feasible({}) else None if search.unknown else False


def _nothing_to_place(problem: PlacementProblem) -> Assignment:
    """Every member already runs."""
    nodes = problem.fixed.copy()
    values = evaluate(problem, nodes)
    terms = with_bounds(problem.terms, values, dict(zip(problem.terms, values, strict=True)))
    levels = tuple((level, used, used) for level, used in _used(problem, nodes).items())
    return Assignment(nodes, terms, "optimal", levels, "nothing to place")


def _timed_out(problem: PlacementProblem) -> Rejection:
    message = f"out of time: no assignment of the {problem.pods} pods was found, and none was ruled out"
    return Rejection(Code.TIMED_OUT, message, possible=True, proof="timed_out", needed=problem.pods)


def _used(problem: PlacementProblem, nodes: Int32) -> dict[str, int]:
    domain_of = problem.cluster.domain_of
    return {level: int(np.unique(domain_of(level)[nodes]).size) for level in problem.cluster.levels}


def _levels(
    problem: PlacementProblem, nodes: Int32, counts: Counts, limits: Limits
) -> tuple[tuple[str, int, int], ...]:
    """Per level the domains used, and the least that any assignment could use."""
    found = []
    for level, used in _used(problem, nodes).items():
        least = used
        if used > max(least_domains(problem, "nodes" if level == NODE else f"domains_{level}"), 1):
            search = Search(Counts(problem, counts.reduced).model, limits.deterministic_s / 4)
            term = term_expression(counts, "nodes" if level == NODE else f"domains_{level}")
            assert term is not None
            least = search.least(term.linear, at_most=used - term.offset) + term.offset
        found.append((level, used, max(min(least, used), 1)))
    return tuple(found)


def _assign(problem: PlacementProblem, reduced: Reduced, counts: Counts, search: Search) -> Int32:
    """A node for every pod from the numbers per class, in rank order along the fabric."""
    nodes, place_of = problem.fixed.copy(), _places(problem)
    slots = _Slots(problem, reduced, counts, search, place_of)
    for at, unit in enumerate(reduced.units):
        taken = [
            node for cls, number in counts.numbers(at, search) for node in slots.take(cls, unit.shape, number)
        ]
        taken.sort(key=lambda node: int(place_of[node]))
        nodes[list(unit.pods)] = _in_steps(taken, reduced, at)
    return nodes


class _Slots:
    """The room on the nodes of every class, by shape, one node filled after the other."""

    def __init__(
        self, problem: PlacementProblem, reduced: Reduced, counts: Counts, search: Search, place_of: Int64
    ) -> None:
        self._of: dict[tuple[int, int], list[int]] = {}
        for c, cls in enumerate(reduced.classes):
            ordered = sorted(cls.nodes, key=lambda node: int(place_of[node]))
            for shape in {unit.shape for unit in reduced.units}:
                if c in counts.follow:
                    follow = [
                        pattern
                        for pattern, var in zip(cls.patterns, counts.follow[c], strict=True)
                        for _ in range(search.value(var))
                    ]
                    room = [pattern[shape] for pattern in follow]
                else:
                    room = [cls.room[shape]] * len(ordered)
                self._of[c, shape] = [
                    node for node, count in zip(ordered, room, strict=False) for _ in range(count)
                ]

    def take(self, cls: int, shape: int, number: int) -> list[int]:
        """The nodes of so many pods; their room is then gone."""
        own = self._of[cls, shape]
        taken, self._of[cls, shape] = own[:number], own[number:]
        return taken


def _places(problem: PlacementProblem) -> Int64:
    """int64[nodes]: where each node stands when neighbours in the fabric stand together."""
    partitions = problem.cluster.partitions
    keys = [np.arange(problem.cluster.size), *(p.domain_of.astype(np.int64) for p in reversed(partitions))]
    order = np.lexsort(keys)
    places = np.empty(problem.cluster.size, dtype=np.int64)
    places[order] = np.arange(problem.cluster.size)
    return places


def _in_steps(taken: list[int], reduced: Reduced, unit: int) -> list[int]:
    """Nodes of a unit so that every block's run of ranks lies in one cell, innermost blocks first."""
    items = [[node] for node in taken]
    done = 1
    for step in reduced.steps:
        if unit not in step.units:
            continue
        per = step.size // done
        bundles: list[list[int]] = []
        cells: dict[int, list[list[int]]] = {}
        for item in items:
            waiting = cells.setdefault(int(step.cell_of[item[0]]), [])
            waiting.append(item)
            if len(waiting) == per:
                bundles.append([node for one in waiting for node in one])
                cells[int(step.cell_of[item[0]])] = []
        items, done = bundles, step.size
    return [node for item in items for node in item]
