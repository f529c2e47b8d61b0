"""The last fold of a tree: one row of every child's table, adding up to exactly the gang's size.

Only one total is asked for, so most of what a fold would compute cannot matter. With a price per
unit (a Lagrange multiplier) every row has a reduced cost; the least reduced costs add up to a lower
bound, and a row that costs more above it than a known ceiling allows takes part in no optimum.
The ceiling is guessed and raised until an answer below it is found: then nothing better was left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.kernels import compiled
from scheduler.placement.problem import Int64
from scheduler.placement.tables import min_plus

COARSE_BITS = 40
"""Reduced costs are counted in so many leading bits of the first word, so that products fit a word."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reduced:
    """`excess`: int64[rows], by how much a row costs more than the best of its child, in reduced
    cost; `least`: int64[children + 1], running sums of the best; `price` per unit; `bound` for the
    whole; all in units of 2^shift of the first word. `units`: int64[rows], what each row stands for."""

    excess: Int64
    least: Int64
    price: int
    bound: int
    shift: int
    units: Int64


def fold_exactly(
    tables: list[Int64], *, target: int, digit: int, ceiling: int | None = None
) -> tuple[Int64, Int64] | None:
    """The least cost (int64[words]) of `target` units over tables of int64[units + 1, words], and
    int64[children], the units of each; None when they cannot hold so many, or only at more than
    `ceiling` in the first word. Of equal answers the last child takes least, then the one before it.

    `digit`: one unit of the leading term in the first word, by whose quarter the first ceiling lies above
    the bound: a fold costs about the square of that distance, so a guess that was too low is cheap.
    """
    if len(tables) == 1:
        return _of_one(tables[0], target, ceiling)
    starts = np.concatenate(([0], np.cumsum([len(one) for one in tables])))
    if int(starts[-1]) - len(tables) < target:
        return None
    cost = np.ascontiguousarray(np.concatenate(tables))
    reduced = _reduced(cost, starts, target)
    highest = int(np.where(cost[:, 0] < INFEASIBLE, cost[:, 0], 0).max(initial=0)) * len(tables)
    raised = max(digit // 4, 1)
    limit = ceiling if ceiling is not None else ((reduced.bound + 1) << reduced.shift) + raised
    while True:
        found = _fold(cost, starts, reduced, (limit >> reduced.shift) - reduced.bound, target)
        if found is not None and int(found[0][0]) <= limit:
            return found
        if ceiling is not None or limit > highest:
            return None
        limit, raised = limit + raised, raised * 4


def _of_one(table: Int64, target: int, ceiling: int | None) -> tuple[Int64, Int64] | None:
    """As `fold_exactly` for a single child: there is nothing to choose."""
    if len(table) <= target or table[target, 0] >= INFEASIBLE:
        return None
    if ceiling is not None and table[target, 0] > ceiling:
        return None
    return table[target].copy(), np.array([target])


def _reduced(cost: Int64, starts: Int64, target: int) -> _Reduced:
    real = cost[:, 0] < INFEASIBLE
    top = int(cost[real, 0].max(initial=0))
    shift = max(top.bit_length() - COARSE_BITS, 0)
    coarse = np.where(real, cost[:, 0] >> shift, INFEASIBLE)
    price = int((compiled("multiplier") or _multiplier)(coarse, starts, target))
    sizes = starts[1:] - starts[:-1]
    units = np.arange(len(cost)) - np.repeat(starts[:-1], sizes)
    value = np.where(real, coarse - price * units, INFEASIBLE)
    best = np.minimum.reduceat(value, starts[:-1])
    least = np.zeros(len(starts), dtype=np.int64)
    np.cumsum(best, out=least[1:])
    excess = np.where(real, value - np.repeat(best, sizes), INFEASIBLE)
    return _Reduced(excess, least, price, price * target + int(least[-1]), shift, units)


def _multiplier(cost: Int64, starts: Int64, target: int) -> int:
    """As `kernels.multiplier`."""
    units = np.arange(len(cost)) - np.repeat(starts[:-1], np.diff(starts))
    real = cost < INFEASIBLE
    low, high = 0, int(cost[real].max(initial=0)) + 1
    while low < high:
        price = (low + high) // 2
        value = np.where(real, cost - price * units, INFEASIBLE)
        best = np.repeat(np.minimum.reduceat(value, starts[:-1]), np.diff(starts))
        total = int(np.maximum.reduceat(np.where(value == best, units, 0), starts[:-1]).sum())
        low, high = (low, price) if total >= target else (price + 1, high)
    return low


def _fold(cost: Int64, starts: Int64, reduced: _Reduced, gap: int, target: int) -> tuple[Int64, Int64] | None:
    """The fold without the rows and totals whose reduced cost is beyond `gap`."""
    if gap < 0:
        return None
    loop = compiled("fold")
    if loop is None:
        return _fold_arrays(cost, starts, reduced, gap, target)
    high = np.maximum.reduceat(np.where(reduced.excess <= gap, reduced.units, 0), starts[:-1])
    most = np.append(np.cumsum(high[::-1])[::-1], 0)
    words, choice = loop(cost, starts, reduced.excess, most, reduced.price, gap, reduced.shift, target)
    if words[0] >= INFEASIBLE:
        return None
    taken, left = np.zeros(len(choice), dtype=np.int64), target
    for child in range(len(choice) - 1, -1, -1):
        taken[child] = choice[child, left]
        left -= int(taken[child])
    return words, taken


def _fold_arrays(
    cost: Int64, starts: Int64, reduced: _Reduced, gap: int, target: int
) -> tuple[Int64, Int64] | None:
    """As `kernels.fold`: totals from `low` on, each with the units that the child takes."""
    alive = [np.flatnonzero(own <= gap) for own in np.split(reduced.excess, starts[1:-1])]
    rest = np.concatenate((np.cumsum([int(one[-1]) for one in alive][::-1])[::-1], [0]))
    prefix, low = np.zeros((1, cost.shape[1]), dtype=np.int64), 0
    steps: list[tuple[Int64, int]] = []
    for child, every in enumerate(alive):
        own = every[every <= target - low]
        if not own.size:
            return None
        first, last = int(own[0]), int(own[-1])
        right = np.full((last - first + 1, cost.shape[1]), 0, dtype=np.int64)
        right[:, 0] = INFEASIBLE
        right[own - first] = cost[starts[child] + own]
        after, choice = min_plus(prefix, right, target - low - first)
        low += first
        totals = low + np.arange(len(after))
        beyond = (after[:, 0] >> reduced.shift) - reduced.price * totals - reduced.least[child + 1] > gap
        kept = np.flatnonzero(
            ~beyond & (after[:, 0] < INFEASIBLE) & (totals + rest[child + 1] >= target) & (totals <= target)
        )
        if not kept.size:
            return None
        after[beyond, 0] = INFEASIBLE
        begin, end = int(kept[0]), int(kept[-1]) + 1
        prefix, low = after[begin:end], low + begin
        steps.append((choice[begin:end] + first, low))
    taken, left = np.zeros(len(alive), dtype=np.int64), target
    for child in range(len(alive) - 1, -1, -1):
        choice, offset = steps[child]
        taken[child] = choice[left - offset]
        left -= int(taken[child])
    return prefix[target - low].copy(), taken
