"""One more node, empty, in a domain that is there or in new ones: never makes an answer worse."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from scheduler.placement.check import violations
from scheduler.placement.objective import evaluate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Cluster, PlacementProblem, ShapeDemand, frozen
from tests.placement import families, instances
from tests.placement.shares import assert_share
from topology.model import Partition

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "60"))
KINDS = (
    instances.random_problem,
    instances.random_general_problem,
    instances.random_whole_nodes,
    instances.random_racks,
    instances.random_pipelines,
    instances.random_combined,
    instances.random_groups,
    instances.random_parts,
    instances.random_apart,
    instances.random_experts,
    families.unlike_groups,
    families.roles_in_one_rack,
    families.odd_sizes,
    families.lost_members,
    families.crossing_levels,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_empty_node_never_makes_it_worse(kind: Callable[[np.random.Generator], PlacementProblem]) -> None:
    feasible = better = 0
    for seed in range(INSTANCES):
        draw = np.random.default_rng(20_000_000 + seed)
        case = kind(draw)
        beside = int(draw.integers(0, case.cluster.size)) if draw.random() < 0.5 else None
        roomier = with_a_node(case, beside)
        before, after = place(case), place(roomier)
        if not isinstance(before, Assignment):
            continue
        feasible += 1
        assert isinstance(after, Assignment), (seed, after)
        assert violations(roomier, before.nodes) == violations(roomier, after.nodes) == (), seed
        stays, moves = evaluate(roomier, before.nodes), evaluate(roomier, after.nodes)
        assert moves <= stays, (seed, roomier.terms, moves, stays)
        better += moves < stays
    print(f"{feasible} feasible of {INSTANCES}, {better} better with one more node")
    assert_share(feasible, of=INSTANCES, least=0.15)


def with_a_node(case: PlacementProblem, beside: int | None) -> PlacementProblem:
    """The same gang on one more node, which has what the largest have: in every domain of the node
    `beside`, or in domains of its own."""
    nodes = case.cluster
    most = nodes.total.max(axis=1, keepdims=True)
    cluster = Cluster(
        names=(*nodes.names, "zz-new"),
        resources=nodes.resources,
        free=frozen(np.hstack([nodes.free, most]), np.int64),
        total=frozen(np.hstack([nodes.total, most]), np.int64),
        usable=np.append(nodes.usable, True),
        partitions=tuple(_longer(one, beside) for one in nodes.partitions),
    )
    shapes = tuple(
        ShapeDemand(shape.requests, np.append(shape.eligible, True), np.append(shape.ever, True))
        for shape in case.shapes
    )
    return replace(case, cluster=cluster, shapes=shapes)


def _longer(one: Partition, beside: int | None) -> Partition:
    if beside is not None:
        return replace(one, domain_of=np.append(one.domain_of, one.domain_of[beside]))
    return replace(
        one,
        domain_of=np.append(one.domain_of, np.int32(len(one.names))),
        names=(*one.names, "new"),
        private=np.append(one.private, False),
    )
