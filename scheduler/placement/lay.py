"""From pods per node to a node per rank: neighbours in rank become neighbours in the fabric."""

from __future__ import annotations

import numpy as np

from scheduler.placement.problem import Int32, Int64, PlacementProblem
from scheduler.placement.tree import TreeForm


def lay(problem: PlacementProblem, form: TreeForm, counts: Int64) -> Int32:
    """int32[pods]: the node of every rank, given pods per node (int64[nodes]).

    Nodes are taken in the order of their domains, coarse to fine. Blocks (tensor
    parallel groups, then pipelines, then groups) are cut so that as many as possible
    lie whole in the smallest domain; what is left over joins in the next coarser one.
    """
    used = np.flatnonzero(counts)
    keys = [level.domain_of[used] for level in form.levels]
    order = used[np.lexsort(keys[::-1])]
    slots = np.repeat(order, counts[order])
    sizes = [size for size, _ in reversed(list(form.blocks.values())) if 1 < size < problem.pods]
    if sizes:
        slots = _bundled(slots, form, sizes)
    nodes = np.empty(problem.pods, dtype=np.int32)
    nodes[_rank_order(problem)] = slots
    return nodes


def _rank_order(problem: PlacementProblem) -> Int64:
    """Pods so that every block's members stand together, blocks in order of their first rank."""
    keys = [np.arange(problem.pods)]
    keys += [rule.block_of.astype(np.int64) for rule in reversed(problem.rules)]
    return np.lexsort(keys)


def _bundled(slots: Int64, form: TreeForm, sizes: list[int]) -> Int64:
    paths = np.column_stack([level.domain_of[slots] for level in form.levels])
    members, done = np.arange(len(slots))[:, None], 1
    for size in sizes:
        paths, members = _bundle(paths, members, size // done)
        done = size
    return slots[members.ravel()]


def _bundle(paths: Int32, members: Int64, size: int) -> tuple[Int32, Int64]:
    """Bundles of `size` items, each inside the smallest domain that still has so many left.

    `paths`: int32[items, levels], the domains that an item lies in, -1 where it spans several;
    `members`: int64[items, slots]; the same of the bundles, in order of their first slot.
    """
    if size == 1:
        return paths, members
    made: list[tuple[Int32, Int64]] = []
    for length in range(paths.shape[1], -1, -1):
        if not len(paths):
            break
        changes = (paths[1:, :length] != paths[:-1, :length]).any(axis=1)
        starts = np.flatnonzero(np.concatenate(([True], changes)))
        counts = np.diff(np.append(starts, len(paths)))
        at = np.arange(len(paths)) - np.repeat(starts, counts)
        whole = at < np.repeat(counts // size * size, counts)
        if whole.any():
            first = paths[whole][::size].copy()
            first[:, length:] = -1
            made.append((first, members[whole].reshape(len(first), -1)))
        paths, members = paths[~whole], members[~whole]
    paths, members = (np.concatenate(parts) for parts in zip(*made, strict=True))
    order = np.argsort(members[:, 0])
    return paths[order], members[order]
