"""Pods of several shapes where all nodes lie in one domain: which nodes, by a dynamic program.

Inside one domain of every level a term is either the same for every answer or a price of the nodes that
are used, however full. So the least price of holding at least so many pods of every shape follows node
by node: use it, in one of the largest combinations that fit, or do not. Exact, without a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from scheduler.model import Code
from scheduler.placement.objective import domain_capacity, evaluate, parts_of, with_bounds
from scheduler.placement.patterns import Pattern, maximal_patterns
from scheduler.placement.problem import NODE, Assignment, Int32, Int64, PlacementProblem, Rejection

MOST_NODES, MOST_WORK = 128, 3_000_000
"""Domains with more nodes, and more steps (counts of pods times what nodes can hold), are for the integer
model."""

_NEVER = np.int64(1) << 61


@dataclass(frozen=True, slots=True, eq=False)
class _Domain:
    """`nodes`: int64[nodes] that some pod may run on; `patterns`: per node what it can hold; `needed`: pods
    per shape."""

    nodes: Int64
    patterns: tuple[tuple[Pattern, ...], ...]
    needed: Pattern


def packed(problem: PlacementProblem) -> Assignment | Rejection | None:
    """The optimum, or that the gang does not fit; None where this is not such a problem."""
    if (problem.fixed >= 0).any() or any(rule.binds for rule in problem.apart):
        return None
    shapes = np.unique(problem.shape_of).tolist()
    nodes = np.flatnonzero(np.any([problem.shapes[at].eligible for at in shapes], axis=0))
    if not 0 < len(nodes) <= MOST_NODES:
        return None
    levels = _levels(problem, nodes)
    prices = _prices(problem, nodes, levels) if levels is not None else None
    domain = _domain(problem, nodes, shapes) if prices is not None else None
    if levels is None or prices is None or domain is None:
        return None
    price = _in_one_word(prices, len(nodes))
    if price is None:
        return None
    chosen = _chosen(domain, price)
    if chosen is None:
        return Rejection(Code.NOT_ENOUGH_CAPACITY, "does not fit", possible=True, needed=problem.pods)
    assigned = _assigned(problem, domain, shapes, chosen)
    terms = with_bounds(problem.terms, evaluate(problem, assigned), {})
    return Assignment(assigned, terms, "optimal", _used(problem, domain, assigned, levels), "packing")


def _levels(problem: PlacementProblem, nodes: Int64) -> dict[str, bool] | None:
    """Per level whether all nodes lie in one domain of it, else each is one of its own; None where neither
    holds, or some block must stay on a node."""
    found = {NODE: len(nodes) == 1}
    for part in problem.cluster.partitions:
        count = len(np.unique(part.domain_of[nodes]))
        if count not in (1, len(nodes)):
            return None
        found[part.name] = count == 1
    wished = [level for rule in problem.rules for level in rule.required]
    return found if all(found[level] for level in wished) else None


def _prices(problem: PlacementProblem, nodes: Int64, levels: dict[str, bool]) -> list[Int64] | None:
    """int64[nodes] per term that tells nodes apart, in order; None where a term is neither that nor the
    same for every answer."""
    found: list[Int64] = []
    for term in problem.terms:
        price = np.zeros(len(nodes), dtype=np.int64)
        for weight, name in parts_of(term):
            own = _price(problem, nodes, levels, name)
            if own is None:
                return None
            price += weight * own
        if price.any():
            found.append(price)
    return found


def _price(problem: PlacementProblem, nodes: Int64, levels: dict[str, bool], term: str) -> Int64 | None:
    zero = np.zeros(len(nodes), dtype=np.int64)
    if term == "tp_crossings":
        wished = {level for rule in problem.rules if rule.scope == "tp" for level in rule.preferred}
        return zero if all(levels[level] for level in wished) else None
    name = {"nodes": f"domains_{NODE}", "nodes_broken": f"broken_{NODE}"}.get(term, term)
    level = max((one for one in levels if name.endswith(f"_{one}")), key=len, default=None)
    if level is None:
        return None
    if levels[level]:
        return zero
    what = name.removesuffix(f"_{level}")
    if what in ("domains", "preferred_gang"):
        return zero + 1
    if what not in ("broken", "left"):
        return None
    free, whole = domain_capacity(problem.cluster, level, problem.primary)
    return (whole if what == "broken" else free)[problem.cluster.domain_of(level)[nodes]].astype(np.int64)


def _in_one_word(prices: Sequence[Int64], nodes: int) -> Int64 | None:
    """int64[nodes], ordered as the prices are one after the other; None where they do not fit into a word."""
    whole = np.zeros(nodes, dtype=np.int64)
    size = 1
    for price in reversed(prices):
        whole += price * size
        size *= int(price.sum()) + 1
    return whole if size < int(_NEVER) else None


def _domain(problem: PlacementProblem, nodes: Int64, shapes: Sequence[int]) -> _Domain | None:
    """None where the program would be too large."""
    needed = tuple(np.bincount(problem.shape_of, minlength=max(shapes) + 1)[shapes].tolist())
    rows = np.flatnonzero(np.any([problem.shapes[at].requests for at in shapes], axis=0))
    requests = [problem.shapes[at].requests[rows].tolist() for at in shapes]
    free = problem.cluster.free[rows][:, nodes].T.tolist()
    may = np.array([problem.shapes[at].eligible[nodes] for at in shapes]).T.tolist()
    known: dict[tuple[tuple[int, ...], tuple[bool, ...]], tuple[Pattern, ...] | None] = {}
    found: list[tuple[Pattern, ...]] = []
    work, states = 0, prod(one + 1 for one in needed)
    for own, allowed in zip(free, may, strict=True):
        key = tuple(own), tuple(allowed)
        if key not in known:
            most = [count if one else 0 for count, one in zip(needed, allowed, strict=True)]
            known[key] = maximal_patterns(own, requests, most)
        patterns = known[key]
        work += states * len(patterns or ())
        if patterns is None or work > MOST_WORK:
            return None
        found.append(tuple(one for one in patterns if any(one)))
    return _Domain(nodes, tuple(found), needed)


def _chosen(domain: _Domain, prices: Int64) -> list[tuple[int, Pattern]] | None:
    """The nodes used (their place in the domain) and what is held there at most, in order; None when the
    gang does not fit. Of equal answers the one whose nodes come first."""
    shape = [one + 1 for one in domain.needed]
    states = np.array(np.unravel_index(np.arange(prod(shape)), shape))
    before: dict[Pattern, Int64] = {}
    cost = np.full(states.shape[1], _NEVER)
    cost[0] = 0
    choices = []
    for at in reversed(range(len(domain.nodes))):
        best, choice = cost, np.full(len(cost), -1, dtype=np.int16)
        for number, pattern in enumerate(domain.patterns[at]):
            if pattern not in before:
                rest = np.maximum(states - np.array(pattern)[:, None], 0)
                before[pattern] = np.ravel_multi_index(tuple(rest), shape)
            option = cost[before[pattern]] + prices[at]
            better = (option < best) | ((option == best) & (choice < 0))
            better &= option < _NEVER
            better[0] = False
            best, choice = np.where(better, option, best), np.where(better, number, choice)
        cost = best
        choices.append(choice)
    if cost[-1] >= _NEVER:
        return None
    found, state = [], len(cost) - 1
    for at, choice in enumerate(reversed(choices)):
        if (number := int(choice[state])) >= 0:
            pattern = domain.patterns[at][number]
            found.append((at, pattern))
            state = int(before[pattern][state])
    return found


def _assigned(
    problem: PlacementProblem, domain: _Domain, shapes: Sequence[int], chosen: list[tuple[int, Pattern]]
) -> Int32:
    """int32[pods]: of every shape the pods by rank along the nodes."""
    nodes = np.full(problem.pods, -1, dtype=np.int32)
    for number, shape in enumerate(shapes):
        pods = np.flatnonzero(problem.shape_of == shape)
        seats = np.repeat([at for at, _ in chosen], [pattern[number] for _, pattern in chosen])
        nodes[pods] = domain.nodes[seats[: len(pods)]]
    return nodes


def _used(
    problem: PlacementProblem, domain: _Domain, assigned: Int32, levels: dict[str, bool]
) -> tuple[tuple[str, int, int], ...]:
    """Per level the domains used, and the least that could be."""
    used = len(np.unique(assigned))
    fewest = _chosen(domain, np.ones(len(domain.nodes), dtype=np.int64)) if used > 1 else [(0, ())]
    assert fewest is not None
    counts = {True: (1, 1), False: (used, len(fewest))}
    return tuple((level, *counts[levels[level]]) for level in problem.cluster.levels)
