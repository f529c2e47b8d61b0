"""Which domains can be part of an answer that uses the fewest coarse and then the fewest fine domains.

When a gang needs several coarse domains (spines), and the next thing asked is few fine
ones (leaves), a coarse domain is described by its stairs: the most pods that its q
largest fine domains hold. Stairs beside the best stairs there are tell, without any
search, which domains can take part at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.problem import Bool, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Useless:
    """Coarse and fine domains (bool[domains]) that no best answer uses, and the most fine
    domains that a best answer can use."""

    coarse: Bool
    fine: Bool
    most_fine: int


def useless(capacity: Int64, owner: Int64, alive: Bool, *, coarse_used: int, pods: int) -> Useless:
    """What can be left out when exactly `coarse_used` coarse domains hold the gang.

    `capacity`: int64[fine], additive inside a coarse domain; `owner`: int64[fine], the coarse
    domain of each; `alive`: bool[coarse]. Exact: only domains are left out that no answer with
    so few coarse and then the fewest fine domains could contain, by an upper bound on what
    any partners could add.
    """
    inside = np.flatnonzero(alive[owner] & (capacity > 0))
    order = inside[np.lexsort((-capacity[inside], owner[inside]))]
    stairs, domains = _stairs(capacity[order], owner[order], pods)
    limit = _feasible_count(stairs, coarse_used, pods)
    partners = _partners(stairs, coarse_used - 1, limit)
    steps = np.arange(stairs.shape[1])
    reach = stairs + np.where(steps <= limit, partners[np.maximum(limit - steps, 0)], -pods)
    kept = np.zeros(len(alive), dtype=np.bool_)
    kept[domains] = reach.max(axis=1) >= pods
    # With one fine domain more, what the others must bring: a smaller one cannot take part.
    before = stairs[:, :-1] + np.where(steps[1:] <= limit, partners[np.maximum(limit - steps[1:], 0)], -pods)
    threshold = np.full(len(alive), np.iinfo(np.int64).max)
    threshold[domains] = pods - before.max(axis=1)
    small = np.zeros(len(capacity), dtype=np.bool_)
    small[inside] = capacity[inside] < threshold[owner[inside]]
    return Useless(~kept, small, limit)


def _stairs(capacity: Int64, owner: Int64, pods: int) -> tuple[Int64, Int64]:
    """int64[coarse, q + 1]: pods of the q largest fine domains, and the ids of the coarse ones."""
    new = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=new[1:])
    starts, row = np.flatnonzero(new), np.cumsum(new) - 1
    column = np.arange(len(owner)) - starts[row] + 1
    table = np.zeros((len(starts), int(column.max()) + 1), dtype=np.int64)
    table[row, column] = capacity
    return np.minimum(np.cumsum(table, axis=1), pods), owner[starts]


def _feasible_count(stairs: Int64, coarse_used: int, pods: int) -> int:
    """Fine domains of some answer: a valid limit, close to the least."""
    sets = np.argsort(-stairs[:, 1:], axis=0, kind="stable")[:coarse_used].T  # of every q, the best so many
    sets = sets[stairs[sets, -1].sum(axis=1) >= pods]
    gains = -np.sort((stairs[:, :-1] - stairs[:, 1:])[sets].reshape(len(sets), -1), axis=1)
    short = np.cumsum(gains, axis=1) < pods  # taken with the largest first, how many are not enough
    return int(short.sum(axis=1).min()) + 1


def _partners(stairs: Int64, count: int, limit: int) -> Int64:
    """int64[limit + 1]: an upper bound on the pods that `count` coarse domains hold in so many fine ones."""
    best = np.zeros(limit + 1, dtype=np.int64)
    one = np.maximum.accumulate(stairs.max(axis=0))
    steps = np.arange(min(limit, stairs.shape[1] - 1) + 1)
    rest = np.arange(limit + 1)[:, None] - steps  # what one more leaves to those before
    more = np.where(rest >= 0, one[steps], -1)
    np.maximum(rest, 0, out=rest)
    for _ in range(count):
        best = np.maximum(best, (best[rest] + more).max(axis=1))
    return best
