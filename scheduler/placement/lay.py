"""From pods per node to a node per rank: neighbours in rank become neighbours in the fabric."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from scheduler.placement.problem import Int32, Int64, PlacementProblem
from scheduler.placement.tree import TreeForm

Path = tuple[int, ...]


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
    paths = np.column_stack([level.domain_of[slots] for level in form.levels]).tolist()
    bundles = [(tuple(path), [index]) for index, path in enumerate(paths)]
    done = 1
    for size in sizes:
        bundles = _bundle(bundles, size // done, len(form.levels))
        done = size
    return slots[[index for _, members in bundles for index in members]]


def _bundle(items: list[tuple[Path, list[int]]], size: int, depth: int) -> list[tuple[Path, list[int]]]:
    """Bundles of `size` items, each inside the smallest domain that still has so many left."""
    bundles: list[tuple[Path, list[int]]] = []
    for length in range(depth, -1, -1):
        left: list[tuple[Path, list[int]]] = []
        for _, group in groupby(items, key=lambda item: item[0][:length]):
            members = list(group)
            whole = len(members) // size * size
            for start in range(0, whole, size):
                part = members[start : start + size]
                bundles.append((part[0][0][:length], [index for _, inner in part for index in inner]))
            left += members[whole:]
        items = left
    return sorted(bundles, key=lambda bundle: bundle[1][0])
