"""What a user is told of constraints that contradict each other, of taints, and of bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scheduler.model import PREFIX, InvalidInput, Taint
from scheduler.placement.problem import Limits
from scheduler.whatif import answer_request
from scheduler.world import World
from tests.builders import node
from topology.spec import FabricSpec, LevelSpec

BLOCK, RACK = "example.com/block", "example.com/rack"


def world(*, taints: tuple[Taint, ...] = ()) -> World:
    """Blocks b1 (racks r1 of 3 nodes, r2 of 2) and b2 (r3 of 4); 8 GPUs each, r3 tainted if asked."""
    levels = (LevelSpec("block", BLOCK, "test"), LevelSpec("rack", RACK, "test"))
    made = World(FabricSpec(levels, ()))
    nodes = []
    for rack, block, count in (("r1", "b1", 3), ("r2", "b1", 2), ("r3", "b2", 4)):
        for at in range(count):
            one = node(f"{rack}-{at}")
            labels = {**one.labels, BLOCK: block, RACK: rack}
            nodes.append(replace(one, labels=labels, taints=taints if rack == "r3" else ()))
    made.upsert_nodes(nodes)
    return made


def pod(name: str, size: int, *, gpus: int = 8, spec: dict[str, Any] | None = None, **own: str) -> Any:
    notes = {"gang": "g", "gang-size": str(size), **{key.replace("_", "-"): one for key, one in own.items()}}
    limits = {"nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {PREFIX + key: one for key, one in notes.items()}},
        "spec": {"containers": [{"name": "m", "resources": {"limits": limits}}], **(spec or {})},
    }


def never(key: str, *values: str) -> dict[str, Any]:
    """Required node affinity: the label is none of these."""
    expression = {"key": key, "operator": "NotIn", "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def plan(pods: list[Any], cluster: World | None = None, *, limits: Limits | None = None) -> Any:
    made = answer_request(
        cluster or world(), json.dumps(pods).encode(), jointly=False, limits=limits or Limits()
    )
    (answer,) = made["gangs"]
    return answer


def facts(answer: Any) -> set[tuple[str, str]]:
    return {(fact["kind"], fact["name"]) for fact in answer["reason"]["blocking"]}


IN_R1 = {"nodeSelector": {RACK: "r1"}}


def test_a_rack_of_a_block_that_the_gang_must_not_use() -> None:
    """The group must be in rack r1, which lies in b1, and the whole gang stays off b1."""
    group = [
        pod(f"a-{at}", 4, group="a", required="group=rack", spec=IN_R1 | never(BLOCK, "b1")) for at in (0, 1)
    ]
    others = [pod(f"b-{at}", 4, group="b", spec=never(BLOCK, "b1")) for at in (0, 1)]
    answer = plan([*group, *others])
    assert (answer["verdict"], answer["proof"]) == ("impossible", "proven")
    assert facts(answer) == {("selector", f"{RACK}=r1"), ("selector", f"{BLOCK} NotIn b1")}
    fixes = {fix["detail"].get("selector") for fix in answer["reason"]["fixes"] if fix["kind"] == "relax"}
    assert fixes == {f"{RACK}=r1", f"{BLOCK} NotIn b1"}
    assert all(fix["verified"] for fix in answer["reason"]["fixes"])


def test_a_gang_in_one_block_of_which_one_group_must_not_use_it() -> None:
    group = [pod(f"a-{at}", 4, group="a", required="gang=block", spec=IN_R1) for at in (0, 1)]
    others = [pod(f"b-{at}", 4, group="b", required="gang=block", spec=never(BLOCK, "b1")) for at in (0, 1)]
    answer = plan([*group, *others])
    assert answer["verdict"] == "impossible"
    assert facts(answer) == {
        ("constraint", "gang=block"),
        ("selector", f"{RACK}=r1"),
        ("selector", f"{BLOCK} NotIn b1"),
    }


def test_the_pods_that_fit_nowhere_are_the_ones_that_are_told() -> None:
    """The first pods fit; it is the others' selector that no node has."""
    free = [pod(f"a-{at}", 3, group="a") for at in (0, 1)]
    answer = plan([*free, pod("b-0", 3, group="b", spec={"nodeSelector": {RACK: "r9"}})])
    assert answer["verdict"] == "impossible"
    assert "r9" in answer["reason"]["message"]
    assert facts(answer) == {("selector", f"{RACK}=r9")}


def test_nodes_to_untaint_are_named_and_no_more_than_needed() -> None:
    """Four nodes are wanted in one rack; the only rack of four is tainted."""
    taint = Taint("team", "red", "NoSchedule")
    answer = plan([pod(f"a-{at}", 4, required="gang=rack") for at in range(4)], world(taints=(taint,)))
    assert answer["verdict"] == "impossible"
    assert ("taint", "team=red:NoSchedule") in facts(answer)
    (fix,) = [fix for fix in answer["reason"]["fixes"] if fix["kind"] == "uncordon"]
    assert fix["detail"] == {"nodes": ["r3-0", "r3-1", "r3-2", "r3-3"], "taints": ["team=red:NoSchedule"]}
    three = plan([pod(f"a-{at}", 6) for at in range(6)], world(taints=(taint,)))
    (fix,) = [fix for fix in three["reason"]["fixes"] if fix["kind"] == "uncordon"]
    assert len(fix["detail"]["nodes"]) == 1


BAD: dict[str, tuple[list[Any], str, str]] = {
    "a preference for a level that does not exist": (
        [pod("a", 1, preferred="gang=shelf")], "preferred", "block, rack",
    ),
    "a requirement of a level that does not exist": (
        [pod("a", 1, required="gang=rak")], "required", "'rack'",
    ),
    "a scope that does not exist": ([pod("a", 1, required="all=rack")], "required", "scope"),
    "a wish without a level": ([pod("a", 1, required="gang")], "required", "scope=level"),
    "a policy that does not exist": ([pod("a", 1, policy="fastest")], "policy", "pack"),
    "groups whose sizes do not add up": (
        [pod(f"a-{at}", 3, group="a", group_size="3") for at in range(2)] + [pod("b", 3, group="b")],
        "group-size", "2",
    ),
    "members that disagree": (
        [pod("a-0", 2, required="gang=rack"), pod("a-1", 2, required="gang=block")], "required", "gang=rack",
    ),
    "ranks that do not divide": (
        [pod(f"a-{at}", 3, tensor_parallel="16") for at in range(3)], "tensor-parallel", "24 GPUs",
    ),
    "segments that do not divide": (
        [pod(f"a-{at}", 3, segment_size="2") for at in range(3)], "segment-size", "segment-remainder",
    ),
    "blocks that there are none of": ([pod("a", 1, required="tp=rack")], "required", "tp"),
    "a size that is no number": ([pod("a", 1, tensor_parallel="eight")], "tensor-parallel", "whole number"),
    "a size of nothing": ([pod("a", 1, tensor_parallel="0")], "tensor-parallel", "whole number"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_an_error_with_its_field_and_what_would_be_right(case: str) -> None:
    pods, field, wanted = BAD[case]
    answer = plan(pods)
    assert answer["verdict"] == "invalid"
    assert answer["reason"]["code"] == "InvalidGang"
    told = [fact for fact in answer["reason"]["blocking"] if field in fact["name"]]
    assert told, answer["reason"]
    assert any(wanted in fact["fact"] for fact in told), told


def test_no_time_is_a_time_out_and_not_a_refusal() -> None:
    """Without any time the integer model knows nothing; the answer says so and is not impossible."""
    pods = [pod(f"a-{at}", 6, group="ab"[at % 2], gpus=3 + at, required="group=block") for at in range(6)]
    answer = plan(pods, limits=Limits(deterministic_s=0.0, refine_s=0.0))
    assert (answer["verdict"], answer["proof"]) == ("blocked", "timed_out")
    assert answer["reason"]["code"] == "TimedOut"
    assert not answer["reason"]["blocking"]
    assert plan(pods)["verdict"] == "placed"


def test_an_empty_request_is_told() -> None:
    with pytest.raises(InvalidInput, match="manifests as JSON or YAML"):
        answer_request(world(), b" ", jointly=False, limits=Limits())
