"""The exact dynamic program over a tree of domains: the lexicographic optimum, proven.

1. The leading terms leave a few candidates (prune).
2. Under each, tables fold from the nodes up (build, tables, shelves), the last fold for
   the gang's size alone (exact).
3. The best candidate wins; equal ones by name.
4. If a balance is asked, the least spread of pods per domain that keeps every
   earlier term is found last (balance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.balance import balanced
from scheduler.placement.bounds import bounds_of
from scheduler.placement.build import Scene, solve_within, solved_together
from scheduler.placement.costs import TreeTerm, pack
from scheduler.placement.problem import Int64, PlacementProblem
from scheduler.placement.prune import Candidates, ancestors, candidates, members
from scheduler.placement.tables import fingerprint
from scheduler.placement.tree import TreeForm


@dataclass(frozen=True, slots=True, eq=False)
class TreeSolution:
    """Pods per node, int64[nodes], and the least value of each term (blocks that must be
    split are counted as one break each, so those are lower bounds)."""

    counts: Int64
    bounds: dict[str, int]


def solve(problem: PlacementProblem, form: TreeForm, terms: tuple[TreeTerm, ...]) -> TreeSolution | None:
    """The optimum of a problem in tree form, in these terms; None when the gang does not fit."""
    pods = problem.pods
    if not fits(form, pods):
        return None
    found = candidates(form, terms, pods)
    scene = _scene(form, terms, found, pods)
    together = solved_together(scene, found.level, found.domains)
    options = found.domains if together else _distinct(scene, found)
    whole = solve_within(scene, found.level, options, together=together)
    assert whole is not None, "capacity is exact, so one of the candidates holds the gang"
    balance = next((term for term in terms if term.kind == "balance" and term.level > found.level), None)
    cost, spread = whole.cost, 0
    if balance is None:
        counts = np.zeros(form.levels[-1].domains, dtype=np.int64)
        whole.assign(counts)
    else:
        cost, counts, spread = balanced(scene, found, options, level=balance.level, first=whole)
    asked = pods * int(problem.shapes[int(problem.shape_of[0])].requests[problem.primary])
    bounds = bounds_of(terms, scene.costs, cost, level=found.level, spread=spread, asked=asked)
    return TreeSolution(_per_node(form, counts), bounds)


def _per_node(form: TreeForm, counts: Int64) -> Int64:
    """int64[nodes] from counts per domain of the finest level, each of which is one node."""
    if form.levels[-1].domains == len(form.levels[-1].domain_of):
        return counts
    whole = np.zeros(len(form.levels[-1].domain_of), dtype=np.int64)
    whole[form.levels[-1].first] = counts
    return whole


def fits(form: TreeForm, pods: int) -> bool:
    """True when the whole gang fits: one comparison, since a domain's capacity is exact."""
    top = form.capacity[0]
    return bool(top.max(initial=0) >= pods) if form.step[0] == pods else bool(top.sum() >= pods)


def _scene(form: TreeForm, terms: tuple[TreeTerm, ...], found: Candidates, pods: int) -> Scene:
    used = []
    for level, capacity in enumerate(form.capacity):
        if level <= found.level:
            used.append(np.unique(ancestors(form, found.level, level)[found.domains]))
            continue
        alive = capacity > 0
        if found.level >= 0:
            domains = form.levels[found.level].domains
            alive &= members(ancestors(form, level, found.level), found.domains, domains)
        for above in range(max(found.level, 0), level + 1):
            gone = found.dropped[above]
            if gone is not None:
                alive &= ~gone[ancestors(form, level, above)]
        used.append(np.flatnonzero(alive))
    return Scene(form, pack(terms, form, tuple(used), pods), found.dropped, pods)


def _distinct(scene: Scene, found: Candidates) -> Int64:
    """One candidate, the first by name, of all that look alike to the objective."""
    if len(found.domains) == 1:
        return found.domains
    form = scene.form
    signature = fingerprint(form.capacity[-1], scene.costs.domain[-1])
    for level in range(len(form.levels) - 2, found.level - 1, -1):
        below = ancestors(form, level + 1, level)
        total = np.zeros(form.levels[level].domains, dtype=np.uint64)
        alive = form.capacity[level + 1] > 0
        gone = scene.dropped[level + 1]
        if gone is not None:
            alive &= ~gone
        np.add.at(total, below[alive], signature[alive])
        signature = fingerprint(total, scene.costs.domain[level])
    keys = signature[found.domains]
    for level in range(max(found.level, 0)):  # what stands above has its price, too
        above = ancestors(form, found.level, level)[found.domains]
        keys = fingerprint(keys, scene.costs.domain[level][above])
    return found.domains[np.sort(np.unique(keys, return_index=True)[1])]
