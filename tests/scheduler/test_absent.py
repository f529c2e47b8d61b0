"""Members that their controller makes only once others run: placed with them, their room held."""

from __future__ import annotations

from dataclasses import replace

from scheduler import manifests
from scheduler.engine.engine import Engine
from scheduler.engine.facts import PodGone, PodSeen, WorkloadSeen
from scheduler.engine.heirs import UNCLAIMED_S
from scheduler.engine.states import State
from scheduler.model import GangKey, NodeName, Pod, PodKey
from scheduler.workloads.keys import LWS
from tests.builders import engine_with, members, plan_all, see, two_leaves

REVISION = LWS + "template-revision-hash"


def lws(*, size: int = 3, startup: str = "LeaderReady", exclusive: str = "") -> manifests.Expanded:
    limits = {"nvidia.com/gpu": "8"}
    template = {"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": limits}}]}}
    made = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {
            "name": "m",
            "annotations": {LWS + "exclusive-topology": exclusive} if exclusive else {},
        },
        "spec": {
            "replicas": 1,
            "startupPolicy": startup,
            "leaderWorkerTemplate": {"size": size, "workerTemplate": template},
        },
    }
    return manifests.workloads(manifests.documents([made], name="f"))


def live(pod: Pod, *, revision: str = "r1", **changes: object) -> Pod:
    """A pod as the controller and its webhook really make it."""
    return replace(
        pod, uid=f"uid-{pod.key.name}-{revision}", labels={**pod.labels, REVISION: revision}, **changes
    )  # type: ignore[arg-type]


def nodes_held(engine: Engine, name: str) -> int:
    hold = engine.world.ledger.holds.get(GangKey("default", name))
    return len(hold.pods) if hold else 0


def bind(engine: Engine, pod: Pod) -> NodeName:
    """Commit the gang's plan for one pod, as the extender does."""
    key = engine.gang_of(pod.uid)
    assert key is not None
    slot = engine.slot(pod.uid)
    assert engine.begin_commit(key, 0.0) == ()
    engine.bound(pod.uid, slot.node)  # type: ignore[union-attr]
    engine.refresh(0.0)
    return slot.node  # type: ignore[union-attr]


def test_the_leader_is_placed_with_room_for_workers_that_do_not_exist() -> None:
    engine, found = engine_with(*two_leaves(2)), lws()
    engine.observe(WorkloadSeen(found.workloads[0]))
    leader = live(found.pods[0])
    see(engine, leader)
    plan_all(engine)
    record = engine.gangs[GangKey("default", "m-0-r1")]
    assert (record.state, nodes_held(engine, "m-0-r1")) == (State.RESERVED, 3)
    bind(engine, leader)
    assert nodes_held(engine, "m-0-r1") == 2
    # another gang may not have what is held, however long the leader takes to become ready
    see(engine, *members("other", 2))
    plan_all(engine, now_s=500.0)
    engine.expire(1000.0)
    plan_all(engine, now_s=1000.0)
    assert engine.gangs[GangKey("default", "other")].state is State.BLOCKED
    for worker in found.pods[1:]:
        see(engine, live(worker))
        assert plan_all(engine, now_s=1001.0) == []  # each takes the place that is held for it
    assert record.plan is not None and len(record.plan.slots) == 3
    assert {slot.pod for slot in record.plan.slots.values()} == {pod.key for pod in found.pods}
    assert record.report is not None
    assert {one["pod"] for one in record.report["pods"]} == {str(pod.key) for pod in found.pods}
    for worker in found.pods[1:]:
        bind(engine, live(worker))
    assert (record.state, nodes_held(engine, "m-0-r1")) == (State.BOUND, 0)


def test_all_must_exist_where_the_controller_makes_all_at_once() -> None:
    engine, found = engine_with(*two_leaves(2)), lws(startup="LeaderCreated")
    engine.observe(WorkloadSeen(found.workloads[0]))
    see(engine, live(found.pods[0]))
    assert plan_all(engine) == []
    see(engine, *map(live, found.pods[1:]))
    assert len(plan_all(engine)) == 1


def test_an_exclusive_leader_whose_set_cannot_be_read_stands_for_its_workers() -> None:
    engine, found = engine_with(*two_leaves(2)), lws(size=2, startup="LeaderCreated", exclusive="leaf")
    leader = live(found.pods[0])
    see(engine, leader)
    plan_all(engine)
    node = bind(engine, leader)
    assert nodes_held(engine, "m-0-r1") == 1
    leaf = engine.world.ledger.nodes[node].labels["fabric.topograph.run/tier-0"]
    selector = (("fabric.topograph.run/tier-0", leaf),)
    worker = live(found.pods[1])
    worker = replace(worker, shape=replace(worker.shape, node_selector=selector))
    see(engine, worker)
    plan_all(engine)
    assert bind(engine, worker) != node
    assert engine.gangs[GangKey("default", "m-0-r1")].state is State.BOUND


def test_a_leader_is_refused_when_its_workers_would_not_fit() -> None:
    engine, found = engine_with(*two_leaves(2)), lws(size=3, exclusive="leaf")
    engine.observe(WorkloadSeen(found.workloads[0]))
    see(engine, live(found.pods[0]))
    plan_all(engine)
    assert engine.gangs[GangKey("default", "m-0-r1")].state is State.BLOCKED


def test_room_is_given_back_when_the_leader_goes() -> None:
    engine, found = engine_with(*two_leaves(2)), lws()
    engine.observe(WorkloadSeen(found.workloads[0]))
    leader = live(found.pods[0])
    see(engine, leader)
    plan_all(engine)
    bind(engine, leader)
    engine.observe(PodGone(leader.key))
    engine.refresh(1.0)
    assert engine.gangs == {}
    engine.refresh(1.0 + UNCLAIMED_S)  # its own place is kept that long, for the next leader
    assert engine.world.ledger.holds == {}


def test_a_rolling_update_is_two_gangs_and_the_next_finds_the_room_of_the_last() -> None:
    engine, found = engine_with(*two_leaves(2)[:3]), lws()
    engine.observe(WorkloadSeen(found.workloads[0]))
    old = [live(pod) for pod in found.pods]
    see(engine, *old)
    plan_all(engine)
    for pod in old:
        bind(engine, pod)
    for pod in old:
        engine.observe(PodSeen(replace(pod, deleting=True, node=engine.world.ledger.node_of(pod.uid))))
    new = live(found.pods[0], revision="r2")
    for pod in old:
        engine.observe(PodGone(pod.key))
    see(engine, new)
    plan_all(engine)
    assert engine.gangs[GangKey("default", "m-0-r2")].state is State.RESERVED
    assert nodes_held(engine, "m-0-r2") == 3


def test_a_follower_that_is_not_as_it_was_planned_is_planned_again() -> None:
    """Twice the CPUs of its template, or a node selector that its place does not meet."""
    for change in (
        {"requests": (("cpu", 2000), ("nvidia.com/gpu", 8), ("pods", 1))},
        {"node_selector": (("a", "b"),)},
    ):
        engine, found = engine_with(*two_leaves(2)), lws()
        engine.observe(WorkloadSeen(found.workloads[0]))
        leader = live(found.pods[0])
        see(engine, leader)
        plan_all(engine)
        bind(engine, leader)
        worker = live(found.pods[1])
        see(engine, replace(worker, shape=replace(worker.shape, **change)))  # type: ignore[arg-type]
        assert len(plan_all(engine, now_s=1.0)) == 1


def test_followers_with_names_of_their_own_take_their_places_by_number() -> None:
    """Pods of a Job have a random suffix, which nobody can know before."""
    engine, found = engine_with(*two_leaves(2)), lws()
    engine.observe(WorkloadSeen(found.workloads[0]))
    leader = live(found.pods[0])
    see(engine, leader)
    plan_all(engine)
    bind(engine, leader)
    for worker in found.pods[1:]:
        named = live(worker)
        see(engine, replace(named, key=PodKey("default", f"{named.key.name}-x7f2q")))
        assert plan_all(engine, now_s=1.0) == []
        bind(engine, replace(named, key=PodKey("default", f"{named.key.name}-x7f2q")))
    record = engine.gangs[GangKey("default", "m-0-r1")]
    assert (record.state, nodes_held(engine, "m-0-r1")) == (State.BOUND, 0)
