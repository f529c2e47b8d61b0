"""Gangs of one pod shape on nested levels, as a tree of domains.

With identical pods a domain's capacity is a closed form: whole blocks (tensor
parallel groups, pipelines, groups) that must stay inside a domain of some level
make the domain's pods a multiple of the block size there, its *step*. This
module turns a placement problem into that form, or says that it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scheduler.placement.problem import NODE, Int32, Int64, PlacementProblem, ScopeRule, slots
from scheduler.placement.runs import runs, summed
from topology.model import Partition


@dataclass(frozen=True, slots=True, eq=False)
class TreeLevel:
    """One level of the tree: the names it answers to (identical partitions are one
    level), the domain of every node, int32[nodes] (-1 outside the tree), and the
    first node of every domain, int32[domains]."""

    names: tuple[str, ...]
    domain_of: Int32
    domains: int
    first: Int32


@dataclass(frozen=True, slots=True, eq=False)
class TreeForm:
    """A problem in tree form.

    `levels` coarse to fine, the node level last; `step[i]`: pods per indivisible
    block inside a domain of level i; `capacity[i]`: int64[domains], pods each domain
    of level i can hold, whole blocks only; `blocks`: size in pods of each scope's
    blocks, and the finest level index each is bound to (-1: none); `room`:
    int64[nodes], pods per node, blocks aside.
    """

    levels: tuple[TreeLevel, ...]
    step: tuple[int, ...]
    capacity: tuple[Int64, ...]
    blocks: dict[str, tuple[int, int]]
    room: Int64

    def room_at(self, level: int) -> Int64:
        """int64[domains]: pods that each domain of a level could hold, blocks aside."""
        own = self.levels[level].domain_of
        if self.levels[level].domains == len(own):
            return self.room
        inside = own >= 0
        return np.bincount(
            own[inside], weights=self.room[inside], minlength=self.levels[level].domains
        ).astype(np.int64)

    def position(self, name: str) -> int:
        """Index of the tree level that a level name belongs to."""
        return next(i for i, level in enumerate(self.levels) if name in level.names)


def tree_form(problem: PlacementProblem, *, ever: bool = False) -> TreeForm | None:
    """The problem as a tree, or None when it is not one: several shapes, members that
    already run, blocks of unequal size, parties that keep apart, or levels that do not nest. With
    `ever`, on the nodes as they would be with nothing running on them."""
    shapes = problem.shape_of
    if not len(shapes) or (shapes != shapes[0]).any() or (problem.fixed >= 0).any():
        return None
    if any(rule.binds for rule in problem.apart):
        return None
    sizes = _block_sizes(problem)
    if sizes is None:
        return None
    room = slots(problem, int(problem.shape_of[0]), ever=ever)
    levels = _levels(problem.cluster.partitions)
    if levels is None:
        levels = _nest(problem.cluster.partitions, np.flatnonzero(room > 0).astype(np.int32))
    if levels is None:
        return None
    position = {name: i for i, level in enumerate(levels) for name in level.names}
    blocks = _bind_blocks(problem.rules, sizes, position)
    step = _steps(blocks, problem.pods, len(levels))
    return TreeForm(levels, step, _capacities(levels, step, room), blocks, room)


def _block_sizes(problem: PlacementProblem) -> dict[str, int] | None:
    """Pods per block of each scope, when all blocks of a scope are equal, cover every
    pod and lie inside the blocks of the scope above."""
    sizes: dict[str, int] = {}
    outer: Int32 | None = None
    for rule in problem.rules:
        if rule.scope in sizes or (rule.block_of < 0).any():
            return None
        counts = np.bincount(rule.block_of)
        if counts.min() != counts.max():
            return None
        if outer is not None and not _refines(rule.block_of, outer):
            return None
        sizes[rule.scope], outer = int(counts[0]), rule.block_of
    return sizes


def _refines(inner: Int32, outer: Int32) -> bool:
    first = np.zeros(int(inner.max(initial=-1)) + 1, dtype=outer.dtype)
    first[inner] = outer
    return bool((first[inner] == outer).all())


@lru_cache(maxsize=16)
def _levels(partitions: tuple[Partition, ...]) -> tuple[TreeLevel, ...] | None:
    """The partitions as nested levels, or None; cached, since a fabric changes seldom."""
    if not partitions:
        return None
    return _nest(partitions, np.arange(len(partitions[0].domain_of), dtype=np.int32))


def _nest(partitions: tuple[Partition, ...], nodes: Int32) -> tuple[TreeLevel, ...] | None:
    """The levels as a chain when they nest on the given nodes; equal ones become one level."""
    everyone = np.arange(len(nodes), dtype=np.int32)
    ordered = sorted(
        ((p.name, p.domain_of[nodes]) for p in partitions), key=lambda item: np.unique(item[1]).size
    )
    levels: list[TreeLevel] = []
    for name, domain_of in [*ordered, (NODE, everyone)]:
        if levels and not _refines(domain_of, levels[-1].domain_of[nodes]):
            return None
        if levels and _refines(levels[-1].domain_of[nodes], domain_of):
            last = levels.pop()
            levels.append(_level((*last.names, name), domain_of, nodes, len(partitions[0].domain_of)))
        else:
            levels.append(_level((name,), domain_of, nodes, len(partitions[0].domain_of)))
    return tuple(levels)


def _level(names: tuple[str, ...], domain_of: Int32, nodes: Int32, size: int) -> TreeLevel:
    whole = np.full(size, -1, dtype=np.int32)
    whole[nodes] = np.unique(domain_of, return_inverse=True)[1]
    domains = int(whole.max(initial=-1)) + 1
    sample = np.zeros(domains, dtype=np.int32)
    sample[whole[nodes][::-1]] = nodes[::-1]
    return TreeLevel(names, whole, domains, sample)


def _bind_blocks(
    rules: tuple[ScopeRule, ...], sizes: dict[str, int], position: dict[str, int]
) -> dict[str, tuple[int, int]]:
    """Each scope's block size and the level it is bound to: its own, or a finer one of a scope around it."""
    bound = -1
    blocks: dict[str, tuple[int, int]] = {}
    for rule in rules:
        bound = max(bound, *(position[level] for level in rule.required), -1)
        blocks[rule.scope] = (sizes[rule.scope], bound)
    return blocks


def _steps(blocks: dict[str, tuple[int, int]], pods: int, levels: int) -> tuple[int, ...]:
    return tuple(
        max((size for size, bound in blocks.values() if bound >= level and size <= pods), default=1)
        for level in range(levels)
    )


def _capacities(levels: tuple[TreeLevel, ...], step: tuple[int, ...], room: Int64) -> tuple[Int64, ...]:
    """Pods per domain, from the nodes up: sums of the children, whole blocks only."""
    capacity = [_whole(room if levels[-1].domains == len(room) else room[levels[-1].first], step[-1])]
    below = levels[-1]
    for level, size in zip(reversed(levels[:-1]), reversed(step[:-1]), strict=True):
        capacity.insert(0, _whole(summed(capacity[0], *owners(below, level)), size))
        below = level
    return tuple(capacity)


def _whole(pods: Int64, size: int) -> Int64:
    return pods if size == 1 else pods // size * size


@lru_cache(maxsize=128)  # levels are as lasting as the fabric
def parents(fine: TreeLevel, coarse: TreeLevel) -> Int32:
    """int32[fine domains]: the coarse domain that each fine domain lies in."""
    found = coarse.domain_of[fine.first]
    found.setflags(write=False)
    return found


@lru_cache(maxsize=128)
def owners(fine: TreeLevel, coarse: TreeLevel) -> tuple[Int32, Int64 | None, int]:
    """How `problem.summed` adds up what fine domains have over the coarse ones."""
    return parents(fine, coarse), runs(parents(fine, coarse)), coarse.domains
