"""The inner loops of the dynamic program, which may be compiled.

Written as plain loops over arrays. `warm_up` compiles them with numba, or loads them from numba's
cache, once and outside any request; whoever does not call it, has no numba, or no folder to cache
in, takes the array operations of `tables` and `shelves`, which give the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from scheduler.placement.problem import Bool, Int32, Int64

NOTHING = 1 << 61
"""A cost that stands for "cannot be"; the same as `costs.INFEASIBLE`."""

_compiled: dict[str, Callable[..., Any]] = {}

_SIGNATURES = {
    "cover": "Tuple((i8[:, ::1], b1[:, ::1]))(i8[::1], i8[:, ::1], i8[::1], i8[::1], i8)",
    "multiplier": "i8(i8[::1], i8[::1], i8)",
    "fold": "Tuple((i8[::1], i4[:, ::1]))(i8[:, ::1], i8[::1], i8[::1], i8[::1], i8, i8, i8, i8)",
}
"""What each loop is compiled for, so that no request ever waits for a compiler."""


def warm_up() -> bool:
    """Compile every loop, or load it; takes under a second, some seconds the first time.
    False when that is not possible here: then nothing changes."""
    if not _compiled:
        _compiled.update(_made())
    return bool(_compiled)


def cool_down() -> None:
    """Back to array operations, so that both ways can be compared."""
    _compiled.clear()


def compiled(name: str) -> Callable[..., Any] | None:
    """A loop by name as machine code; None until `warm_up` has succeeded."""
    return _compiled.get(name)


@lru_cache(maxsize=1)
def _made() -> dict[str, Callable[..., Any]]:
    try:
        import numba  # noqa: PLC0415  (0.3 s, and only who decides often needs it)

        return {
            one.__name__: numba.njit(_SIGNATURES[one.__name__], cache=True, nogil=True)(one)
            for one in (cover, multiplier, fold)
        }
    except (ImportError, RuntimeError, OSError):  # not installed, or no folder for the cache
        return {}


def cover(sizes: Int64, price: Int64, slots: Int64, rows: Int64, most: int) -> tuple[Int64, Bool]:
    """Least cost of *at least* k units for every k, domain by domain: a covering knapsack.

    `sizes`: int64[items]; `price`: int64[items, words]; domain i has the items slots[i] to
    slots[i + 1] and the rows rows[i] to rows[i + 1] of the answer. Also bool[items, most + 1]:
    whether an item is taken; only where that is strictly cheaper, so that the first come first.
    """
    words = price.shape[1]
    cost = np.zeros((rows[-1], words), dtype=np.int64)
    taken = np.zeros((len(sizes), most + 1), dtype=np.bool_)
    for domain in range(len(slots) - 1):
        start, total = rows[domain], rows[domain + 1] - rows[domain] - 1
        for k in range(1, total + 1):
            cost[start + k, 0] = NOTHING
        for item in range(slots[domain], slots[domain + 1]):
            if sizes[item] == 0:
                continue
            for k in range(total, 0, -1):
                before = start + max(k - sizes[item], 0)
                if cost[before, 0] >= NOTHING:
                    continue
                better = False
                for word in range(words):
                    new, old = cost[before, word] + price[item, word], cost[start + k, word]
                    if new != old:
                        better = new < old
                        break
                if better:
                    taken[item, k] = True
                    for word in range(words):
                        cost[start + k, word] = cost[before, word] + price[item, word]
    return cost, taken


def multiplier(cost: Int64, starts: Int64, target: int) -> int:
    """The least price per unit at which tables would take `target` units or more; `cost`: int64[rows]."""
    low, high = 0, 1
    for row in range(len(cost)):
        if cost[row] < NOTHING:
            high = max(high, cost[row] + 1)
    while low < high:
        price, total = (low + high) // 2, 0
        for child in range(len(starts) - 1):
            start, best, at = starts[child], cost[starts[child]], 0
            for row in range(start, starts[child + 1]):
                value = cost[row] - price * (row - start)
                if value <= best:
                    best, at = value, row - start
            total += at
        if total >= target:
            high = price
        else:
            low = price + 1
    return low


def fold(  # noqa: PLR0912, PLR0917  (one loop for the compiler, called by position)
    cost: Int64, starts: Int64, excess: Int64, most: Int64, price: int, gap: int, shift: int, target: int
) -> tuple[Int64, Int32]:
    """The least cost (int64[words]) of rows, one per child, whose units add up to `target`, and the units
    of a child for every total up to it (int32[children, target + 1]); NOTHING where there are none.

    `excess`: int64[rows], by how much a row is dearer than its child's best in reduced cost (the first
    word >> `shift`, less `price` per unit); what exceeds `gap` is left out. `most`: int64[children + 1], the
    units that a child and those behind it can take.
    """
    children, words = len(starts) - 1, cost.shape[1]
    choice = np.zeros((children, target + 1), dtype=np.int32)
    old = np.zeros((target + 1, words), dtype=np.int64)
    new = np.zeros((target + 1, words), dtype=np.int64)
    above = np.zeros(target + 1, dtype=np.int64)  # by how much a total is dearer than the least, reduced
    low, high, least = 0, 0, 0
    for child in range(children):
        end = min(target, high + most[child] - most[child + 1])
        begin = max(low, target - most[child + 1])
        for total in range(begin, end + 1):
            new[total, 0] = NOTHING
        best = NOTHING
        for row in range(starts[child], starts[child + 1]):
            if excess[row] > gap:
                continue
            units = row - starts[child]
            if excess[row] == 0:
                best = min(best, (cost[row, 0] >> shift) - price * units)
            for before in range(max(low, begin - units), min(high, end - units) + 1):
                if above[before] + excess[row] > gap:
                    continue
                total, better = before + units, False
                for word in range(words):
                    here, there = old[before, word] + cost[row, word], new[total, word]
                    if here != there:
                        better = here < there
                        break
                if better:
                    choice[child, total] = units
                    for word in range(words):
                        new[total, word] = old[before, word] + cost[row, word]
        least += best
        low, high = end + 1, begin - 1
        for total in range(begin, end + 1):
            above[total] = NOTHING
            if new[total, 0] < NOTHING:
                above[total] = (new[total, 0] >> shift) - price * total - least
            if above[total] > gap:
                new[total, 0] = NOTHING
                above[total] = NOTHING
            else:
                low, high = min(low, total), total
        old, new = new, old
        if low > high:
            new[0, 0] = NOTHING
            return new[0].copy(), choice
    return old[target].copy(), choice
