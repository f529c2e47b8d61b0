"""Expert-parallel groups: which pods they are, and that they stay together where that is asked."""

from __future__ import annotations

import os

import numpy as np
import pytest

from scheduler.model import Constraint, Gang, GangKey, InvalidInput, Member, Parallelism, PodKey, PodShape
from scheduler.placement.blocks import blocks_of, expert_groups
from scheduler.placement.place import place
from scheduler.placement.problem import Limits
from scheduler.whatif import plan_document
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.world import World
from tests.builders import node, pod
from tests.placement import oracle
from tests.placement.instances import random_experts
from tests.placement.shares import assert_share
from tests.placement.test_model import right

INSTANCES = int(os.environ.get("LOCKSTEP_INSTANCES", "100"))


@pytest.mark.parametrize(
    ("pods", "gpus", "sizes", "wanted"),
    [
        (4, 8, {"tensor": 8, "expert": 16}, [0, 0, 1, 1]),
        (4, 8, {"tensor": 32, "expert": 8}, [0, 1, 2, 3]),
        (4, 8, {"tensor": 32, "expert": 16}, [0, 0, 1, 1]),
        (4, 8, {"expert": 16}, [0, 0, 1, 1]),  # data parallel attention: no tensor-parallel size at all
        (8, 8, {"tensor": 8, "pipeline": 2, "expert": 16}, [0, 1, 0, 1, 2, 3, 2, 3]),
        (8, 8, {"tensor": 8, "pipeline": 2, "expert": 32}, [0, 1, 0, 1, 0, 1, 0, 1]),
        (8, 8, {"tensor": 16, "pipeline": 2, "expert": 32}, [0, 0, 1, 1, 0, 0, 1, 1]),
        (4, 8, {"tensor": 4, "pipeline": 2, "expert": 8}, [0, 0, 1, 1]),  # a pipeline fills a pod
        (2, 8, {"tensor": 2, "pipeline": 2, "expert": 4}, [0, 1]),  # two pipelines in every pod
    ],
)
def test_the_pods_of_a_group(pods: int, gpus: int, sizes: dict[str, int], wanted: list[int]) -> None:
    assert expert_groups(pods, Parallelism(**sizes), gpus).tolist() == wanted


def test_blocks_exist_only_where_somebody_asks_for_them() -> None:
    shape = PodShape((("nvidia.com/gpu", 8), ("pods", 1)))
    members = tuple(Member(PodKey("d", f"w-{at}"), f"u{at}", at, "", shape) for at in range(4))
    sizes = Parallelism(tensor=8, pipeline=1, data=4, expert=16)
    for wishes, scopes in (
        ((), ["gang", "tp"]),
        ((Constraint("ep", "rack", True, "test"),), ["gang", "ep", "tp"]),
    ):
        gang = Gang(GangKey("d", "w"), 4, members, "test", sizes, constraints=wishes)
        assert [scope for scope, _ in blocks_of(gang)[0]] == scopes


@pytest.mark.parametrize(
    ("sizes", "good"),
    [
        ({"tensor_parallel": "16", "expert_parallel": "5"}, False),
        ({"tensor_parallel": "16", "expert_parallel": "24"}, False),  # no multiple of tp
        ({"tensor_parallel": "8", "expert_parallel": "24"}, False),  # 4 replicas in threes
        (
            {"tensor_parallel": "8", "pipeline_parallel": "2", "expert_parallel": "32"},
            False,
        ),  # of 16 per stage
        ({"expert_parallel": "12"}, False),
        ({"tensor_parallel": "8", "pipeline_parallel": "2", "expert_parallel": "16"}, True),
        ({"tensor_parallel": "16", "expert_parallel": "4"}, True),
        ({"expert_parallel": "32"}, True),
    ],
)
def test_sizes_that_do_not_divide_are_faults(sizes: dict[str, str], good: bool) -> None:
    members = [pod(f"w-{at}", gang="w", size=4, **sizes) for at in range(4)]
    said = [(one, found) for one in members if (found := membership_of(one, {})) is not None]
    if good:
        assert assemble(said).parallelism.expert == int(sizes["expert_parallel"])
        return
    with pytest.raises(InvalidInput) as told:
        assemble(said)
    assert [fault.field for fault in told.value.faults] == ["annotation lockstep.scheduling/expert-parallel"]


def test_experts_of_a_stage_stay_in_one_leaf_across_pipelines() -> None:
    """Two leaves of two nodes: pipelines of two stages, experts of a stage over both pipelines."""
    world = World()
    world.upsert_nodes(node(f"n{at}", leaf=f"l{at // 2}") for at in range(4))
    wishes = {"required": "ep=leaf", "preferred": "pp=leaf"}
    sizes = {"tensor_parallel": "8", "pipeline_parallel": "2", "expert_parallel": "16"}
    pods = [pod(f"w-{at}", gang="w", size=4, **sizes, **wishes) for at in range(4)]
    (gang,) = plan_document(world, pods=pods, limits=Limits())["gangs"]
    assert (gang["verdict"], gang["proof"]) == ("placed", "optimal")
    leaf = [one["domains"]["leaf"] for one in gang["pods"]]
    assert leaf[0] == leaf[2] != leaf[1] == leaf[3]
    assert gang["shape"]["ep"] == 16


def test_every_answer_is_the_brute_force_optimum() -> None:
    found = []
    for seed in range(INSTANCES):
        case = random_experts(np.random.default_rng(seed))
        found.append(right(case, oracle.best(case), place(case), seed))
    print(f"{sum(found)} feasible, {len(found) - sum(found)} infeasible")
    assert_share(sum(found), of=INSTANCES, least=0.3, most=0.95)
