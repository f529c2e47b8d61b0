"""Chains of domains against brute force over every way to part them into groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.placement.chains import least_hops
from scheduler.placement.check import violations
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits
from tests.placement.instances import cluster, problem


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for at in range(len(rest)):
            yield [*rest[:at], [items[0], *rest[at]], *rest[at + 1 :]]


def brute_force(
    rest: list[int], outer: list[int], hub: list[int], *, stages: int, extra: int
) -> tuple[int, int] | None:
    costs = []
    for groups in partitions(list(range(len(rest)))):
        if any(len({hub[at] for at in group}) > 1 for group in groups):
            continue
        if sum(sum(rest[at] for at in group) // stages for group in groups) >= extra:
            coarse = sum(len({outer[at] for at in group}) - 1 for group in groups)
            costs.append((coarse, sum(len(group) - 1 for group in groups)))
    return min(costs, default=None)


def test_chains_hop_as_little_as_any_grouping() -> None:
    found = needed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        size, stages = int(rng.integers(2, 8)), int(rng.integers(2, 8))
        rest = rng.integers(0, stages, size).tolist()
        outer = np.sort(rng.integers(0, 3, size)).tolist()
        hub = [0] * size if rng.random() < 0.6 else outer
        extra = int(rng.integers(1, max(sum(rest) // stages, 1) + 1))
        truth = brute_force(rest, outer, hub, stages=stages, extra=extra)
        chains = least_hops(rest, outer, hub, stages=stages, extra=extra, limit_s=5.0)
        assert (chains is None) == (truth is None), seed
        if chains is None:
            continue
        found += 1
        assert chains.least == truth, seed
        assert (chains.coarse, chains.fine) == truth, seed
        assert sum(len(path) - 1 for path in chains.paths) == chains.fine, seed
        assert sum(sum(rest[at] for at in path) // stages for path in chains.paths) >= extra, seed
        assert len({at for path in chains.paths for at in path}) == sum(map(len, chains.paths)), seed
        needed += chains.coarse > 0
    assert 60 < found < 150
    assert needed > 10


def test_pipelines_over_many_leaves_have_proven_hops() -> None:
    """40 leaves in 5 spines, replicas of 6 stages of 2 pods each; far too many for one integer model."""
    hopping = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        leaf = np.repeat(np.arange(40), 8)
        free = np.where(rng.random(len(leaf)) < 0.6, 8, 0)
        nodes = cluster(
            free.tolist(), [8] * len(leaf), {"spine": (leaf // 8).tolist(), "leaf": leaf.tolist()}
        )
        most = int((np.bincount(leaf, weights=free > 0).astype(np.int64) // 2).sum()) // 6
        case = problem(nodes, pods=12 * (most - 2), gpus=8, tp=2, stages=6, required={"tp": "leaf"})
        answer = place(case, limits=Limits())
        assert isinstance(answer, Assignment)
        assert violations(case, answer.nodes) == ()
        assert answer.nodes.tolist() == place(case).nodes.tolist()  # type: ignore[union-attr]
        terms = {term.term: term for term in answer.terms}
        assert terms["pipeline_hops_spine"].value == terms["pipeline_hops_spine"].bound, seed
        hopping += terms["pipeline_hops_leaf"].value == terms["pipeline_hops_leaf"].bound > 0
    assert hopping >= 4
