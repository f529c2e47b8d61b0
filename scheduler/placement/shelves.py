"""Tables of many like-structured domains at once: where pods fill whole nodes.

When every free node holds exactly one pod and all nodes cost the same, a rack charges for
being used and nothing else, so the racks of one leaf or spine are a covering knapsack:
the least cost of racks that hold *at least* so many pods. All such domains are solved
together, one rack of each at a time, in a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.problem import Bool, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """The table of one domain: `cost` int64[units + 1, words] of at least so many units of
    `unit` pods; `racks`: the free nodes of every rack; `taken`: bool[racks, units + 1]."""

    cost: Int64
    unit: int
    racks: tuple[Int64, ...]
    taken: Bool

    def assign(self, units: int, counts: Int64) -> None:
        """Write the pods per node of the best way to place so many units: the fullest racks first."""
        chosen, left = [], units
        for at in reversed(range(len(self.racks))):
            if self.taken[at, left]:
                chosen.append(self.racks[at])
                left = max(left - len(self.racks[at]) // self.unit, 0)
        pods = units * self.unit
        for nodes in sorted(chosen, key=lambda one: (-len(one), int(one[0]))):
            whole = min(len(nodes) // self.unit * self.unit, pods)
            counts[nodes[:whole]] = 1
            pods -= whole


def shelves(
    domains: list[list[Int64]], prices: list[Int64], *, per_pod: Int64, unit: int, limit: int
) -> list[Shelf]:
    """One table per domain. `domains[i]`: the free nodes of each of its racks; `prices[i]`:
    int64[racks, words], what using a rack costs; `per_pod`: int64[words]; at most `limit` units."""
    slots, words = max(len(racks) for racks in domains), len(per_pod)
    sizes = np.zeros((len(domains), slots), dtype=np.int64)
    price = np.zeros((len(domains), slots, words), dtype=np.int64)
    for at, (racks, own) in enumerate(zip(domains, prices, strict=True)):
        sizes[at, : len(racks)] = [len(nodes) // unit for nodes in racks]
        price[at, : len(racks)] = own
    totals = np.minimum(sizes.sum(axis=1), limit)
    cost, taken = _cover(sizes, price, int(totals.max(initial=0)))
    cost += (np.arange(cost.shape[1]) * unit)[None, :, None] * per_pod
    return [
        Shelf(cost[at, : total + 1], unit, tuple(racks), taken[at, : len(racks), : total + 1])
        for at, (racks, total) in enumerate(zip(domains, totals.tolist(), strict=True))
    ]


def _cover(sizes: Int64, price: Int64, most: int) -> tuple[Int64, Bool]:
    """int64[domains, units + 1, words] and bool[domains, racks, units + 1]: a rack is taken only
    where that is strictly cheaper, so that equal answers use the racks that come first."""
    domains, slots, words = price.shape
    cost = np.zeros((domains, most + 1, words), dtype=np.int64)
    cost[:, 1:, 0] = INFEASIBLE
    taken = np.zeros((domains, slots, most + 1), dtype=np.bool_)
    units, row = np.arange(most + 1), np.arange(domains)[:, None]
    for slot in range(slots):
        before = np.maximum(units - sizes[:, slot, None], 0)
        option = cost[row, before] + price[:, slot, None, :]
        better = _less(option, cost) & (sizes[:, slot, None] > 0)
        cost[better] = option[better]
        taken[:, slot] = better
    return cost, taken


def _less(one: Int64, other: Int64) -> Bool:
    """Whether rows of words stand before others in order."""
    found = one[..., -1] < other[..., -1]
    for word in range(one.shape[-1] - 2, -1, -1):
        found = (one[..., word] < other[..., word]) | ((one[..., word] == other[..., word]) & found)
    return np.asarray(found)
