"""Heuristics to compare with: what schedulers do that do not solve. They see the same problems.

Each answers a node per pod, or None when it finds no room. None of them backtracks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from scheduler.placement.check import violations
from scheduler.placement.problem import Int32, Int64, PlacementProblem, slots

Rival = Callable[[PlacementProblem], Int32 | None]


def first_fit(problem: PlacementProblem) -> Int32 | None:
    """Nodes in the order of their names, each filled before the next."""
    room = slots(problem, 0)
    return _filled(problem, room, np.flatnonzero(room))


def best_fit(problem: PlacementProblem) -> Int32 | None:
    """Nodes with the least free capacity first, wherever they are."""
    room = slots(problem, 0)
    nodes = np.flatnonzero(room)
    return _filled(problem, room, nodes[np.argsort(_free(problem)[nodes], kind="stable")])


def emptiest_first(problem: PlacementProblem) -> Int32 | None:
    """Every pod on the node with the most free capacity at that moment (kube-scheduler's default leaning)."""
    room, free = slots(problem, 0), _free(problem).copy()
    asked = int(problem.shapes[0].requests[problem.primary])
    nodes = np.empty(problem.pods, dtype=np.int32)
    for pod in range(problem.pods):
        at = int(np.where(room > 0, free, -1).argmax())
        if room[at] <= 0:
            return None
        nodes[pod] = at
        room[at] -= 1
        free[at] -= asked
    return _judged(problem, nodes)


def at_random(problem: PlacementProblem, *, seed: int) -> Int32 | None:
    """Every pod on any node that has room for it then. The draw hangs on the seed, the gang's size and what
    is free, so the same question has the same answer."""
    state = blake2b(problem.cluster.free.tobytes(), digest_size=8).hexdigest()
    draw = random.Random(f"random-{seed}-{problem.pods}-{state}")
    room = slots(problem, 0)
    open_nodes = np.flatnonzero(room).tolist()
    nodes = np.empty(problem.pods, dtype=np.int32)
    for pod in range(problem.pods):
        if not open_nodes:
            return None
        at = draw.randrange(len(open_nodes))
        nodes[pod] = open_nodes[at]
        room[nodes[pod]] -= 1
        if not room[nodes[pod]]:
            open_nodes.pop(at)
    return _judged(problem, nodes)


_UNASKED = {"cpu": 100, "memory": 200 << 20}
"""What kube-scheduler's scores take a pod for that asks for no CPU or memory (millis, bytes)."""


def stock_scores(problem: PlacementProblem) -> Int32 | None:
    """Pod after pod by kube-scheduler's default scores of resources, each of weight 1: least allocated and
    balanced allocation of CPU and memory, in whole points. GPUs only fit or do not. Of equal nodes
    the first, where kube-scheduler draws one; its other scores have nothing to tell apart here."""
    room, cluster = slots(problem, 0), problem.cluster
    rows = [cluster.resources.index(name) for name in _UNASKED if name in cluster.resources]
    total = np.maximum(cluster.total[rows], 1).astype(np.float64)
    free = cluster.free[rows].astype(np.float64)
    asks = [float(problem.shapes[0].requests[row]) or _UNASKED[cluster.resources[row]] for row in rows]
    asked = np.array(asks)[:, None]
    nodes = np.empty(problem.pods, dtype=np.int32)
    for pod in range(problem.pods):
        if not (room > 0).any():
            return None
        left = np.clip((free - asked) / total, 0, 1)
        points = (100 * left).astype(np.int64).mean(axis=0).astype(np.int64)
        points += (100 * (1 - left.std(axis=0))).astype(np.int64)
        at = int(np.where(room > 0, points, -1).argmax())
        nodes[pod] = at
        room[at] -= 1
        free[:, at] -= asked[:, 0]
    return _judged(problem, nodes)


def greedy_groups(problem: PlacementProblem) -> Int32 | None:
    """Group by group down the tree, as topology-aware schedulers of today do: the tightest domain of
    the finest level that holds the group, inside it the largest children first, and the last
    of them the tightest that suffices."""
    room = slots(problem, 0)
    nodes = np.empty(problem.pods, dtype=np.int32)
    rule = min(problem.rules, key=lambda one: int(np.bincount(one.block_of[one.block_of >= 0]).max()))
    levels = [problem.cluster.domain_of(level) for level in problem.cluster.levels]
    for block in range(int(rule.block_of.max()) + 1):
        pods = np.flatnonzero(rule.block_of == block)
        counts = _Tree(levels, room).descend(len(pods))
        if counts is None:
            return None
        nodes[pods] = np.repeat(np.arange(problem.cluster.size), counts)
        room = room - counts
    return _judged(problem, nodes)


RIVALS: Mapping[str, Rival] = {
    "first-fit": first_fit,
    "best-fit": best_fit,
    "emptiest-first": emptiest_first,
    "kube-scheduler": stock_scores,
    "greedy-groups": greedy_groups,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """The domain of every node per level, coarse to fine, and the pods that every node could take."""

    levels: list[Int32]
    room: Int64

    def descend(self, pods: int) -> Int64 | None:
        """int64[nodes]: pods per node of one group; None when the cluster has no room for it."""
        everyone = np.zeros(len(self.room), dtype=np.int32)
        for depth in range(len(self.levels) - 1, -2, -1):
            domain = self.levels[depth] if depth >= 0 else everyone
            held = np.bincount(domain, weights=self.room)
            fitting = np.flatnonzero(held >= pods)
            if fitting.size:
                chosen = fitting[held[fitting].argmin()]
                counts = np.zeros(len(self.room), dtype=np.int64)
                self._share(depth + 1, np.flatnonzero(domain == chosen), pods, counts)
                return counts
        return None

    def _share(self, depth: int, nodes: Int64, pods: int, counts: Int64) -> None:
        """Share so many pods over the children that these nodes form."""
        if depth == len(self.levels):
            counts[nodes[0]] = pods
            return
        children, inverse = np.unique(self.levels[depth][nodes], return_inverse=True)
        held = np.bincount(inverse, weights=self.room[nodes]).astype(np.int64)
        left, open_children = pods, sorted(range(len(children)), key=lambda at: (-held[at], at))
        while left:
            enough = [at for at in open_children if held[at] >= left]
            at = min(enough, key=lambda one: (held[one], one)) if enough else open_children[0]
            taken = min(left, int(held[at]))
            self._share(depth + 1, nodes[inverse == at], taken, counts)
            open_children.remove(at)
            left -= taken


def _free(problem: PlacementProblem) -> Int64:
    free: Int64 = problem.cluster.free[problem.primary]
    return free


def _filled(problem: PlacementProblem, room: Int64, order: Int64) -> Int32 | None:
    running = np.cumsum(room[order])
    if not len(running) or running[-1] < problem.pods:
        return None
    last = int(np.searchsorted(running, problem.pods))
    counts = room[order[: last + 1]].copy()
    counts[-1] -= running[last] - problem.pods
    return _judged(problem, np.repeat(order[: last + 1], counts).astype(np.int32))


def _judged(problem: PlacementProblem, nodes: Int32) -> Int32 | None:
    """The answer, unless it breaks a required level: a heuristic does not try again."""
    if any(rule.required for rule in problem.rules) and violations(problem, nodes):
        return None
    return nodes
