"""How many groups of each size are somewhere, as states, and how two places share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.problem import Int64

MOST_PAIRS = 40_000
"""Pairs of states beyond which the integer model is asked: 3^8 for eight groups of eight sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """`size`, `groups`: int64[states], pods and how many groups they are; `left`, `right`: int64[pairs] whose
    sum is a state, sorted by it; `start`: int64[states], where the pairs of a state begin."""

    size: Int64
    groups: Int64
    left: Int64
    right: Int64
    start: Int64

    def join(self, one: Int64, other: Int64) -> Int64:
        """int64[states, words]: the least cost of every state, parted between two domains."""
        sums = one[self.left] + other[self.right]
        state = np.repeat(np.arange(len(self.size)), np.diff([*self.start.tolist(), len(self.left)]))
        found = np.empty((len(self.size), sums.shape[1]), dtype=np.int64)
        for word in range(sums.shape[1]):
            found[:, word] = np.minimum.reduceat(sums[:, word], self.start)
            if word + 1 < sums.shape[1]:
                sums[sums[:, word] > found[state, word], word + 1] = INFEASIBLE
        found[found[:, 0] >= INFEASIBLE] = INFEASIBLE
        return found

    def part(self, one: Int64, other: Int64, state: int) -> tuple[int, int]:
        """The states of the two domains that give the least cost of a state."""
        end = self.start[state + 1] if state + 1 < len(self.start) else len(self.left)
        own = slice(int(self.start[state]), int(end))
        sums = one[self.left[own]] + other[self.right[own]]
        at = own.start + int(np.lexsort(sums[:, ::-1].T)[0])
        return int(self.left[at]), int(self.right[at])


def states_of(sizes: Sequence[int], counts: Sequence[int]) -> States | None:
    """Every number of groups of each size, and every pair of them that adds up to one."""
    pairs = 1
    for count in counts:
        pairs *= (count + 1) * (count + 2) // 2
    if pairs > MOST_PAIRS:
        return None
    size, groups, left, right = (np.zeros(1, dtype=np.int64) for _ in range(4))
    stride = 1
    for pods, count in zip(sizes, counts, strict=True):
        some = np.arange(count + 1, dtype=np.int64)
        size = (some[:, None] * pods + size[None]).ravel()
        groups = (some[:, None] + groups[None]).ravel()
        one, other = (a.ravel() for a in np.meshgrid(some, some, indexing="ij"))
        kept = one + other <= count
        left = (one[kept][:, None] * stride + left[None]).ravel()
        right = (other[kept][:, None] * stride + right[None]).ravel()
        stride *= count + 1
    order = np.argsort(left + right, kind="stable")
    total = (left + right)[order]
    return States(size, groups, left[order], right[order], np.searchsorted(total, np.arange(stride)))
