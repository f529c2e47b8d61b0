"""Placement problems of the sizes that the figures are stated for, from a seed; arrays only, no objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.placement.objective import terms_of
from scheduler.placement.problem import Cluster, PlacementProblem, ScopeRule, ShapeDemand, frozen
from topology.model import Partition

Ids = NDArray[np.int64]


def nvl72(nodes: int, load: float, seed: int) -> Cluster:
    """Racks of 18 nodes with 4 GPUs, 16 racks a spine; every rack has its own load (beta distributed)."""
    rack = np.arange(nodes // 18 * 18) // 18
    return _loaded(rack, 4, load, seed, {"spine": rack // 16, "leaf": rack, "nvlink": rack})


def scattered(nodes: int, share: float, seed: int) -> Cluster:
    """As `nvl72`, with the same share of GPUs in use everywhere: much is free, and no rack wholly."""
    rack = np.arange(nodes // 18 * 18) // 18
    used = np.random.default_rng(seed).binomial(4, share, len(rack))
    levels = {"spine": rack // 16, "leaf": rack, "nvlink": rack}
    return cluster(4 - used, np.full(len(rack), 4), levels)


def hgx(nodes: int, load: float, seed: int) -> Cluster:
    """Nodes with 8 GPUs, leaves of 12 to 20 nodes, 16 leaves a spine; every leaf has its own load."""
    sizes = np.random.default_rng(seed + 1).integers(12, 21, nodes // 12)
    leaf = np.repeat(np.arange(len(sizes)), sizes)[:nodes]
    return _loaded(leaf, 8, load, seed, {"spine": leaf // 16, "leaf": leaf, "nvlink": np.arange(len(leaf))})


def _loaded(unit: Ids, gpus: int, load: float, seed: int, levels: dict[str, Ids]) -> Cluster:
    draw = np.random.default_rng(seed)
    share = draw.beta(3 * load + 0.01, 3 * (1 - load) + 0.01, int(unit.max()) + 1) if load else None
    used = draw.binomial(gpus, share[unit]) if share is not None else np.zeros(len(unit), dtype=np.int64)
    return cluster(gpus - used, np.full(len(unit), gpus), levels)


def cluster(free: Ids, total: Ids, levels: dict[str, Ids]) -> Cluster:
    """Nodes with GPUs only, and their domain per level, coarse to fine."""
    return Cluster(
        names=tuple(f"n{at}" for at in range(len(free))),
        resources=("nvidia.com/gpu",),
        free=frozen(free[None], np.int64),  # type: ignore[arg-type]
        total=frozen(total[None], np.int64),  # type: ignore[arg-type]
        usable=np.ones(len(free), dtype=np.bool_),
        partitions=tuple(_partition(name, domain) for name, domain in levels.items()),
    )


def _partition(name: str, domain: Ids) -> Partition:
    count = int(domain.max()) + 1
    names = tuple(f"{name}{at}" for at in range(count))
    return Partition(name, name, domain.astype(np.int32), names, np.zeros(count, dtype=np.bool_))


def gang(
    nodes: Cluster,
    rules: Sequence[ScopeRule],
    *,
    gpus: Sequence[int],
    shape_of: Sequence[int] | Ids,
    stage_of: Ids | None = None,
    replica_of: Ids | None = None,
    name: str = "bench",
) -> PlacementProblem:
    """A gang with so many GPUs per shape, its pods' shapes, and its rules."""
    everywhere, pods = np.ones(nodes.size, dtype=np.bool_), len(shape_of)
    none = np.full(pods, -1, dtype=np.int32)
    return PlacementProblem(
        gang=name,
        cluster=nodes,
        shapes=tuple(ShapeDemand(frozen([one], np.int64), everywhere, everywhere) for one in gpus),  # type: ignore[arg-type]
        shape_of=np.asarray(shape_of, dtype=np.int32),
        rules=tuple(rules),
        stage_of=none if stage_of is None else stage_of.astype(np.int32),
        replica_of=none if replica_of is None else replica_of.astype(np.int32),
        fixed=none,
        primary=0,
        terms=terms_of(tuple(p.name for p in nodes.partitions), tuple(rules), pipeline=stage_of is not None),
    )


def whole(pods: int, *, required: tuple[str, ...] = (), preferred: tuple[str, ...] = ()) -> ScopeRule:
    """The rule of the gang as a whole."""
    return ScopeRule("gang", "gang", np.zeros(pods, dtype=np.int32), required, preferred)


def blocks(scope: str, sizes: Sequence[int], *required: str) -> ScopeRule:
    """Blocks of so many pods each, one after the other."""
    ids = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return ScopeRule(scope, scope, ids, required)  # type: ignore[arg-type]  # one of the four scopes


def one_rack(nodes: Cluster, pods: int) -> PlacementProblem:
    """Pods that must all be in one leaf."""
    return gang(nodes, [whole(pods, required=("leaf",))], gpus=[4], shape_of=[0] * pods)


def tensor_pairs(nodes: Cluster, pods: int, gpus: int) -> PlacementProblem:
    """Pods in tensor-parallel groups of two, each inside one rack."""
    level = "nvlink" if gpus == 4 else "leaf"
    rules = [whole(pods), blocks("tp", [2] * (pods // 2), level)]
    return gang(nodes, rules, gpus=[gpus], shape_of=[0] * pods)


def preferred_rack(nodes: Cluster, pods: int) -> PlacementProblem:
    """Pods that would rather be in one leaf."""
    return gang(nodes, [whole(pods, preferred=("leaf",))], gpus=[4], shape_of=[0] * pods)


def unequal_groups(racks: int, groups: int, seed: int) -> PlacementProblem:
    """Groups of 2 to 16 whole nodes, each in one rack; racks of 18 with their own load."""
    nodes = nvl72(racks * 18, 0.5, seed)
    sizes = np.random.default_rng(seed).integers(2, 17, groups).tolist()
    pods = sum(sizes)
    return gang(nodes, [whole(pods), blocks("group", sizes, "leaf")], gpus=[4], shape_of=[0] * pods)


def pod_shapes(racks: int, shapes: int, pods: int, seed: int) -> PlacementProblem:
    """Pods of 1 to `shapes` GPUs, so many each, in one gang; racks of 18 nodes with their own load."""
    nodes = nvl72(racks * 18, 0.5, seed)
    shape_of = np.repeat(np.arange(shapes), pods)
    return gang(nodes, [whole(len(shape_of))], gpus=range(1, shapes + 1), shape_of=shape_of)


def pipelines(leaves: int, replicas: int, stages: int, seed: int) -> PlacementProblem:
    """Replicas of a pipeline, a whole node per stage, over leaves of 4 to 16 nodes with their own load."""
    sizes = np.random.default_rng(seed).integers(4, 17, leaves)
    leaf = np.repeat(np.arange(leaves), sizes)
    nodes = _loaded(leaf, 8, 0.4, seed, {"spine": leaf // 16, "leaf": leaf})
    pods = replicas * stages
    rank = np.arange(pods)
    rules = [whole(pods), blocks("pp", [stages] * replicas), blocks("tp", [1] * pods)]
    return gang(
        nodes, rules, gpus=[8], shape_of=[0] * pods, stage_of=rank % stages, replica_of=rank // stages
    )
