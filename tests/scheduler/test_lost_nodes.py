"""A node object is gone while pods that ran there still exist, as in the minute before they are collected."""

from __future__ import annotations

from scheduler.engine.facts import NodeGone, NodesSeen, PodGone
from scheduler.engine.states import State
from scheduler.model import GangKey, NodeName, PodKey
from scheduler.placement.problem import Assignment, Limits
from scheduler.whatif import plan_document
from scheduler.world import World
from tests.builders import engine_with, node, plan_all, pod, see, two_leaves

GANG = GangKey("default", "w")


def test_a_member_on_a_node_that_is_gone_stops_its_gang_and_not_the_service() -> None:
    engine = engine_with(*two_leaves())
    see(engine, *(pod(f"w-{at}", gang="w", size=4, on=f"n{at + 1}") for at in range(3)))
    engine.observe(NodeGone(NodeName("n1")))
    see(engine, pod("w-3", gang="w", size=4), pod("x-0", gang="x", size=1))
    answers = plan_all(engine)
    assert [type(one) for one in answers] == [Assignment], "another gang is placed"
    record = engine.gangs[GANG]
    assert record.state is State.INVALID
    assert [(fault.object, fault.field, fault.value) for fault in record.invalid] == [
        ("pod default/w-0", "spec.nodeName", "n1")
    ]


def test_it_goes_on_when_the_node_is_back_and_when_the_pod_is_gone() -> None:
    for back in (True, False):
        engine = engine_with(*two_leaves())
        see(engine, *(pod(f"w-{at}", gang="w", size=4, on=f"n{at + 1}") for at in range(3)))
        engine.observe(NodeGone(NodeName("n1")))
        see(engine, pod("w-3", gang="w", size=4))
        assert plan_all(engine) == []
        if back:
            engine.observe(NodesSeen((node("n1"),)))
        else:
            engine.observe(PodGone(PodKey("default", "w-0")))
            see(engine, pod("w-0", gang="w", size=4, uid="new"))
        (answer,) = plan_all(engine)
        assert isinstance(answer, Assignment)
        assert engine.gangs[GANG].state is State.RESERVED


def test_a_what_if_names_the_pod_and_the_node() -> None:
    world = World()
    world.upsert_nodes(two_leaves())
    running = [pod(f"w-{at}", gang="w", size=3, on=("n1", "n9")[at]) for at in range(2)]
    for one in running:
        world.ledger.observe_pod(one)
    asked = pod("w-2", gang="w", size=3)
    document = plan_document(world, pods=[asked], running=running, limits=Limits(), moves=True, evict=True)
    (gang,) = document["gangs"]
    assert gang["verdict"] == "invalid"
    assert "pod default/w-1: spec.nodeName is 'n9'" in gang["reason"]["message"]


def test_who_runs_on_a_node_that_is_gone_can_still_be_asked_to_move() -> None:
    world = World()
    world.upsert_nodes(two_leaves(per_leaf=2))
    running = [
        *(pod(f"x-{at}", gang="x", size=2, on=("n1", "n9")[at]) for at in range(2)),
        pod("y-0", gang="y", size=1, on="n3"),
    ]
    for one in running:
        world.ledger.observe_pod(one)
    asked = [pod(f"w-{at}", gang="w", size=2, required="gang=leaf") for at in range(2)]
    document = plan_document(world, pods=asked, running=running, limits=Limits(), moves=True)
    (gang,) = document["gangs"]
    assert gang["verdict"] == "blocked"
    moves = [fix for fix in gang["reason"]["fixes"] if fix["kind"] == "move"]
    assert [step["move"] for step in moves[0]["detail"]["steps"]] == ["default/y"]
