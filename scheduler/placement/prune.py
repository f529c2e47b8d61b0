"""Which domains can matter: the leading terms settle most of the tree before any table is built.

The terms are walked in order. As long as a term only says "use one domain of this
level" or charges a domain that holds everything, the candidates are exactly the
domains that attain its least value. The first term that needs several domains
removes the children too small to be among so few; the walk then ends, and the
dynamic program decides the rest exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.costs import TreeTerm
from scheduler.placement.problem import Bool, Int64
from scheduler.placement.tree import TreeForm, parents


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Alternatives of which one holds the whole gang: domains of tree level `level`
    (-1: the cluster, domain 0), and the domains left out below them (`dropped[i]`,
    bool[domains])."""

    level: int
    domains: Int64
    dropped: tuple[Bool | None, ...]


def candidates(form: TreeForm, terms: tuple[TreeTerm, ...], pods: int) -> Candidates:
    """The domains that can hold an optimum, and the parts of them that cannot matter."""
    level, chosen = -1, np.zeros(1, dtype=np.int64)
    dropped: list[Bool | None] = [None] * len(form.levels)
    several = False
    for term in terms:
        if term.kind == "known" or (term.kind in ("count", "split", "balance") and term.level <= level):
            continue
        if term.kind == "charge" and term.level <= level:
            assert term.charge is not None
            price = term.charge[ancestors(form, level, term.level)[chosen]]
            chosen = chosen[price == price.min()]
            continue
        if term.kind != "count" or several:
            break
        below = ancestors(form, term.level, level)
        inside = np.isin(below, chosen)
        whole = np.flatnonzero(inside & (form.capacity[term.level] >= pods))
        if whole.size:
            level, chosen = term.level, whole
            continue
        several = True
        chosen, dropped[term.level] = _fewest(form.capacity[term.level], below, chosen, pods)
    return Candidates(level, chosen, tuple(dropped))


def ancestors(form: TreeForm, level: int, coarse: int) -> Int64:
    """int64[domains of level]: the domain of a coarser level that each lies in; level -1 is the cluster."""
    if coarse < 0:
        return np.zeros(form.levels[level].domains if level >= 0 else 1, dtype=np.int64)
    if level == coarse:
        return np.arange(form.levels[level].domains)
    return parents(form.levels[level], form.levels[coarse]).astype(np.int64)


def _fewest(capacity: Int64, parent: Int64, chosen: Int64, pods: int) -> tuple[Int64, Bool]:
    """The candidates that need the fewest children, and the children too small to be among so few.

    With m children needed at least, one of capacity q is of use only if the m - 1
    largest and itself still hold the gang.
    """
    inside = np.flatnonzero(np.isin(parent, chosen) & (capacity > 0))
    order = inside[np.lexsort((-capacity[inside], parent[inside]))]
    owner = parent[order]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    running = np.cumsum(capacity[order])
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    within = running - (running[starts] - capacity[order[starts]])[group]
    enough = np.where(within >= pods, np.arange(len(order)), len(order))
    last = np.minimum.reduceat(enough, starts)
    feasible = last < len(order)
    needed = np.where(feasible, last - starts, len(order))
    kept = needed == needed.min()
    safe = np.minimum(last, len(order) - 1)
    threshold = capacity[order[safe]] - (within[safe] - pods)
    small = capacity[order] < threshold[group]
    dropped = np.zeros(len(capacity), dtype=np.bool_)
    dropped[order[small]] = True
    return owner[starts[kept]], dropped
