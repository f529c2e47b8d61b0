"""Sums over domains, fast where the nodes of a domain stand together."""

from __future__ import annotations

import numpy as np

from scheduler.placement.problem import Int32, Int64


def runs(ids: Int32) -> Int64 | None:
    """Where each id from 0 on starts, when equal ids stand together in order and none is missing."""
    if not len(ids):
        return None
    first = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
    in_order = len(first) == int(ids.max()) + 1 and bool((ids[first] == np.arange(len(first))).all())
    return first if in_order else None


def summed(values: Int64, ids: Int32, starts: Int64 | None, count: int) -> Int64:
    """int64[count]: the sum of the values of each id; `starts` as `runs` gives them, which is faster."""
    if starts is not None and len(starts) == count:
        return np.add.reduceat(values, starts)
    return np.bincount(ids, weights=values, minlength=count).astype(np.int64)
