"""Which resource is short: of one pod on every node, or of all pods on all nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.model import Code
from scheduler.placement.changes import Surroundings
from scheduler.placement.explain import explain
from scheduler.placement.place import place
from scheduler.placement.problem import Limits, PlacementProblem, Rejection
from tests.placement.instances import cluster, problem

GI = 1 << 30


def mixed(
    totals: list[tuple[int, int]], requests: list[tuple[int, int]], used: list[int] | None = None
) -> PlacementProblem:
    """Nodes of (GPUs, Gi of memory), all free but `used` Gi; a pod per request."""
    nodes = cluster([gpus for gpus, _ in totals], [gpus for gpus, _ in totals], {"rack": [0] * len(totals)})
    memory = np.array([gi * GI for _, gi in totals], dtype=np.int64)
    names = ("nvidia.com/gpu", "memory")
    taken = np.array(used or [0] * len(totals), dtype=np.int64) * GI
    nodes = replace(
        nodes,
        resources=names,
        total=np.stack([nodes.total[0], memory]),
        free=np.stack([nodes.total[0], memory - taken]),
    )
    base = problem(nodes, pods=len(requests), gpus=1)
    kinds = list(dict.fromkeys(requests))
    shapes = tuple(
        replace(base.shapes[0], requests=np.array([gpus, gi * GI], dtype=np.int64)) for gpus, gi in kinds
    )
    shape_of = np.array([kinds.index(one) for one in requests], dtype=np.int32)
    return replace(base, shapes=shapes, shape_of=shape_of, primary=0)


def refused(one: PlacementProblem) -> Rejection:
    answer = place(one)
    assert isinstance(answer, Rejection)
    return explain(one, answer, Surroundings(), limits=Limits())


@pytest.mark.parametrize("others", [[], [(8, 100)]])
def test_a_pod_that_is_larger_than_every_node_is_told_by_its_resource(others: list[tuple[int, int]]) -> None:
    found = refused(mixed([(8, 1000), (8, 500)], [(8, 1124), *others]))
    assert (found.code, found.possible, found.level) == (Code.NO_NODE_MATCHES, False, "node")
    assert [(fact.kind, fact.name) for fact in found.blocking] == [("resource", "memory")]
    assert "1124Gi memory" in found.message and "more than 1000Gi" in found.message
    (fix,) = [fix for fix in found.fixes if fix.kind == "resize"]
    assert fix.detail == {"requests": {"memory": "1000Gi"}, "from": {"memory": "1124Gi"}}
    assert fix.verified


def test_the_offer_is_what_all_of_them_could_have() -> None:
    found = refused(mixed([(8, 1000), (8, 500), (8, 700)], [(8, 1124), (8, 1124)]))
    assert [fix.detail["requests"] for fix in found.fixes if "requests" in fix.detail] == [
        {"memory": "700Gi"}
    ]


def test_fewer_gpus_are_not_offered() -> None:
    found = refused(mixed([(8, 1000)], [(16, 10)]))
    assert [fact.name for fact in found.blocking] == ["nvidia.com/gpu"]
    assert not any("requests" in fix.detail for fix in found.fixes)


def test_what_no_node_has_at_once_is_told_together() -> None:
    found = refused(mixed([(8, 100), (2, 1000)], [(8, 900)]))
    assert [fact.name for fact in found.blocking] == ["nvidia.com/gpu", "memory"]
    assert "1 node with that lack the memory" in found.blocking[0].fact


def test_the_resource_of_all_nodes_together() -> None:
    found = refused(mixed([(8, 1000)] * 2, [(2, 400)] * 6))
    assert (found.code, found.possible) == (Code.CLUSTER_TOO_SMALL, False)
    assert [fact.name for fact in found.blocking] == ["memory"]
    assert "2400Gi memory asked; all nodes together have 2000Gi" in found.blocking[0].fact


def test_what_is_free_is_counted_of_the_scarcest() -> None:
    less = refused(mixed([(8, 1000)] * 2, [(2, 400)] * 4, used=[700, 700]))
    assert less.code == Code.NOT_ENOUGH_CAPACITY
    assert "(1600Gi memory asked and 600Gi free in all)" in less.message
    scattered = refused(mixed([(8, 1000)] * 4, [(2, 400)] * 2, used=[700] * 4))
    assert scattered.code == Code.FRAGMENTED
    assert "(800Gi memory asked and 1200Gi free in all, but scattered)" in scattered.message
