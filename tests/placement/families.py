"""Families of the rows of the quality cases: the same kinds of cluster and gang with other numbers.

All are small enough for brute force: up to 6 nodes and 6 pods.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from scheduler.placement.objective import terms_of
from scheduler.placement.problem import Cluster, PlacementProblem, ScopeRule, ShapeDemand, dense, frozen
from tests.placement.instances import partition

Shape = tuple[int, int]
"""GPUs and CPUs of a pod."""


def rack_cluster(rng: np.random.Generator, *, cpus: int = 64, most: int = 6) -> Cluster:
    """Racks of 1 to 3 nodes of 8 GPUs under one or two blocks, some nodes with less free; CPUs abound
    or are scarce, rack by rack."""
    size = int(rng.integers(3, most + 1))
    rack = np.repeat(np.arange(size), rng.integers(1, 4, size))[:size]
    block = rack // int(rng.choice([2, 9]))
    gpus = np.where(rng.random(size) < 0.7, 8, rng.integers(0, 9, size))
    per_rack = rng.choice([cpus, cpus, cpus // 8], int(rack.max()) + 1)
    free = np.array([gpus, per_rack[rack]])
    return Cluster(
        names=tuple(f"n{at}" for at in range(size)),
        resources=("gpu", "cpu"),
        free=np.asarray(free, dtype=np.int64),
        total=np.array([np.full(size, 8), np.full(size, cpus)], dtype=np.int64),
        usable=np.ones(size, dtype=np.bool_),
        partitions=(partition("block", block.tolist()), partition("rack", rack.tolist())),
    )


def gang_of(
    cluster: Cluster,
    groups: list[list[Shape]],
    *,
    required: dict[str, str] | None = None,
    preferred: dict[str, str] | None = None,
    fixed: list[int] | None = None,
) -> PlacementProblem:
    """A gang of groups of pods; constraints as scope -> level."""
    required, preferred = required or {}, preferred or {}
    pods = [shape for group in groups for shape in group]
    kinds = list(dict.fromkeys(pods))
    group = np.repeat(np.arange(len(groups)), [len(one) for one in groups]).astype(np.int32)
    rules = tuple(
        ScopeRule(
            scope,  # type: ignore[arg-type]  # one of the two spelled here
            scope,
            block_of,
            (required[scope],) if scope in required else (),
            (preferred[scope],) if scope in preferred else (),
        )
        for scope, block_of in (("gang", np.zeros(len(pods), dtype=np.int32)), ("group", dense(group)))
    )
    everywhere, none = np.ones(cluster.size, dtype=np.bool_), np.full(len(pods), -1, dtype=np.int32)
    return PlacementProblem(
        gang="default/g",
        cluster=cluster,
        shapes=tuple(ShapeDemand(frozen(list(kind), np.int64), everywhere, everywhere) for kind in kinds),  # type: ignore[arg-type]
        shape_of=np.array([kinds.index(shape) for shape in pods], dtype=np.int32),
        rules=rules,
        stage_of=none,
        replica_of=none,
        fixed=none if fixed is None else np.array(fixed, dtype=np.int32),
        primary=0,
        terms=terms_of(tuple(p.name for p in cluster.partitions), rules, pipeline=False),
    )


def unlike_groups(rng: np.random.Generator) -> PlacementProblem:
    """Groups of unlike appetites, each in one rack: many GPUs with few CPUs beside few with many."""
    cluster = rack_cluster(rng)
    shapes = [(8, 4), (4, 40), (2, 8), (0, 30)]
    groups = [
        [shapes[int(rng.integers(0, 4))]] * int(rng.integers(1, 4)) for _ in range(int(rng.integers(2, 4)))
    ]
    while sum(map(len, groups)) > 6:
        groups.pop()
    required = {"group": "rack"} | ({"gang": "block"} if rng.random() < 0.3 else {})
    return gang_of(cluster, groups, required=required)


def roles_in_one_rack(rng: np.random.Generator) -> PlacementProblem:
    """Prefill, decode and a router without a GPU in one rack, or where they would rather be in one."""
    cluster = rack_cluster(rng, most=5)
    roles = [
        [(8, 8)] * int(rng.integers(1, 3)),
        [(int(rng.choice([2, 4])), 4)] * int(rng.integers(1, 4)),
        [(0, 16)],
    ]
    wish = {"gang": str(rng.choice(["rack", "block"]))}
    if rng.random() < 0.7:
        return gang_of(cluster, roles, required=wish)
    return gang_of(cluster, roles, preferred=wish)


def odd_sizes(rng: np.random.Generator) -> PlacementProblem:
    """Pods of GPU counts that do not divide each other, in any order, on few nodes."""
    cluster = rack_cluster(rng, most=4)
    pods = [(int(rng.choice([2, 3, 3, 4, 5])), 1) for _ in range(int(rng.integers(3, 7)))]
    required = {"gang": "rack"} if rng.random() < 0.4 else {}
    return gang_of(cluster, [pods], required=required)


def lost_members(rng: np.random.Generator) -> PlacementProblem:
    """Most members run, one or two are to be replaced; or whole groups run and one more is added."""
    cluster = rack_cluster(rng)
    sizes = [int(one) for one in rng.integers(1, 4, int(rng.integers(1, 4)))]
    while sum(sizes) > 6:
        sizes.pop()
    groups = [[(8, 4)] * size for size in sizes]
    added = rng.random() < 0.5 and len(sizes) > 1
    new = (
        range(sum(sizes[:-1]), sum(sizes))
        if added
        else rng.permutation(sum(sizes))[: int(rng.integers(1, 3))]
    )
    racks = cluster.domain_of("rack")
    fixed = []
    for size in sizes:  # a group that runs does so in one rack
        home = rng.permutation(np.flatnonzero(racks == racks[int(rng.integers(0, cluster.size))]))
        fixed += [int(home[pod % len(home)]) for pod in range(size)]
    places = [-1 if pod in new else node for pod, node in enumerate(fixed)]
    free = cluster.free.copy()
    free[0, [node for node in places if node >= 0]] = 0
    wish = {str(rng.choice(["gang", "group"])): str(rng.choice(["rack", "block"]))}
    cluster = replace(cluster, free=free)
    if rng.random() < 0.6:
        return gang_of(cluster, groups, required=wish, fixed=places)
    return gang_of(cluster, groups, preferred=wish, fixed=places)


def crossing_levels(rng: np.random.Generator) -> PlacementProblem:
    """Equal groups over partitions that do not nest: one required of the groups, the other of the gang or
    preferred."""
    cluster = rack_cluster(rng)
    clique = rng.integers(0, 3, cluster.size)
    cluster = replace(cluster, partitions=(*cluster.partitions, partition("nvlink", clique.tolist())))
    size = int(rng.choice([1, 2, 2]))
    groups = [[(int(rng.choice([4, 8])), 2)] * size] * int(rng.integers(1, 4))
    one, other = (str(level) for level in rng.permutation(["rack", "nvlink", "block"])[:2])
    required = {"group": one} | ({"gang": other} if rng.random() < 0.5 else {})
    return gang_of(
        cluster, groups, required=required, preferred={} if "gang" in required else {"gang": other}
    )


def stream(rng: np.random.Generator) -> Generator[PlacementProblem, list[int], None]:
    """What arrives one after another on some racks, each gang requiring or preferring one; sent are the nodes
    that the gang before has taken."""
    cluster = rack_cluster(rng)
    while True:
        pods = [(8, 4)] * int(rng.integers(1, 4))
        wish = {"gang": str(rng.choice(["rack", "rack", "block"]))}
        required = rng.random() < 0.5
        used = yield gang_of(
            cluster, [pods], required=wish if required else {}, preferred={} if required else wish
        )
        free = cluster.free.copy()
        free[0, used] = 0
        cluster = replace(cluster, free=free)
