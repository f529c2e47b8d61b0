"""Which domains can matter: the leading terms settle most of the tree before any table is built.

The terms are walked in order. As long as a term only says "use one domain of this
level" or charges a domain that holds everything, the candidates are exactly the
domains that attain its least value. The first term that needs several domains
removes the children too small to be among so few; a second such term, finer than the
first, removes whole children by their stairs. The walk then ends, and the dynamic
program decides the rest exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scheduler.placement.costs import TreeTerm
from scheduler.placement.problem import Bool, Int64
from scheduler.placement.staircase import useless
from scheduler.placement.tree import TreeForm, TreeLevel, parents


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Alternatives of which one holds the whole gang: domains of tree level `level`
    (-1: the cluster, domain 0), and the domains left out below them (`dropped[i]`,
    bool[domains]). `most[i]`: how many domains of a level any optimum uses at most."""

    level: int
    domains: Int64
    dropped: tuple[Bool | None, ...]
    most: tuple[int | None, ...]


def candidates(form: TreeForm, terms: tuple[TreeTerm, ...], pods: int) -> Candidates:
    """The domains that can hold an optimum, and the parts of them that cannot matter."""
    level = max((at for at, step in enumerate(form.step) if step == pods), default=-1)
    chosen = np.flatnonzero(form.capacity[level] >= pods) if level >= 0 else np.zeros(1, dtype=np.int64)
    dropped: list[Bool | None] = [None] * len(form.levels)
    most: list[int | None] = [None] * len(form.levels)
    several = -1
    for term in terms:
        if term.kind == "known" or (
            term.kind in ("count", "split", "balance", "pairs") and term.level <= level
        ):
            continue
        if term.kind == "charge" and term.level <= level:
            assert term.charge is not None
            price = term.charge[ancestors(form, level, term.level)[chosen]]
            chosen = chosen[price == price.min()]
            continue
        if term.kind != "count":
            break
        if several >= 0:
            if term.level == several:
                continue
            # A coarser count in between is not settled: then fewest fine domains is not what comes next.
            if term.level > several and len(chosen) == 1 and _additive(form, several, term.level):
                _by_stairs(form, several, term.level, dropped, most, pods=pods)
            break
        below = ancestors(form, term.level, level)
        inside = np.zeros(form.levels[level].domains if level >= 0 else 1, dtype=np.bool_)
        inside[chosen] = True
        whole = np.flatnonzero(inside[below] & (form.capacity[term.level] >= pods))
        if whole.size:
            level, chosen = term.level, whole
            continue
        if not _additive(form, level + 1, term.level):
            break
        several = term.level
        chosen, small, most[several] = _fewest(form.capacity[several], below, chosen, pods)
        outside = np.ones(len(inside), dtype=np.bool_)
        outside[chosen] = False
        dropped[several] = small | outside[below]
    return Candidates(level, chosen, tuple(dropped), tuple(most))


def _additive(form: TreeForm, coarse: int, fine: int) -> bool:
    """Whether a coarse domain holds just what its fine ones hold together."""
    return all(form.step[level] in (1, form.step[fine]) for level in range(coarse, fine))


def _by_stairs(
    form: TreeForm,
    coarse: int,
    fine: int,
    dropped: list[Bool | None],
    most: list[int | None],
    *,
    pods: int,
) -> None:
    """Drop what cannot be part of an answer with the fewest coarse and then the fewest fine domains."""
    gone, used = dropped[coarse], most[coarse]
    assert gone is not None and used is not None
    found = useless(form.capacity[fine], ancestors(form, fine, coarse), ~gone, coarse_used=used, pods=pods)
    dropped[coarse] = gone | found.coarse
    dropped[fine], most[fine] = found.fine, found.most_fine


def fewest(form: TreeForm, level: int, pods: int) -> int | None:
    """The fewest domains of a level that hold the gang, in closed form; None where only a search can tell."""
    bound = max((at for at in range(level) if form.step[at] == pods), default=-1)
    if not all(form.step[at] in (1, form.step[level]) for at in range(bound + 1, level)):
        return None
    if int(form.capacity[level].max(initial=0)) >= pods:
        return 1
    if bound < 0:
        return largest(form.capacity[level], pods)
    within = np.flatnonzero(form.capacity[bound] >= pods)
    return _fewest(form.capacity[level], ancestors(form, level, bound), within, pods)[2]


def largest(capacity: Int64, pods: int) -> int:
    """How many of the largest domains hold so many pods together, wherever they are."""
    sizes = np.bincount(np.minimum(capacity, pods))
    held = np.cumsum((sizes * np.arange(len(sizes)))[::-1])
    at = int(np.searchsorted(held, pods))
    size = len(sizes) - 1 - at
    before = int(held[at - 1]) if at else 0
    return int(sizes[::-1][:at].sum()) + -(-(pods - before) // size)


def ancestors(form: TreeForm, level: int, coarse: int) -> Int64:
    """int64[domains of level]: the domain of a coarser level that each lies in; level -1 is the cluster."""
    return _ancestors(
        form.levels[level] if level >= 0 else None, form.levels[coarse] if coarse >= 0 else None
    )


@lru_cache(maxsize=128)  # levels are as lasting as the fabric
def _ancestors(level: TreeLevel | None, coarse: TreeLevel | None) -> Int64:
    if level is None or coarse is None:
        found = np.zeros(1 if level is None else level.domains, dtype=np.int64)
    elif level is coarse:
        found = np.arange(level.domains)
    else:
        found = parents(level, coarse).astype(np.int64)
    found.setflags(write=False)
    return found


def members(ids: Int64, chosen: Int64, count: int) -> Bool:
    """bool[ids]: which ids are among the chosen ones; all below `count`."""
    there = np.zeros(count, dtype=np.bool_)
    there[chosen] = True
    return np.asarray(there[ids])


def _fewest(capacity: Int64, parent: Int64, chosen: Int64, pods: int) -> tuple[Int64, Bool, int]:
    """The candidates that need the fewest children, and the children too small to be among so few.

    With m children needed at least, one of capacity q is of use only if the m - 1
    largest and itself still hold the gang.
    """
    inside = np.flatnonzero(members(parent, chosen, int(parent.max(initial=0)) + 1) & (capacity > 0))
    order = inside[np.lexsort((-capacity[inside], parent[inside]))]
    owner = parent[order]
    new = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=new[1:])
    starts, group = np.flatnonzero(new), np.cumsum(new) - 1
    running = np.cumsum(capacity[order])
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
    return owner[starts[kept]], dropped, int(needed.min()) + 1
