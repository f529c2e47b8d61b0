"""Refusals as a user reads them: the sentence, the facts, and what would help."""

from __future__ import annotations

from typing import Any

from scheduler.model import Pod
from scheduler.placement.problem import Limits
from scheduler.report import invalid_report
from scheduler.whatif import plan_document
from scheduler.world import World
from tests.builders import node, pod


def refused(world: World, pods: list[Pod], running: list[Pod] | None = None) -> dict[str, Any]:
    for one in running or ():
        world.ledger.observe_pod(one)
    (gang,) = plan_document(world, pods=pods, running=running or [], limits=Limits())["gangs"]
    assert gang["verdict"] in ("blocked", "impossible", "invalid")
    reason: dict[str, Any] = gang["reason"]
    return {**reason, "verdict": gang["verdict"]}


def leaves(*sizes: int) -> World:
    world = World()
    names = [f"l{at}" for at, size in enumerate(sizes) for _ in range(size)]
    world.upsert_nodes(node(f"n{at}", leaf=name) for at, name in enumerate(names))
    return world


def facts(reason: dict[str, Any]) -> list[str]:
    return [one["fact"] for one in reason["blocking"]]


def changes(reason: dict[str, Any]) -> list[str]:
    return [one["change"] for one in reason["fixes"]]


def test_members_that_run_are_a_fact_of_their_own_and_no_room_to_free() -> None:
    world = leaves(3, 4)
    running = [pod(f"w-{at}", gang="w", size=4, on=f"n{at}", required="gang=leaf") for at in range(3)]
    reason = refused(world, [pod("w-3", gang="w", size=4, required="gang=leaf")], running)
    assert reason["verdict"] == "blocked", "started anew it would fit"
    assert reason["message"] == "the gang runs in leaf l0 and needs 1 pod more there; it has room for 0 now"
    assert facts(reason) == [
        "3 members of gang default/w run and stay on n0, n1 and n2",
        "the gang must stay inside one leaf",
    ]
    assert changes(reason) == [
        "stop the 3 members of the gang that run and place all of it anew",
        "`preferred: gang=leaf` in place of `required: gang=leaf`",
        "add 1 node like n0 beside it (leaf l0)",
    ]


def test_members_that_run_apart_from_each_other_are_named_as_such() -> None:
    running = [
        pod(f"w-{at}", gang="w", size=3, on=on, required="gang=leaf") for at, on in enumerate(("n0", "n3"))
    ]
    reason = refused(leaves(3, 4), [pod("w-2", gang="w", size=3, required="gang=leaf")], running)
    assert reason["verdict"] == "blocked"
    assert "members of it already run in 2: l0, l1; running members never move" in reason["message"]
    assert "stop the 2 members of the gang that run and place all of it anew" in changes(reason)


def test_the_facts_are_about_what_the_sentence_says() -> None:
    """Group b is too large for any leaf; the gang's own level alone would block, too."""
    world = World()
    world.upsert_nodes(node(f"n{at}", leaf=f"l{at // 4}", clique=f"q{at // 8}") for at in range(16))
    sizes = {"a": 4, "b": 5}
    wishes = "group=leaf,gang=nvlink"
    pods = [
        pod(f"w-{name}{at}", gang="w", size=9, group=name, required=wishes)
        for name, size in sizes.items()
        for at in range(size)
    ]
    reason = refused(world, pods)
    assert "group b needs 5 pods in one leaf" in reason["message"]
    assert facts(reason) == ["every group must stay inside one leaf"]
    several = "`gang=nvlink` and `group=leaf` as `preferred` in place of `required`"
    assert several in changes(reason)


def test_groups_that_fit_one_by_one_and_not_together() -> None:
    annotations = {"required": "group=leaf", "segment_size": "3", "segment_remainder": "allow"}
    reason = refused(leaves(3, 3, 1, 1), [pod(f"w-{at}", gang="w", size=8, **annotations) for at in range(8)])
    assert (reason["verdict"], reason["code"]) == ("impossible", "NoDomainLargeEnough")
    assert reason["message"].endswith("fit these nodes when empty, but not with every group in one leaf")
    assert changes(reason)[1:] == [
        "add 1 node like n6 beside it (leaf l2)",  # the fewest: beside the fullest leaf two would be needed
        "a gang of 6 pods would fit now",
    ]


def test_the_role_that_no_node_may_run_is_named() -> None:
    pods = [pod("p", gang="w", size=2, group="prefill", gpus=16), pod("r", gang="w", size=2, group="router")]
    reason = refused(leaves(2), pods)
    assert reason["verdict"] == "impossible"
    assert "group prefill" in reason["message"] or "2 pods" in reason["message"]


def test_what_many_pods_say_alike_is_told_once() -> None:
    reason = refused(leaves(2), [pod(f"w-{at}", gang="w", size=3, required="gangs=leaf") for at in range(3)])
    assert reason["message"].startswith("pod default/w-0 and 2 more: lockstep.scheduling/required is 'gangs")
    assert len(facts(reason)) == 1
    assert facts(reason) == [reason["message"]]


def test_different_faults_are_all_told() -> None:
    from scheduler.model import GangKey, InvalidField

    faults = [InvalidField(f"pod d/w-{at}", field, "x", "y") for field in ("a", "b") for at in range(2)]
    told = invalid_report(GangKey("d", "w"), faults)["reason"]
    assert [one["fact"] for one in told["blocking"]] == [
        "pod d/w-0 and 1 more: a is 'x'; expected: y",
        "pod d/w-0 and 1 more: b is 'x'; expected: y",
    ]


def test_the_default_level_of_pipelines_does_not_depend_on_who_runs() -> None:
    """Cliques of 3 under a leaf of 6: with TP over two nodes a leaf holds 2 of the 3 stages, empty or not."""
    nodes = [node(f"n{at:02}", leaf=f"l{at // 6}", clique=f"q{at // 3}") for at in range(12)]
    sizes = {"tensor_parallel": "16", "pipeline_parallel": "3"}
    places = ("n00", "n01", "n03", "n04", "n06")
    for here in ((), places):
        world = World()
        world.upsert_nodes(nodes)
        running = [pod(f"w-{at}", gang="w", size=6, on=on, **sizes) for at, on in enumerate(here)]
        for one in running:
            world.ledger.observe_pod(one)
        asked = [pod(f"w-{at}", gang="w", size=6, **sizes) for at in range(len(here), 6)]
        (gang,) = plan_document(world, pods=asked, running=running, limits=Limits())["gangs"]
        assert gang["verdict"] == "placed", gang
        assert any("could hold a pipeline" in note for note in gang["notes"]), here
