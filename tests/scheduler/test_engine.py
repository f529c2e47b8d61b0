"""Gangs through the engine: every step of their way, and every disturbance on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.engine.engine import Engine
from scheduler.engine.facts import GroupSeen, NodeGone, NodesSeen, PodGone, PodSeen
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Reason
from scheduler.engine.states import TRANSITIONS, Event, InvalidTransition, State, after
from scheduler.engine.takeover import take_over
from scheduler.model import ANNOTATION_NODE, ANNOTATION_PLAN, GangKey, Node, NodeName, PodGroup, PodKey
from tests.builders import engine_with, members, node, plan_all, pod, see, two_leaves

KEY = GangKey("default", "g")


def state(engine: Engine, name: str = "g") -> State:
    engine.refresh(0.0)
    return engine.gangs[GangKey("default", name)].state


def test_a_gang_waits_for_its_last_member_and_is_then_held_whole() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods[:3])
    assert state(engine) is State.FORMING
    assert plan_all(engine) == []
    assert engine.slot(pods[0].uid) is Reason.FORMING
    see(engine, pods[3])
    plan_all(engine)
    assert state(engine) is State.RESERVED
    assert len(engine.world.ledger.holds[KEY].pods) == 4
    slots = [engine.slot(one.uid) for one in pods]
    assert len({slot.node for slot in slots if isinstance(slot, Slot)}) == 4


def test_members_bound_one_by_one_turn_what_is_held_into_what_is_used() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    plan_all(engine)
    before = engine.world.ledger.free()
    assert engine.begin_commit(KEY, 0.0) == ()
    assert state(engine) is State.COMMITTING
    for one in pods:
        slot = engine.slot(one.uid)
        assert isinstance(slot, Slot)
        engine.bound(one.uid, slot.node)
    assert state(engine) is State.BOUND
    assert engine.world.ledger.holds == {}
    assert (engine.world.ledger.free() == before).all()


def test_a_gang_that_does_not_fit_is_planned_again_when_room_appears() -> None:
    engine = engine_with(*two_leaves(1))
    see(engine, pod("other", on="n1"), *members("g", 2))
    assert len(plan_all(engine)) == 1
    assert state(engine) is State.BLOCKED
    assert plan_all(engine) == [], "nothing changed, so nothing is tried again"
    assert engine.world.ledger.holds == {}
    engine.observe(PodGone(PodKey("default", "other")))
    plan_all(engine)
    assert state(engine) is State.RESERVED


def test_status_updates_of_a_waiting_pod_do_not_make_work() -> None:
    engine = engine_with(*two_leaves(1))
    pods = members("g", 3)
    see(engine, *pods)
    plan_all(engine)
    assert state(engine) is State.BLOCKED
    see(engine, *(replace(one, resource_version="2") for one in pods))
    assert plan_all(engine) == []


def test_a_node_lost_before_anything_is_bound_leads_to_another_plan() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    plan_all(engine)
    first = engine.slot(pods[0].uid)
    assert isinstance(first, Slot)
    engine.observe(NodeGone(first.node))
    assert state(engine) is State.PENDING
    assert engine.slot(pods[0].uid) is Reason.PENDING
    plan_all(engine)
    assert state(engine) is State.RESERVED
    assert all(isinstance(slot := engine.slot(one.uid), Slot) and slot.node != first.node for one in pods)


@pytest.mark.parametrize("change", [{"unschedulable": True}, {"ready": False}])
def test_a_node_out_of_use_leads_to_another_plan(change: dict[str, object]) -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    plan_all(engine)
    used = engine.slot(pods[0].uid)
    assert isinstance(used, Slot)
    engine.observe(NodesSeen((node(used.node, leaf="l1", **change),)))  # type: ignore[arg-type]
    plan_all(engine)
    assert state(engine) is State.RESERVED
    assert used.node not in {s.node for one in pods if isinstance(s := engine.slot(one.uid), Slot)}


@pytest.mark.parametrize("on_its_way", [False, True])
def test_a_start_that_cannot_be_completed_is_planned_anew_unless_its_binding_is_on_its_way(
    on_its_way: bool,
) -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 2)
    see(engine, *pods)
    plan_all(engine)
    first, second = (engine.slot(one.uid) for one in pods)
    assert isinstance(first, Slot) and isinstance(second, Slot)
    assert engine.begin_commit(KEY, 0.0) == ()
    engine.bound(first.uid, first.node)
    if on_its_way:
        engine.writing(second.uid)
    see(engine, pod("stranger", on=second.node))
    assert engine.world.ledger.promised_twice() == ([second.node] if on_its_way else [])
    plan_all(engine)
    slot = engine.slot(second.uid)
    assert isinstance(slot, Slot)
    assert (slot.node == second.node) is on_its_way
    assert engine.gangs[KEY].begun, "it is still the start that was begun"


def test_a_pod_that_takes_held_room_breaks_the_plan() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    plan_all(engine)
    used = engine.slot(pods[0].uid)
    assert isinstance(used, Slot)
    see(engine, pod("stranger", on=used.node))
    assert state(engine) is State.PENDING
    plan_all(engine)
    assert state(engine) is State.RESERVED


def test_a_member_deleted_before_the_bind_gives_everything_back() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    before = engine.world.ledger.free()
    plan_all(engine)
    engine.observe(PodGone(pods[1].key))
    assert state(engine) is State.FORMING
    assert engine.world.ledger.holds == {}
    assert (engine.world.ledger.free() == before).all()
    see(engine, replace(pods[1], uid="another"))
    plan_all(engine)
    assert state(engine) is State.RESERVED
    assert isinstance(engine.slot("another"), Slot)


def test_a_running_gang_that_loses_a_member_is_completed_around_the_others() -> None:
    engine = engine_with(*two_leaves())
    running = [replace(one, node=NodeName(f"n{at + 1}")) for at, one in enumerate(members("g", 4))]
    see(engine, *running)
    assert state(engine) is State.BOUND
    engine.observe(PodGone(running[3].key))
    assert state(engine) is State.DEGRADED
    see(engine, pod("g-3", gang="g", size=4, uid="new"))
    plan_all(engine)
    slot = engine.slot("new")
    assert isinstance(slot, Slot)
    assert slot.node == "n4", "beside the others, under their leaf"
    assert {one.node for one in engine.gangs[KEY].pods.values() if one.node} == {"n1", "n2", "n3"}


def test_after_a_restart_bound_pods_and_written_plans_are_taken_over() -> None:
    engine, pods = engine_with(*two_leaves()), members("g", 4)
    see(engine, *pods)
    plan_all(engine)
    plan = engine.gangs[KEY].plan
    assert plan is not None
    written = [
        replace(
            one,
            gates=(),
            annotations={
                **one.annotations,
                ANNOTATION_PLAN: plan.id,
                ANNOTATION_NODE: plan.slots[one.uid].node,
            },
        )
        for one in pods
    ]
    written[0] = replace(written[0], node=plan.slots[pods[0].uid].node)
    again = engine_with(*two_leaves())
    see(again, *written)
    take_over(again, "term-2", 0.0)
    assert plan_all(again) == [], "nothing is solved"
    taken = again.gangs[KEY].plan
    assert taken is not None
    assert taken.id == plan.id
    assert {uid: slot.node for uid, slot in taken.slots.items()} == {
        uid: slot.node for uid, slot in plan.slots.items()
    }


def test_a_written_plan_that_no_longer_holds_is_not_taken_over() -> None:
    again = engine_with(*two_leaves())
    pods = members("g", 2)
    written = [
        replace(one, annotations={**one.annotations, ANNOTATION_PLAN: "p", ANNOTATION_NODE: "n1"})
        for one in pods
    ]
    see(again, *written)
    plan_all(again)
    assert len({s.node for one in pods if isinstance(s := again.slot(one.uid), Slot)}) == 2


def test_a_lease_that_ends_gives_the_turn_to_others() -> None:
    engine = engine_with(*two_leaves(1), lease_s=10)
    see(engine, *members("a", 2))
    plan_all(engine)
    see(engine, *members("b", 2))
    plan_all(engine, now_s=5)
    assert (state(engine, "a"), state(engine, "b")) == (State.RESERVED, State.BLOCKED)
    assert engine.expire(9.9) == ()
    assert engine.expire(10.0) == (GangKey("default", "a"),)
    plan_all(engine, now_s=10)
    assert (state(engine, "a"), state(engine, "b")) == (State.BLOCKED, State.RESERVED)


def test_priority_goes_first_then_age() -> None:
    engine = engine_with(*two_leaves(1))
    late = [replace(one, priority=5) for one in members("z", 2)]
    see(engine, *members("a", 2), *late)
    plan_all(engine)
    assert (state(engine, "z"), state(engine, "a")) == (State.RESERVED, State.BLOCKED)


def test_two_gangs_never_hold_half_each() -> None:
    engine = engine_with(*two_leaves(2))
    one, other = members("a", 3), members("b", 3)
    for pair in zip(one, other, strict=True):
        see(engine, *pair)
    plan_all(engine)
    assert sorted((state(engine, "a"), state(engine, "b"))) == [State.BLOCKED, State.RESERVED]
    assert len(engine.world.ledger.holds) == 1


def test_an_invalid_gang_is_named_and_heals() -> None:
    engine = engine_with(*two_leaves())
    pods = [replace(one) for one in members("g", 2, tensor_parallel="3")]
    see(engine, *pods)
    assert state(engine) is State.INVALID
    assert "3" in str(engine.gangs[KEY].invalid[0])
    for one in members("g", 2):
        see(engine, one)
    plan_all(engine)
    assert state(engine) is State.RESERVED


def test_an_unknown_level_is_invalid_until_the_cluster_has_it() -> None:
    engine = engine_with(node("n1", leaf="l1"))
    see(engine, *members("g", 1, required="gang=nvlink-sub"))
    plan_all(engine)
    assert state(engine) is State.INVALID
    assert "nvlink-sub" in str(engine.gangs[KEY].invalid[0])


def test_a_pod_group_waits_for_its_group_object() -> None:
    engine = engine_with(*two_leaves())
    pods = [replace(pod(f"p{at}"), pod_group="g") for at in range(2)]
    see(engine, *pods)
    assert plan_all(engine) == []
    engine.observe(GroupSeen(PodGroup("default", "g", "u", 2, None)))
    plan_all(engine)
    assert state(engine) is State.RESERVED


def test_an_older_view_of_a_pod_does_not_take_its_node_away() -> None:
    engine = engine_with(*two_leaves())
    see(engine, pod("p", on="n1"))
    free = engine.world.ledger.free()
    engine.observe(PodSeen(pod("p")))
    assert (engine.world.ledger.free() == free).all()


def test_every_pair_that_is_not_listed_raises() -> None:
    for before in State:
        for event in Event:
            if (before, event) not in TRANSITIONS:
                with pytest.raises(InvalidTransition):
                    after(before, event)


@pytest.mark.parametrize("nodes", [(), tuple(node(f"n{at}", leaf="l1", gpus=0) for at in range(2))])
def test_a_cluster_without_anything_to_give_refuses_and_goes_on(nodes: tuple[Node, ...]) -> None:
    engine = engine_with(*nodes)
    see(engine, *members("g", 2, required="gang=node"))
    plan_all(engine)
    assert state(engine) is State.BLOCKED
    assert engine.gangs[KEY].rejection is not None
    engine.observe(NodesSeen(two_leaves()))
    see(engine, *members("h", 2))
    plan_all(engine)
    assert state(engine, "h") is State.RESERVED
