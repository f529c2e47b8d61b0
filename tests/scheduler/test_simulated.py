"""Calls that are simulations: kube-scheduler throws them away, and nothing of them may be left here."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.engine.engine import Engine
from scheduler.engine.facts import GroupSeen, NodesSeen, PodSeen
from scheduler.engine.heard import MOST
from scheduler.extender import answers
from scheduler.extender.answers import LONGEST_ASKED_S
from scheduler.extender.binder import Binder
from scheduler.extender.wire import BindArgs
from scheduler.kube.outcomes import Outcome
from scheduler.model import GangKey, Pod, PodGroup
from tests.builders import members, plan_all, pod, two_leaves
from tests.contract.test_extender_server import NAMES, asked


def engine_with(*pods: Pod) -> Engine:
    engine = Engine()
    engine.observe(NodesSeen(two_leaves()))
    for one in pods:
        engine.observe(PodSeen(one))
    plan_all(engine, 1.0)
    return engine


def state(engine: Engine) -> Any:
    """Everything that lasts: gangs, holds, sums."""
    ledger = engine.world.ledger
    return (
        {
            key: (record.state, record.version, record.since_s, sorted(record.pods), record.plan)
            for key, record in engine.gangs.items()
        },
        {key: (hold.plan, sorted(hold.pods)) for key, hold in ledger.holds.items()},
        [rows.tolist() for rows in ledger.sums()],
        ledger.generation,
    )


def body(one: Pod, names: list[str] | None = None) -> bytes:
    return json.dumps(asked(one, names)).encode()


UNSEEN = [*members("new", 3), *members("g", 5), pod("alone"), *members("one", 1)]


@given(st.lists(st.tuples(st.sampled_from(UNSEEN), st.sets(st.sampled_from(NAMES), min_size=1)), max_size=12))
def test_no_question_about_pods_that_do_not_exist_leaves_anything(
    questions: list[tuple[Pod, set[str]]],
) -> None:
    """A whole gang of them too: nothing is planned for it, nothing is held, and a known gang stays."""
    engine = engine_with(*members("g", 4))
    before, kept = state(engine), body(members("g", 4)[0])
    answer = answers.filter_nodes(engine, kept, 2.0)
    for one, names in questions:
        first = answers.filter_nodes(engine, body(one, sorted(names)), 2.0)
        assert answers.filter_nodes(engine, body(one, sorted(names)), 3.0) == first
        answers.prioritize_nodes(engine, body(one, sorted(names)))
    engine.refresh(3.0)
    assert engine.next_request(3.0) is None
    assert state(engine) == before
    assert answers.filter_nodes(engine, kept, 3.0) == answer


def test_a_pod_without_a_gang_is_screened_before_the_watch_brings_it() -> None:
    engine = engine_with(*members("g", 4))
    (record,) = engine.gangs.values()
    assert record.plan is not None
    held = {slot.node for slot in record.plan.slots.values()}
    answer = json.loads(answers.filter_nodes(engine, body(pod("early")), 2.0))
    assert set(answer["NodeNames"]) == set(NAMES) - held


def test_one_that_is_bound_counts_from_then_on() -> None:
    engine = engine_with()
    one = pod("early")
    answers.filter_nodes(engine, body(one), 2.0)
    assert engine.world.ledger.node_of(one.uid) is None

    async def write(**_: Any) -> Outcome:
        assert engine.world.ledger.node_of(one.uid) == "n1", "a plan could take the room meanwhile"
        return Outcome(True)

    binder = Binder(engine, write, hold_s=1, clock=lambda: 2.0)
    args = BindArgs(pod_name="early", pod_namespace="default", pod_u_i_d=one.uid, node="n1")
    assert asyncio.run(binder.bind(args)) == ""
    assert engine.world.ledger.node_of(one.uid) == "n1"


def test_questions_alone_do_not_hold_room_for_ever() -> None:
    engine = engine_with(*members("g", 4))
    question, at_s = body(members("g", 4)[0]), 1.0
    while at_s < LONGEST_ASKED_S:
        answers.filter_nodes(engine, question, at_s)
        assert engine.expire(at_s) == ()
        at_s += 20
    ended: tuple[GangKey, ...] = ()
    while not ended and at_s < LONGEST_ASKED_S + 100:
        answers.filter_nodes(engine, question, at_s)
        ended = engine.expire(at_s)
        at_s += 20
    assert [str(key) for key in ended] == ["default/g"]
    assert engine.world.ledger.holds == {}


def test_what_is_remembered_is_bounded() -> None:
    engine = engine_with()
    for at in range(MOST + 10):
        answers.filter_nodes(engine, body(pod(f"p{at}")), 2.0)
    assert engine.heard.take("uid-default-p0") is None
    assert engine.heard.take(f"uid-default-p{MOST + 9}") is not None


def grouped(name: str, group: str) -> Pod:
    return replace(pod(name), pod_group=group)


def test_a_pod_group_starts_with_as_many_as_it_needs_and_places_those_that_exist() -> None:
    """minCount 2 with 3 pods there: all three are placed together; a fourth joins them later."""
    engine = Engine()
    engine.observe(NodesSeen(two_leaves()))
    engine.observe(GroupSeen(PodGroup("default", "pg", "u", 2, None)))
    engine.observe(PodSeen(grouped("a", "pg")))
    plan_all(engine, 1.0)
    assert engine.world.ledger.holds == {}
    for name in ("b", "c"):
        engine.observe(PodSeen(grouped(name, "pg")))
    plan_all(engine, 2.0)
    (record,) = engine.gangs.values()
    assert record.plan is not None and len(record.plan.slots) == 3
    first = {slot.pod.name: slot.node for slot in record.plan.slots.values()}
    engine.begin_commit(record.key, 3.0)
    for uid, slot in record.plan.slots.items():
        engine.bound(uid, slot.node)
    engine.observe(PodSeen(grouped("d", "pg")))
    plan_all(engine, 4.0)
    placed = {slot.pod.name: slot.node for slot in record.plan.slots.values()}
    assert {name: placed[name] for name in first} == first
    assert set(placed) == {"a", "b", "c", "d"}
