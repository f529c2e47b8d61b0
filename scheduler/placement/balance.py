"""The least spread of pods per used domain of a level that keeps every earlier term.

Where costs tell only which racks are used (build.on_shelves), how the pods are divided among the
chosen racks is free: the flattest division is found by filling all evenly, and only whether *other* racks
of the same earlier cost could be filled more evenly is asked of the tables. Elsewhere the tables
are solved again inside windows of allowed counts per domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scheduler.placement.build import Scene, on_shelves, solve_within
from scheduler.placement.problem import Int64
from scheduler.placement.prune import Candidates
from scheduler.placement.shelves import Shelf
from scheduler.placement.tables import Whole

WINDOW_SOLVES = 48
"""How many windows may be tried before the balance is left with a gap."""


def balanced(
    scene: Scene, found: Candidates, options: Int64, *, level: int, first: Whole
) -> tuple[Int64, Int64, int]:
    """Cost (int64[words]), pods per node of the tree, and the proven least spread, of the best answer
    with the least spread at a level; `first`: the best answer with the spread aside."""
    if level == len(scene.form.levels) - 2 and on_shelves(scene, found.level, options):
        return _of_racks(scene, found, options, first)
    return _of_windows(scene, found, options, level=level, first=first)


def _of_racks(scene: Scene, found: Candidates, options: Int64, first: Whole) -> tuple[Int64, Int64, int]:
    form, before = scene.form, scene.costs.before_balance
    unit, total = form.step[-2], scene.pods // form.step[-2]
    chosen = _chosen(first)
    shares = _evenly(np.array([len(nodes) // unit for nodes in chosen]), total)
    spread = proven = int(shares.max() - shares.min())
    best, racks = first, chosen
    ceiling = int(first.cost[0]) if before else None
    for width, lows in _narrower(scene, found, len(chosen), total, spread):
        answer: Whole | None = None
        for low in lows:
            one = solve_within(replace(scene, clip=(low, low + width), ceiling=ceiling), found.level, options)
            if one is None or tuple(one.cost[:before]) != tuple(first.cost[:before]):
                continue
            if answer is None or tuple(one.cost) < tuple(answer.cost):
                answer = one
        if answer is not None:
            best, racks, proven = answer, _chosen(answer), width
            shares = _evenly(np.array([len(nodes) // unit for nodes in racks]), total)
            break
    counts = np.zeros(form.levels[-1].domains, dtype=np.int64)
    for nodes, share in zip(racks, shares.tolist(), strict=True):
        counts[nodes[: share * unit]] = 1
    return best.cost, counts, proven * unit


def _chosen(whole: Whole) -> list[Int64]:
    """The nodes of every rack that an answer uses, in order of index."""
    found = [
        nodes
        for table, units in whole.parts
        if units and isinstance(table, Shelf)
        for nodes in table.chosen(units)
    ]
    return sorted(found, key=lambda nodes: int(nodes[0]))


def _evenly(sizes: Int64, total: int) -> Int64:
    """Units per rack, as even as the sizes allow: all filled to one height, the first ones one higher."""
    height, left, open_ = 0, total, len(sizes)
    for size in np.sort(sizes).tolist():
        if (size - height) * open_ >= left:
            break
        left -= (size - height) * open_
        height, open_ = size, open_ - 1
    if open_:
        height, left = height + left // open_, left % open_
    shares = np.minimum(sizes, height)
    shares[np.flatnonzero(sizes > height)[:left]] += 1
    return shares


def _narrower(
    scene: Scene, found: Candidates, racks: int, total: int, spread: int
) -> Iterator[tuple[int, range]]:
    """Widths below `spread` from the least that so many of the largest racks allow, each with the
    least units per rack for which its window could hold the gang, the most first."""
    form, level = scene.form, len(scene.form.levels) - 2
    capacity = form.capacity[level] // form.step[level]
    gone = scene.dropped[level] if level > found.level else None
    largest = np.sort(capacity if gone is None else capacity[~gone])[::-1][:racks]
    smallest, height = int(largest[-1]), int(_evenly(largest, total).max())
    highest = min(smallest, total // racks)
    least = max(height - highest, int(total % racks > 0))
    for width in range(least, spread):
        yield width, range(highest, max(height - width, 1) - 1, -1)


def _of_windows(
    scene: Scene, found: Candidates, options: Int64, *, level: int, first: Whole
) -> tuple[Int64, Int64, int]:
    step, before = scene.form.step[level], scene.costs.before_balance
    counts = _counts(scene, first)
    level_of = scene.form.levels[level].domain_of[scene.form.levels[-1].first]
    pods = np.bincount(level_of, weights=counts).astype(np.int64)
    pods = pods[pods > 0]
    spread, least = int(pods.max() - pods.min()), 0 if scene.pods % (len(pods) * step) == 0 else step
    solves, lower = 0, least
    for width in range(least, spread + 1, step):
        best: Whole | None = None
        for low in _lows(scene.pods, len(pods), width, step):
            solves += 1
            if solves > WINDOW_SOLVES:
                return first.cost, counts, lower
            answer = solve_within(replace(scene, window=(level, low, low + width)), found.level, options)
            if answer is None or tuple(answer.cost[:before]) != tuple(first.cost[:before]):
                continue
            if best is None or tuple(answer.cost) < tuple(best.cost):
                best = answer
        if best is not None:
            return best.cost, _counts(scene, best), width
        lower = width + step
    return first.cost, counts, spread


def _counts(scene: Scene, whole: Whole) -> Int64:
    counts = np.zeros(scene.form.levels[-1].domains, dtype=np.int64)
    whole.assign(counts)
    return counts


def _lows(pods: int, domains: int, width: int, step: int) -> range:
    """Least counts per domain for which a window of this width can hold the average."""
    highest = pods // domains // step * step
    lowest = max(-(-pods // domains) - width, step)
    return range(highest, -(-lowest // step) * step - 1, -step)
