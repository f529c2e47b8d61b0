"""Small clusters on which today's schedulers place worse than possible, or not at all: ours does not.

Nodes have 8 GPUs and a pod takes a whole node unless said otherwise. Samples of kinds; the
random instances beside this file are of the same kinds with other numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from scheduler.placement.changes import Asker, Occupant, without
from scheduler.placement.check import violations
from scheduler.placement.objective import terms_of
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Cluster,
    Limits,
    PlacementProblem,
    Rejection,
    ScopeRule,
    ShapeDemand,
    frozen,
)
from scheduler.placement.victims import fewest_victims
from tests.placement.instances import partition

Gpus = int
Shape = tuple[Gpus, int]
"""GPUs and CPUs of a pod."""


def nodes(
    levels: dict[str, list[str]], *, gpus: list[int] | None = None, cpus: list[int] | None = None
) -> Cluster:
    """One name per node and level, coarse to fine; free GPUs and CPUs per node."""
    size = len(next(iter(levels.values())))
    free = np.array([gpus or [8] * size, cpus or [192] * size])
    return Cluster(
        names=tuple(f"n{at}" for at in range(size)),
        resources=("gpu", "cpu"),
        free=frozen(free, np.int64),  # type: ignore[arg-type]
        total=frozen(np.maximum(free, [[8], [192]]), np.int64),  # type: ignore[arg-type]
        usable=np.ones(size, dtype=np.bool_),
        partitions=tuple(
            replace(
                partition(name, np.unique(own, return_inverse=True)[1].tolist()),
                names=tuple(sorted(set(own))),
            )
            for name, own in levels.items()
        ),
    )


def racks(**counts: int) -> list[str]:
    """r1=3 gives three nodes in rack r1."""
    return [name for name, count in counts.items() for _ in range(count)]


def gang(
    cluster: Cluster,
    groups: list[list[Shape]],
    *,
    required: dict[str, str] | None = None,
    preferred: dict[str, str] | None = None,
    stages: int = 0,
) -> PlacementProblem:
    """A gang of groups of pods; constraints as scope -> level."""
    required, preferred = required or {}, preferred or {}
    pods = [shape for group in groups for shape in group]
    kinds = list(dict.fromkeys(pods))
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups]).astype(np.int32)
    blocks = {"gang": np.zeros(len(pods), dtype=np.int32), "group": group_of}
    if stages:
        blocks["pp"] = np.arange(len(pods), dtype=np.int32) // stages
    rules = tuple(
        ScopeRule(
            scope,  # type: ignore[arg-type]
            scope,
            block_of,
            (required[scope],) if scope in required else (),
            (preferred[scope],) if scope in preferred else (),
        )
        for scope, block_of in blocks.items()
        if scope != "group" or len(groups) > 1
    )
    everywhere, none = np.ones(cluster.size, dtype=np.bool_), np.full(len(pods), -1, dtype=np.int32)
    rank = np.arange(len(pods), dtype=np.int32)
    return PlacementProblem(
        gang="default/g",
        cluster=cluster,
        shapes=tuple(ShapeDemand(frozen(list(kind), np.int64), everywhere, everywhere) for kind in kinds),  # type: ignore[arg-type]
        shape_of=np.array([kinds.index(shape) for shape in pods], dtype=np.int32),
        rules=rules,
        stage_of=rank % stages if stages else none,
        replica_of=rank // stages if stages else none,
        fixed=none,
        primary=0,
        terms=terms_of(tuple(p.name for p in cluster.partitions), rules, pipeline=stages > 1),
    )


def placed(case: PlacementProblem) -> Assignment:
    answer = place(case)
    assert isinstance(answer, Assignment), answer
    assert violations(case, answer.nodes) == ()
    assert answer.proof == "optimal"
    return answer


def where(case: PlacementProblem, answer: Assignment, level: str) -> list[str]:
    """Domain names of the pods, in order."""
    domains = case.cluster.domain_of(level)[answer.nodes]
    return [case.cluster.domain_name(level, int(domain)) for domain in domains]


WHOLE: Shape = (8, 8)


@pytest.mark.parametrize("sizes", [[2, 3, 2], [3, 2, 2], [2, 2, 3]])
def test_three_groups_in_two_racks_in_any_order(sizes: list[int]) -> None:
    case = gang(nodes({"rack": racks(r1=3, r2=4)}), [[WHOLE] * n for n in sizes], required={"group": "rack"})
    found = where(case, placed(case), "rack")
    assert Counter(found) == {"r1": 3, "r2": 4}


def test_groups_with_unequal_appetites_take_the_racks_that_suit_them() -> None:
    cluster = nodes({"rack": racks(r1=2, r2=3)}, cpus=[200, 200, 20, 20, 20])
    case = gang(cluster, [[(8, 10)] * 2, [(4, 90)] * 4], required={"group": "rack"})
    assert where(case, placed(case), "rack") == ["r2", "r2", "r1", "r1", "r1", "r1"]


def test_the_largest_pod_does_not_stand_for_all() -> None:
    cluster = nodes({"rack": racks(r1=4, r2=2)})
    case = gang(cluster, [[(4, 8)] * 4, [WHOLE] * 2], required={"gang": "rack"})
    assert set(where(case, placed(case), "rack")) == {"r1"}


def test_sizes_that_do_not_divide_each_other_are_packed() -> None:
    case = gang(
        nodes({"rack": racks(r1=2)}), [[(n, 1) for n in (4, 3, 3, 2, 2, 2)]], required={"gang": "rack"}
    )
    assert sorted(Counter(placed(case).nodes.tolist()).values()) == [3, 3]
    case = gang(nodes({"leaf": ["l", "l"]}, gpus=[4, 3]), [[(n, 1) for n in (2, 2, 3)]])
    assert placed(case).nodes.tolist() == [0, 0, 1]


def test_three_roles_in_one_rack() -> None:
    cluster = nodes({"rack": racks(r1=3, r2=5)})
    roles: list[list[Shape]] = [[WHOLE] * 2, [WHOLE] * 2, [(0, 16)]]
    case = gang(cluster, roles, required={"gang": "rack"})
    assert len(set(where(case, placed(case), "rack"))) == 1


def test_prefill_and_decode_share_the_rack_that_holds_both() -> None:
    case = gang(nodes({"rack": racks(r1=2, r2=5)}), [[WHOLE] * 2, [WHOLE] * 3], required={"gang": "rack"})
    assert set(where(case, placed(case), "rack")) == {"r2"}


@pytest.mark.parametrize(
    ("levels", "pods", "level", "wanted"),
    [
        (
            {"block": ["a"] * 6 + ["b"] * 7, "rack": racks(a1=2, a2=2, a3=2, b1=5, b2=2)},
            6, "rack", {"b1": 4, "b2": 2},  # two racks either way; balanced, as the policy asks
        ),
        (
            {"spine": ["s0"] * 12 + ["s1"] * 13, "leaf": racks(l1=4, l2=5, l3=3, m1=8, m2=3, m3=2)},
            10, "leaf", {"m1": 8, "m3": 2},
        ),
        ({"rack": racks(r1=18, r2=18, r3=18)}, 32, "rack", {"r1": 16, "r2": 16}),
    ],
)  # fmt: skip
def test_one_gang_with_a_preferred_level(
    levels: dict[str, list[str]], pods: int, level: str, wanted: dict[str, int]
) -> None:
    case = gang(nodes(levels), [[WHOLE] * pods], preferred={"gang": level})
    assert Counter(where(case, placed(case), level)) == wanted


def test_two_free_blocks_that_are_not_a_pair() -> None:
    gpus = [0, *[8] * 17, *[8] * 36, 0, *[8] * 17]
    case = gang(nodes({"block": racks(b0=18, b1=18, b2=18, b3=18)}, gpus=gpus), [[WHOLE] * 36])
    assert Counter(where(case, placed(case), "block")) == {"b1": 18, "b2": 18}


def test_ranks_follow_the_leaves_as_numbers() -> None:
    case = gang(nodes({"leaf": racks(l1=4, l2=4, l3=4)}), [[WHOLE] * 12], stages=12)
    found = where(case, placed(case), "leaf")
    assert sum(one != other for one, other in pairwise(found)) == 2


def taken(cluster: Cluster, used: list[int]) -> Cluster:
    free = cluster.free.copy()
    free[0, used] = 0
    return replace(cluster, free=free)


@pytest.mark.parametrize(
    ("counts", "first", "rule"),
    [
        ({"a": 4, "b": 4, "c": 3, "d": 3}, 6, {}),
        ({"a": 4, "b": 4, "c": 1}, 5, {"gang": "rack"}),
    ],
)
def test_big_holes_are_kept_for_the_next(counts: dict[str, int], first: int, rule: dict[str, str]) -> None:
    cluster = nodes({"rack": racks(**counts)})
    answer = placed(gang(cluster, [[WHOLE] * first], preferred=rule))
    cluster = taken(cluster, answer.nodes.tolist())
    while True:
        case = gang(cluster, [[WHOLE] * 4], required={"gang": "rack"})
        answer_next = place(case)
        if isinstance(answer_next, Rejection):
            break
        cluster = taken(cluster, answer_next.nodes.tolist())
    left = Counter(name for name, free in zip(racks(**counts), cluster.free[0], strict=True) if free)
    assert sum(counts.values()) - first - sum(left.values()) == 4 * (
        counts["a"] // 4 + counts["b"] // 4 - (first == 5)
    )


def test_cliques_and_leaves_are_independent() -> None:
    cluster = nodes({"leaf": ["a", "a", "b", "b"], "nvlink": ["q", "q", "q", "q"]})
    assert len(placed(gang(cluster, [[WHOLE] * 4], required={"gang": "nvlink"})).nodes) == 4
    assert isinstance(place(gang(cluster, [[WHOLE] * 4], required={"gang": "leaf"})), Rejection)


def test_what_is_still_terminating_is_not_waited_for() -> None:
    cluster = nodes({"rack": racks(r1=4, r2=5)}, gpus=[8, 8, 0, 0, 8, 8, 8, 8, 8])
    case = gang(cluster, [[WHOLE] * 4], required={"gang": "rack"})
    assert set(where(case, placed(case), "rack")) == {"r2"}


def test_a_lost_pod_returns_to_its_gang() -> None:
    cluster = nodes({"rack": racks(r1=5, r2=1)}, gpus=[0, 0, 0, 8, 8, 8])
    case = gang(cluster, [[WHOLE] * 4], preferred={"gang": "rack"})
    case = replace(case, fixed=np.array([0, 1, 2, -1], dtype=np.int32))
    assert set(where(case, placed(case), "rack")) == {"r1"}


@pytest.mark.parametrize("counts", [(2, 3), (4, 4), (3, 6)])
def test_a_rack_of_preemptible_pods_is_preempted_once(counts: tuple[int, int]) -> None:
    """Parent and child both require the rack: the need is counted once, and the smaller rack goes."""
    small, large = counts
    cluster = nodes({"rack": racks(r1=large, r2=small)}, gpus=[0] * (small + large))
    case = gang(cluster, [[WHOLE] * (small - 1), [WHOLE]], required={"gang": "rack", "group": "rack"})
    taken_there = np.array([8, 8], dtype=np.int64)
    running = [Occupant("pod", f"p{at}", ((at, taken_there),)) for at in range(small + large)]
    assert isinstance(place(case), Rejection)
    found = fewest_victims(case, running, Asker(Limits()))
    assert found is not None
    assert (len(found.occupants), found.proof) == (small, "optimal")
    answer = placed(without(found.occupants)(case))
    assert len(set(where(case, answer, "rack"))) == 1
