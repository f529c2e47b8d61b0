"""Cost tables of subtrees and how they fold: the min-plus knapsack on a tree.

A table answers, for every number of pods that a subtree can take, the least cost
(a row of words, compared in order) and how it is reached. Costs are exact
integers, so the fold of exact tables is exact: the algorithm is its own proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.problem import Int64, UInt64
from scheduler.placement.shelves import Shelf


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """A table over single nodes that charge only for being used.

    `nodes`: int64[nodes]; `cost`: int64[units + 1, words], the least cost of *at least*
    so many units; `picks`: per class of equal nodes, the nodes and how many are taken.
    """

    cost: Int64
    unit: int
    classes: tuple[tuple[Int64, int], ...]
    choices: tuple[Int64, ...]

    def assign(self, units: int, counts: Int64) -> None:
        """Write the pods per node of the best way to place so many units."""
        chosen: list[tuple[int, int]] = []
        left = units
        for (nodes, size), choice in zip(reversed(self.classes), reversed(self.choices), strict=True):
            taken = int(choice[left])
            chosen += [(int(node), size) for node in nodes[:taken]]
            left = max(left - taken * size, 0)
        rest = units
        for node, size in sorted(chosen, key=lambda item: (-item[1], item[0])):
            counts[node] = min(size, rest) * self.unit
            rest -= min(size, rest)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A table over children: `cost` int64[units + 1, words] in units of `unit` pods,
    `choices[i]` the units that child i takes for every total up to it."""

    cost: Int64
    unit: int
    step: int
    children: tuple[Table, ...]
    choices: tuple[Int64, ...]

    def assign(self, units: int, counts: Int64) -> None:
        """Write the pods per node of the best way to place so many steps of this table."""
        left = units * self.step
        for child, choice in zip(reversed(self.children), reversed(self.choices), strict=True):
            taken = int(choice[left])
            child.assign(taken, counts)
            left -= taken


Table = Atoms | Folded | Shelf


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The whole gang over tables of parts: `cost` int64[words], and the units that each part takes."""

    cost: Int64
    parts: tuple[tuple[Table, int], ...]

    def assign(self, counts: Int64) -> None:
        """Write the pods per node."""
        for table, units in self.parts:
            if units:
                table.assign(units, counts)


def atoms(nodes: Int64, sizes: Int64, price: Int64, *, limit: int, unit: int) -> Atoms:
    """The table over single nodes: `sizes` int64[nodes] in units, `price` int64[nodes, words].

    Exact because a node costs the same however full it is: of two partly filled nodes
    one can always be filled further or emptied. Nodes of equal size and price are one
    class, of which the first by index are taken.
    """
    rows = np.column_stack([sizes, price])
    if len(rows) and (rows == rows[0]).all():  # mostly so, and much faster than sorting
        keys, first, inverse = rows[:1], np.zeros(1, np.int64), np.zeros(len(rows), np.int64)
    else:
        keys, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    words = price.shape[1]
    total = min(limit, int(sizes.sum()))
    cost = np.full((total + 1, words), 0, dtype=np.int64)
    cost[1:, 0] = INFEASIBLE
    classes, choices = [], []
    for index in np.argsort(first, kind="stable"):
        members = nodes[inverse.ravel() == index]
        size = int(keys[index, 0])
        cost, choice = _cover(cost, size, keys[index, 1:], len(members))
        classes.append((members, size))
        choices.append(choice)
    return Atoms(cost, unit, tuple(classes), tuple(choices))


def _cover(cost: Int64, size: int, price: Int64, count: int) -> tuple[Int64, Int64]:
    """Least cost of at least k units when up to `count` nodes of one class may be added."""
    total = len(cost) - 1
    taken = np.arange(min(count, -(-total // size)) + 1)
    before = np.maximum(np.arange(total + 1)[:, None] - taken * size, 0)
    options = cost[before] + taken[None, :, None] * price
    choice = lexicographic_argmin(options)
    return options[np.arange(total + 1), choice], choice


def fold(children: list[Table], *, limit: int, unit: int, step: int, words: int) -> Folded:
    """The table over several children, each in units of `unit` pods; totals in steps of
    `step` units, at most `limit` units. Ties go to the children that come first."""
    cost = np.zeros((1, words), dtype=np.int64)
    choices = []
    for child in children:
        cost, choice = min_plus(cost, child.cost, limit)
        choices.append(choice)
    return Folded(cost[::step], unit, step, tuple(children), tuple(choices))


def min_plus(left: Int64, right: Int64, limit: int) -> tuple[Int64, Int64]:
    """cost[k] = least left[k - j] + right[j], and the smallest such j, for k up to `limit`;
    both int64[units + 1, words]."""
    total = min(limit, len(left) + len(right) - 2)
    if len(left) == 1:
        return right[: total + 1] + left, np.arange(total + 1)
    words, width = left.shape[1], len(right)
    padded = np.zeros((total + width, words), dtype=np.int64)
    padded[:, 0] = INFEASIBLE
    shown = min(len(left), total + 1)
    padded[width - 1 : width - 1 + shown] = left[:shown]
    windows = sliding_window_view(padded, width, axis=0)[: total + 1, :, ::-1]
    options = windows.transpose(0, 2, 1) + right[None]
    choice = lexicographic_argmin(options)
    cost = options[np.arange(total + 1), choice]
    cost[:, 0] = np.minimum(cost[:, 0], INFEASIBLE)
    return cost, choice


def lexicographic_argmin(options: Int64) -> Int64:
    """int64[k]: for options int64[k, choices, words], the first choice of least cost in word order."""
    column = options[:, :, 0]
    if options.shape[2] == 1:
        return np.asarray(column.argmin(axis=1))
    best = column == column.min(axis=1, keepdims=True)
    for word in range(1, options.shape[2]):
        column = np.where(best, options[:, :, word], np.iinfo(np.int64).max)
        best &= column == column.min(axis=1, keepdims=True)
    return np.asarray(best.argmax(axis=1))


def fingerprint(values: Int64 | UInt64, prices: Int64) -> UInt64:
    """A 64-bit fingerprint per row; sums of fingerprints stand for multisets of children."""
    state = values.astype(np.uint64)
    for word in range(prices.shape[1] + 1):
        state = (state ^ (state >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        if word < prices.shape[1]:
            state = state + prices[:, word].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    return state ^ (state >> np.uint64(29))
