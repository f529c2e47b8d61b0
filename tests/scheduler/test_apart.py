"""Gangs that want domains for themselves, as LeaderWorkerSet's anti-affinity has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.engine.engine import Engine
from scheduler.engine.facts import PodGone
from scheduler.engine.states import State
from scheduler.model import GangKey, Node, NodeName, Pod, PodKey
from tests.builders import engine_with, node, plan_all, pod, see

LWS = "leaderworkerset.sigs.k8s.io/"
RACK = "topology.kubernetes.io/rack"


def racks(count: int, nodes: int = 4) -> list[Node]:
    """Racks r0, r1 ... of some nodes with one GPU each."""
    found = [node(f"r{rack}-n{at}", gpus=1) for rack in range(count) for at in range(nodes)]
    return [replace(one, labels={**one.labels, RACK: one.name.partition("-")[0]}) for one in found]


def group(name: str, size: int, *, exclusive: bool = True, revision: str = "1") -> list[Pod]:
    """The pods of one LeaderWorkerSet group; its group key is its name."""
    made = []
    for rank in range(size):
        one = pod(f"{name}-{rank}-{revision}", gpus=1)
        labels = {
            LWS + "name": name,
            LWS + "group-index": "0",
            LWS + "worker-index": str(rank),
            LWS + "group-key": name,
            LWS + "template-revision-hash": revision,
        }
        given = {LWS + "size": str(size)} | ({LWS + "exclusive-topology": RACK} if exclusive else {})
        made.append(replace(one, labels=labels, annotations=given))
    return made


def racks_of(engine: Engine, pods: list[Pod]) -> set[str]:
    """The racks that the pods are planned in."""
    slots = [engine.slot(one.uid) for one in pods]
    return {str(slot.node).partition("-")[0] for slot in slots}  # type: ignore[union-attr]


def state(engine: Engine, name: str, revision: str = "1") -> State:
    engine.refresh(0.0)
    return engine.gangs[GangKey("default", f"{name}-0-{revision}")].state


def test_two_exclusive_groups_never_share_a_domain_that_has_room_for_both() -> None:
    engine, one, two = engine_with(*racks(2)), group("one", 2), group("two", 2)
    see(engine, *one, *two)
    plan_all(engine)
    assert len(racks_of(engine, one)) == len(racks_of(engine, two)) == 1
    assert racks_of(engine, one) != racks_of(engine, two)


@pytest.mark.parametrize("first", [True, False])
def test_an_exclusive_group_and_another_keep_away_from_each_other(first: bool) -> None:
    engine = engine_with(*racks(2))
    one, two = group("one", 2, exclusive=first), group("two", 2, exclusive=not first)
    see(engine, *one)
    plan_all(engine)
    see(engine, *two)
    plan_all(engine)
    assert racks_of(engine, one) != racks_of(engine, two)


def test_groups_that_want_no_domain_for_themselves_share_one() -> None:
    engine = engine_with(*racks(1))
    see(engine, *group("one", 2, exclusive=False), *group("two", 2, exclusive=False))
    plan_all(engine)
    assert state(engine, "one") is state(engine, "two") is State.RESERVED


def test_a_group_without_a_domain_for_itself_is_refused_and_comes_when_one_is_free() -> None:
    engine, one, two = engine_with(*racks(1)), group("one", 2), group("two", 2)
    see(engine, *one)
    plan_all(engine)
    see(engine, *two)
    plan_all(engine)
    assert state(engine, "two") is State.BLOCKED
    report = engine.gangs[GangKey("default", "two-0-1")].report
    assert report is not None and "for itself" in str(report)
    for each in one:
        engine.observe(PodGone(each.key))
    plan_all(engine)
    assert state(engine, "two") is State.RESERVED


def test_the_successor_of_a_group_in_a_rolling_update_may_stand_beside_it() -> None:
    """Both revisions have one group key, which is all that the anti-affinity looks at."""
    engine = engine_with(*racks(1))
    see(engine, *group("one", 2), *group("one", 2, revision="2"))
    plan_all(engine)
    assert state(engine, "one", "1") is state(engine, "one", "2") is State.RESERVED


def test_a_plan_is_not_carried_out_into_a_domain_that_somebody_took_meanwhile() -> None:
    engine, one = engine_with(*racks(1)), group("one", 2)
    see(engine, *one)
    plan_all(engine)
    taken = replace(group("other", 1, exclusive=False)[0], node=NodeName("r0-n3"), key=PodKey("default", "x"))
    see(engine, taken)
    assert engine.begin_commit(GangKey("default", "one-0-1"), 0.0) != ()
