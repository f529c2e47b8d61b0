"""Tables of many like-structured domains at once: where pods fill whole nodes.

When every free node holds exactly one pod and all nodes cost the same, a rack charges for
being used and nothing else, so the racks of one leaf or spine are a covering knapsack:
the least cost of racks that hold *at least* so many pods. All such domains are solved
together, one rack of each at a time, in a few array operations or in one compiled loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.kernels import compiled
from scheduler.placement.problem import Bool, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Racks:
    """The free nodes of racks: rack i has nodes[starts[i]:starts[i + 1]]; `owner`: int64[racks], the
    domain that each lies in, and `sizes`: int64[racks], the units that may be used of each; racks of
    a domain stand together."""

    nodes: Int64
    starts: Int64
    owner: Int64
    sizes: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """The table of one domain: `cost` int64[units + 1, words] of at least so many units of
    `unit` pods; its racks are those from `first` on; `taken`: bool[racks, units + 1]."""

    cost: Int64
    unit: int
    racks: Racks
    first: int
    taken: Bool

    def chosen(self, units: int) -> list[Int64]:
        """The nodes of the racks that the best way to place so many units uses, the fullest first."""
        found, left = [], units
        for at in range(len(self.taken) - 1, -1, -1):
            if left and self.taken[at, left]:
                rack = self.first + at
                found.append(self.racks.nodes[self.racks.starts[rack] : self.racks.starts[rack + 1]])
                left = max(left - int(self.racks.sizes[rack]), 0)
        return sorted(found, key=lambda one: (-len(one), int(one[0])))

    def assign(self, units: int, counts: Int64) -> None:
        """Write the pods per node of the best way to place so many units: the fullest racks first."""
        pods = units * self.unit
        for nodes in self.chosen(units):
            whole = min(len(nodes) // self.unit * self.unit, pods)
            counts[nodes[:whole]] = 1
            pods -= whole


def racks_of(nodes: Int64, rack: Int64, owner: Int64, *, unit: int) -> Racks:
    """Racks from free nodes that are sorted by domain and rack: `rack`, `owner`: int64[nodes]."""
    first = np.flatnonzero(np.concatenate(([True], rack[1:] != rack[:-1])))
    starts = np.append(first, len(nodes))
    return Racks(nodes, starts, owner[first], np.diff(starts) // unit)


def shelves(racks: Racks, price: Int64, own: Int64, *, per_pod: Int64, unit: int, limit: int) -> list[Shelf]:
    """One table per domain, at most `limit` units each. `price`: int64[racks, words], what using a
    rack costs; `own`: int64[racks, words], what using the domain of a rack costs."""
    first = np.flatnonzero(np.concatenate(([True], racks.owner[1:] != racks.owner[:-1])))
    slots = np.append(first, len(racks.owner))
    totals = np.minimum(np.add.reduceat(racks.sizes, first), limit)
    rows = np.concatenate(([0], np.cumsum(totals + 1)))
    loop, most = compiled("cover") or _cover, int(totals.max(initial=0))
    cost, taken = loop(racks.sizes, np.ascontiguousarray(price), slots, rows, most)
    units = np.arange(len(cost)) - np.repeat(rows[:-1], totals + 1)
    cost += (units * unit)[:, None] * per_pod
    cost += np.where(units[:, None] > 0, np.repeat(own[first], totals + 1, axis=0), 0)
    return [
        Shelf(cost[rows[at] : rows[at + 1]], unit, racks, start, taken[start:end, : total + 1])
        for at, (start, end, total) in enumerate(
            zip(slots[:-1].tolist(), slots[1:].tolist(), totals.tolist(), strict=True)
        )
    ]


def _cover(sizes: Int64, price: Int64, slots: Int64, rows: Int64, most: int) -> tuple[Int64, Bool]:
    """As `kernels.cover`: a slot of every domain at a time."""
    counts, words = np.diff(slots), price.shape[1]
    cost = np.zeros((len(counts), most + 1, words), dtype=np.int64)
    cost[:, 1:, 0] = INFEASIBLE
    taken = np.zeros((len(sizes), most + 1), dtype=np.bool_)
    units = np.arange(most + 1)
    for slot in range(int(counts.max(initial=0))):
        some = np.flatnonzero(counts > slot)
        item = slots[some] + slot
        before = np.maximum(units - sizes[item, None], 0)
        option = cost[some[:, None], before] + price[item][:, None, :]
        better = less(option, cost[some]) & (sizes[item, None] > 0)
        cost[some] = np.where(better[:, :, None], option, cost[some])
        taken[item] = better
    return cost[units[None, :] <= (np.diff(rows) - 1)[:, None]], taken


def less(one: Int64, other: Int64) -> Bool:
    """Whether rows of words stand before others in order."""
    found = one[..., -1] < other[..., -1]
    for word in range(one.shape[-1] - 2, -1, -1):
        found = (one[..., word] < other[..., word]) | ((one[..., word] == other[..., word]) & found)
    return np.asarray(found)
