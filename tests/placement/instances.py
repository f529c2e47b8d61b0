"""Random small placement problems, and a builder for hand-written ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scheduler.model import Parallelism
from scheduler.placement.apart import ApartRule
from scheduler.placement.blocks import expert_groups
from scheduler.placement.objective import terms_of
from scheduler.placement.problem import Cluster, PlacementProblem, ScopeRule, ShapeDemand, dense, frozen
from topology.model import Partition


def partition(name: str, domains: Sequence[int]) -> Partition:
    """A partition from the domain id of every node."""
    ids = np.unique(np.array(domains), return_inverse=True)[1].astype(np.int32)
    count = int(ids.max()) + 1
    return Partition(
        name,
        f"example.com/{name}",
        ids,
        tuple(f"{name}{i}" for i in range(count)),
        np.zeros(count, dtype=np.bool_),
    )


def cluster(free: Sequence[int], total: Sequence[int], levels: dict[str, Sequence[int]]) -> Cluster:
    """Nodes with GPUs only, and their domains per level, coarse to fine."""
    size = len(free)
    return Cluster(
        names=tuple(f"n{i}" for i in range(size)),
        resources=("gpu",),
        free=frozen([free], np.int64),
        total=frozen([total], np.int64),
        usable=np.ones(size, dtype=np.bool_),
        partitions=tuple(partition(name, ids) for name, ids in levels.items()),
    )


def problem(
    nodes: Cluster,
    *,
    pods: int,
    gpus: int = 1,
    required: dict[str, str] | None = None,
    preferred: dict[str, str] | None = None,
    tp: int = 0,
    stages: int = 0,
    group: int = 0,
) -> PlacementProblem:
    """A gang of one shape. `tp`: pods per tensor-parallel group; `stages`: stages per
    pipeline; `group`: pods per group; constraints as scope -> level."""
    required, preferred = required or {}, preferred or {}
    sizes = {"gang": pods, "group": group, "pp": max(tp, 1) * stages, "tp": tp}
    rules = tuple(
        ScopeRule(
            scope,  # type: ignore[arg-type]  # the four scopes, spelled above
            scope,
            np.arange(pods, dtype=np.int32) // size,
            (required[scope],) if scope in required else (),
            (preferred[scope],) if scope in preferred else (),
        )
        for scope, size in sizes.items()
        if size
    )
    rank = np.arange(pods, dtype=np.int32)
    none = np.full(pods, -1, dtype=np.int32)
    mask = np.ones(nodes.size, dtype=np.bool_)
    return PlacementProblem(
        gang="default/g",
        cluster=nodes,
        shapes=(ShapeDemand(frozen([gpus], np.int64), mask, mask),),  # type: ignore[arg-type]  # int64 by the argument
        shape_of=np.zeros(pods, dtype=np.int32),
        rules=rules,
        stage_of=rank // max(tp, 1) % stages if stages else none,
        replica_of=rank // (max(tp, 1) * stages) if stages else none,
        fixed=none,
        primary=0,
        terms=terms_of(tuple(p.name for p in nodes.partitions), rules, pipeline=stages > 1),
    )


def random_problem(rng: np.random.Generator) -> PlacementProblem:
    """One pod shape on nested levels: up to 6 nodes and 5 pods."""
    size = int(rng.integers(2, 7))
    leaf = np.sort(rng.integers(0, 2, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size))
    nvlink = rack * 10 + rng.integers(0, 2, size) if rng.random() < 0.5 else np.arange(size)
    total = rng.choice([2, 4], size)
    free = np.minimum(rng.integers(0, 5, size), total)
    free = np.where(rng.random(size) < 0.4, total, free)
    nodes = cluster(
        free.tolist(),
        total.tolist(),
        {"leaf": leaf.tolist(), "rack": rack.tolist(), "nvlink": nvlink.tolist()},
    )
    tp, stages, group = ((0, 0, 0), (2, 0, 0), (1, 2, 0), (2, 2, 0), (0, 0, 2), (1, 1, 2), (1, 4, 0))[
        rng.integers(0, 7)
    ]
    unit = group if group else max(tp, 1) * max(stages, 1)
    pods = unit * int(rng.integers(1, max(5 // unit, 1) + 1))
    scopes = ["gang", *(["group"] if group else []), *(["pp"] if stages else []), *(["tp"] if tp else [])]
    levels = ["leaf", "rack", "nvlink", "node"]
    required = {scope: str(rng.choice(levels)) for scope in scopes if rng.random() < 0.3}
    preferred = {scope: str(rng.choice(levels[:3])) for scope in scopes if rng.random() < 0.3}
    return problem(
        nodes,
        pods=pods,
        gpus=int(rng.choice([1, 1, 2])),
        required=required,
        preferred=preferred,
        tp=tp,
        stages=stages,
        group=group,
    )


def random_general_problem(rng: np.random.Generator) -> PlacementProblem:
    """A problem without tree form, more often than not: mixed shapes, groups of unequal size with their
    own constraints, members that run, partitions that do not nest. Up to 6 nodes and 5 pods."""
    size = int(rng.integers(2, 7))
    nested = rng.random() < 0.4
    leaf = np.sort(rng.integers(0, 2, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size)) if nested else rng.integers(0, 3, size)
    nvlink = rng.integers(0, 3, size) if rng.random() < 0.6 else np.arange(size)
    total = np.stack([rng.choice([2, 4, 8], size), rng.choice([4, 8], size)])
    free = np.minimum(rng.integers(0, 9, (2, size)), total)
    free = np.where(rng.random(size) < 0.5, total, free)
    levels = {"leaf": leaf.tolist(), "rack": rack.tolist(), "nvlink": nvlink.tolist()}
    nodes = Cluster(
        names=tuple(f"n{i}" for i in range(size)),
        resources=("gpu", "cpu"),
        free=frozen(free, np.int64),
        total=frozen(total, np.int64),
        usable=np.ones(size, dtype=np.bool_),
        partitions=tuple(partition(name, ids) for name, ids in levels.items()),
    )
    pods = int(rng.integers(1, 6))
    kinds = int(rng.integers(1, 4))
    shapes = tuple(
        ShapeDemand(frozen([int(rng.choice([0, 1, 2, 3])), int(rng.choice([1, 1, 2]))], np.int64), mask, mask)  # type: ignore[arg-type]
        for mask in (rng.random(size) < 0.85 for _ in range(kinds))
    )
    stages = 2 if rng.random() < 0.25 and pods % 2 == 0 else 0
    rules = _random_rules(rng, pods, stages)
    rank, none = np.arange(pods, dtype=np.int32), np.full(pods, -1, dtype=np.int32)
    fixed = none.copy()
    if rng.random() < 0.3:
        fixed[rng.integers(0, pods)] = rng.integers(0, size)
    return PlacementProblem(
        gang="default/g",
        cluster=nodes,
        shapes=shapes,
        shape_of=np.sort(rng.integers(0, kinds, pods)).astype(np.int32),
        rules=rules,
        stage_of=rank % 2 if stages else none,
        replica_of=rank // 2 if stages else none,
        fixed=fixed,
        primary=0,
        terms=terms_of(tuple(levels), rules, pipeline=stages > 1),
    )


def _random_rules(rng: np.random.Generator, pods: int, stages: int) -> tuple[ScopeRule, ...]:
    levels = ["leaf", "rack", "nvlink", "node"]
    blocks: dict[str, np.ndarray] = {"gang": np.zeros(pods, dtype=np.int32)}  # type: ignore[type-arg]
    if rng.random() < 0.7:
        blocks["group"] = np.sort(rng.integers(0, 2, pods)).astype(np.int32)
    if stages:
        blocks["pp"] = np.arange(pods, dtype=np.int32) // stages
    if rng.random() < 0.4:
        blocks["tp"] = np.arange(pods, dtype=np.int32) // int(rng.choice([1, 2]))
    return tuple(
        ScopeRule(
            scope,  # type: ignore[arg-type]
            scope,
            dense(np.where(inside, block_of, -1)),
            tuple(level for level in levels if rng.random() < (0.08 if scope == "gang" else 0.2)),
            tuple(level for level in levels[:3] if rng.random() < 0.15),
        )
        for scope, block_of in blocks.items()
        for inside in _parts(rng, scope, pods)
        if inside.any()
    )


def _parts(rng: np.random.Generator, scope: str, pods: int) -> list[NDArray[np.bool_]]:
    """All pods, or the first few and the others: roles with wishes of their own."""
    cut = int(rng.integers(0, pods)) if scope != "gang" and rng.random() < 0.3 else 0
    first = np.arange(pods) < cut
    return [first, ~first]


def random_whole_nodes(rng: np.random.Generator) -> PlacementProblem:
    """Pods that fill whole nodes, racks under leaves: here whole domains are solved together."""
    size = int(rng.integers(4, 8))
    leaf = np.sort(rng.integers(0, 3, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size))
    free = np.where(rng.random(size) < 0.75, 2, rng.integers(0, 2, size))
    nodes = cluster(free.tolist(), [2] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()})
    tp = int(rng.choice([0, 1, 2]))
    pods = int(rng.integers(1, 5)) if tp < 2 else 2 * int(rng.integers(1, 3))
    wishes = {"preferred": {"gang": str(rng.choice(["leaf", "rack"]))}} if rng.random() < 0.4 else {}
    required = {"tp": "rack"} if tp == 2 and rng.random() < 0.7 else {}
    return problem(nodes, pods=pods, gpus=2, tp=tp, required=required, **wishes)  # type: ignore[arg-type]


def random_racks(rng: np.random.Generator) -> PlacementProblem:
    """Whole nodes, racks of 1 to 3 under leaves, the rack preferred: the balance of racks decides."""
    size = int(rng.integers(4, 9))
    leaf = np.sort(rng.integers(0, 3, size))
    rack = np.repeat(np.arange(size), rng.integers(1, 4, size))[:size]
    leaf = leaf[np.searchsorted(rack, rack)]  # a rack lies in one leaf
    free = np.where(rng.random(size) < 0.85, 2, rng.integers(0, 2, size))
    nodes = cluster(free.tolist(), [2] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()})
    tp = int(rng.choice([0, 0, 0, 2]))
    pods = int(rng.integers(2, 6)) if not tp else 4
    required = {"tp": "rack"} if tp else {}
    return problem(nodes, pods=pods, gpus=2, tp=tp, required=required, preferred={"gang": "rack"})


def random_pipelines(rng: np.random.Generator) -> PlacementProblem:
    """Replicas of pipelines of 2 to 4 stages over leaves of spines that are too small for all of them:
    hops that cannot be avoided. Up to 5 nodes and 6 pods."""
    size = int(rng.integers(3, 6))
    leaf = np.sort(rng.integers(0, 4, size))
    nodes = cluster(
        rng.integers(0, 4, size).tolist(),
        [4] * size,
        {"spine": (leaf // int(rng.choice([2, 4]))).tolist(), "leaf": leaf.tolist()},
    )
    stages = int(rng.choice([2, 2, 3, 3, 4]))
    tp = 2 if stages < 4 and rng.random() < 0.3 else 1
    pods = stages * tp * int(rng.integers(1, max(6 // (stages * tp), 1) + 1))
    required: dict[str, str] = (
        {"tp": str(rng.choice(["leaf", "node"]))} if tp > 1 and rng.random() < 0.7 else {}
    )
    required |= {"gang": "spine"} if rng.random() < 0.15 else {}
    required |= {"pp": "spine"} if rng.random() < 0.15 else {}
    preferred = {str(rng.choice(["pp", "gang"])): "leaf"} if rng.random() < 0.3 else {}
    return problem(nodes, pods=pods, required=required, preferred=preferred, tp=tp, stages=stages)


def random_combined(rng: np.random.Generator) -> PlacementProblem:
    """Everything at once: shapes that do not divide each other and may run on some nodes only, unequal
    groups with wishes of their own, partitions that do not nest, pipelines, a member that runs. Up to
    5 nodes and 5 pods."""
    size = int(rng.integers(3, 6))
    levels = {name: rng.integers(0, 3, size).tolist() for name in ("leaf", "rack", "nvlink")}
    total = np.stack([rng.choice([4, 6, 8], size), rng.choice([6, 8], size)])
    free = np.where(rng.random(size) < 0.6, total, np.minimum(rng.integers(0, 9, (2, size)), total))
    nodes = replace(
        cluster([1] * size, [1] * size, levels),
        resources=("gpu", "cpu"),
        free=frozen(free, np.int64),
        total=frozen(total, np.int64),
        usable=rng.random(size) < 0.95,
    )
    sizes = [int(one) for one in rng.integers(1, 4, int(rng.integers(1, 4)))]
    while sum(sizes) > 5:
        sizes.pop()
    pods = sum(sizes)
    group = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    stages = 2 if pods % 2 == 0 and rng.random() < 0.5 else 0
    blocks = {"gang": np.zeros(pods, dtype=np.int32), "group": group}
    blocks |= {"pp": np.arange(pods, dtype=np.int32) // 2} if stages else {}
    rules = []
    for scope, block_of in blocks.items():
        for role in range(len(sizes)) if scope == "group" and rng.random() < 0.5 else (-1,):
            inside = (group == role) | (role < 0)
            wishes = [level for level in ("leaf", "rack", "nvlink", "node") if rng.random() < 0.18]
            cut = int(rng.integers(0, len(wishes) + 1)) if scope != "gang" else 0
            preferred = tuple(level for level in wishes[cut:] if level != "node")
            ids = dense(np.where(inside, block_of, -1))
            rules.append(ScopeRule(scope, scope, ids, tuple(wishes[:cut]), preferred))  # type: ignore[arg-type]
    kinds = int(rng.integers(1, 4))
    masks = [nodes.usable & (rng.random(size) < 0.85) for _ in range(kinds)]
    rank, none = np.arange(pods, dtype=np.int32), np.full(pods, -1, dtype=np.int32)
    fixed = none.copy()
    if rng.random() < 0.3:
        fixed[int(rng.integers(0, pods))] = int(rng.integers(0, size))
    return PlacementProblem(
        gang="default/g",
        cluster=nodes,
        shapes=tuple(
            ShapeDemand(frozen([int(rng.choice([0, 2, 3, 4])), int(rng.choice([1, 2, 3]))], np.int64), m, m)  # type: ignore[arg-type]
            for m in masks
        ),
        shape_of=rng.integers(0, kinds, pods).astype(np.int32),
        rules=tuple(rules),
        stage_of=rank % 2 if stages else none,
        replica_of=rank // 2 if stages else none,
        fixed=fixed,
        primary=0,
        terms=terms_of(tuple(levels), tuple(rules), pipeline=stages > 1),
    )


def random_groups(rng: np.random.Generator) -> PlacementProblem:
    """Unequal groups of one shape, each inside a rack or a leaf, the gang in a leaf or anywhere. Up to 7
    nodes and 5 pods."""
    size = int(rng.integers(3, 7))
    leaf = np.sort(rng.integers(0, 3, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 3, size))
    free = np.where(rng.random(size) < 0.4, 4, rng.integers(0, 4, size))
    nodes = cluster(free.tolist(), [4] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()})
    sizes = [int(one) for one in rng.integers(1, 4, int(rng.integers(2, 5)))]
    while sum(sizes) > 5:
        sizes.pop()
    pods, level = sum(sizes), str(rng.choice(["rack", "rack", "leaf", "node"]))
    group = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    cut = int(rng.integers(0, len(sizes))) if rng.random() < 0.3 else 0  # roles with rules of their own
    parts = [np.where(group < cut, group, -1), np.where(group >= cut, group - cut, -1)]
    whole = (level,) if rng.random() < 0.5 else ("leaf", level)
    rules = (
        ScopeRule("gang", "gang", np.zeros(pods, dtype=np.int32), ("leaf",) if rng.random() < 0.3 else ()),
        *(ScopeRule("group", "group", part.astype(np.int32), whole) for part in parts if (part >= 0).any()),
    )
    case = problem(nodes, pods=pods, gpus=int(rng.choice([1, 1, 2])))
    terms = terms_of(("leaf", "rack"), rules, pipeline=False)
    if rng.random() < 0.3:
        terms = tuple(terms[at] for at in rng.permutation(len(terms)))
    return replace(case, rules=rules, terms=terms)


def random_parts(rng: np.random.Generator) -> PlacementProblem:
    """Any of the other kinds, with one to three parts of the gang (runs of its pods) that have wishes of
    their own, inside each other, across each other, or side by side."""
    case = (random_groups, random_general_problem, random_problem)[int(rng.integers(0, 3))](rng)
    levels = [p.name for p in case.cluster.partitions]
    found = []
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, case.pods))
        pods = np.arange(case.pods)
        inside = (pods >= first) & (pods < first + int(rng.integers(1, case.pods + 1)))
        wishes = [level for level in (*levels, "node") if rng.random() < 0.4]
        cut = int(rng.integers(0, len(wishes) + 1))
        preferred = tuple(level for level in wishes[cut:] if level != "node")
        block_of = np.where(inside, 0, -1).astype(np.int32)
        found.append(ScopeRule("part", "part", block_of, tuple(wishes[:cut]), preferred))
    rules = (case.rules[0], *found, *case.rules[1:])
    pipeline = any(term.startswith("pipeline") for term in case.terms)
    return replace(case, rules=rules, terms=terms_of(tuple(levels), rules, pipeline=pipeline))


def random_apart(rng: np.random.Generator) -> PlacementProblem:
    """Any of the other kinds, with parties that keep apart: the groups as they are, or any division of the
    pods, all of them lone or some, some pods of no party."""
    kinds = (random_groups, random_groups, random_general_problem, random_combined, random_problem)
    kind = kinds[int(rng.integers(0, 5))]
    case = kind(rng)
    levels = [p.name for p in case.cluster.partitions]
    found = []
    for _ in range(2 if rng.random() < 0.15 else 1):
        grouped = [rule for rule in case.rules if rule.scope == "group"]
        party = np.full(case.pods, -1, dtype=np.int32)
        for rule in grouped:
            inside = rule.block_of >= 0
            party[inside] = party.max() + 1 + rule.block_of[inside]
        stated = [level for rule in grouped for level in rule.required]
        level = str(rng.choice([*stated, *stated, *levels, "node"]))
        if not grouped or rng.random() < 0.3:
            party = dense(rng.integers(-1, 3, case.pods))
        parties = int(party.max()) + 1
        lone = np.ones(parties, dtype=np.bool_) if rng.random() < 0.6 else rng.random(parties) < 0.5
        found.append(ApartRule("group", level, party, lone))
    return replace(case, apart=tuple(found))


def random_experts(rng: np.random.Generator) -> PlacementProblem:
    """Expert-parallel groups: parts of tensor-parallel groups, runs of replicas, or one stage of several
    pipelines. Up to 6 nodes and 6 pods."""
    size = int(rng.integers(3, 6))
    leaf = np.sort(rng.integers(0, 3, size))
    rack = leaf * 10 + np.sort(rng.integers(0, 2, size)) if rng.random() < 0.6 else rng.integers(0, 3, size)
    free = np.where(rng.random(size) < 0.5, 4, rng.integers(0, 4, size))
    nodes = cluster(free.tolist(), [4] * size, {"leaf": leaf.tolist(), "rack": rack.tolist()})
    tensor, stages, experts, replicas = (
        (1, 1, 2, 2),
        (2, 1, 1, 2),
        (1, 2, 2, 2),
        (2, 1, 4, 2),
        (4, 1, 2, 1),
        (1, 1, 3, 1),
        (1, 2, 3, 3),
    )[int(rng.integers(0, 7))]
    pods = tensor * stages * replicas
    wishes = {scope: str(rng.choice(["leaf", "rack", "node"])) for scope in ("gang", "pp", "tp")}
    required = {scope: level for scope, level in wishes.items() if rng.random() < 0.2}
    preferred = {scope: level for scope, level in wishes.items() if level != "node" and rng.random() < 0.2}
    case = problem(
        nodes, pods=pods, gpus=int(rng.choice([1, 1, 2])), tp=tensor, stages=stages if stages > 1 else 0,
        required={k: v for k, v in required.items() if k != "pp" or stages > 1},
        preferred={k: v for k, v in preferred.items() if k != "pp" or stages > 1},
    )  # fmt: skip
    own = expert_groups(pods, Parallelism(tensor=tensor, pipeline=stages, expert=experts), 1)
    level = str(rng.choice(["leaf", "rack"]))
    rule = ScopeRule("ep", "ep", own, *(((level,), ()) if rng.random() < 0.6 else ((), (level,))))
    rules = (case.rules[0], rule, *case.rules[1:]) if experts > tensor else (*case.rules, rule)
    return replace(case, rules=rules, terms=terms_of(("leaf", "rack"), rules, pipeline=stages > 1))
