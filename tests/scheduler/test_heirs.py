"""The room of an outgoing group: its successor's, before anybody else's."""

from __future__ import annotations

from dataclasses import replace

from scheduler.engine.engine import Engine
from scheduler.engine.facts import NodeGone, PodGone
from scheduler.engine.heirs import UNCLAIMED_S
from scheduler.engine.states import State
from scheduler.model import GangKey, Pod, PodKey
from tests.builders import engine_with, members, plan_all, see, two_leaves

LWS = "leaderworkerset.sigs.k8s.io/"
WAITING = GangKey("default", "waiting")


def group(revision: str, size: int = 4, *, index: int = 0) -> list[Pod]:
    """A LeaderWorkerSet group of one revision; the names of its pods stay from one to the next."""
    made = []
    for at, one in enumerate(members("x", size)):
        key = PodKey("default", f"roll-{index}-{at}")
        labels = {
            LWS + "name": "roll",
            LWS + "group-index": str(index),
            LWS + "worker-index": str(at),
            LWS + "template-revision-hash": revision,
        }
        uid = f"{key.name}-{revision}"
        made.append(replace(one, key=key, uid=uid, labels=labels, annotations={LWS + "size": str(size)}))
    return made


def run(engine: Engine, pods: list[Pod]) -> list[Pod]:
    """Plan and bind some pods."""
    see(engine, *pods)
    plan_all(engine)
    found = [replace(pod, node=engine.slot(pod.uid).node) for pod in pods]  # type: ignore[union-attr]
    see(engine, *found)
    engine.refresh(0.0)
    return found


def full_with_one_waiting() -> tuple[Engine, list[Pod]]:
    """Eight nodes: a group on four of them, plain gangs on the others, and a gang that waits for four."""
    engine = engine_with(*two_leaves())
    old = run(engine, group("1"))
    run(engine, members("other", 4))
    see(engine, *members("waiting", 4))
    plan_all(engine)
    assert engine.gangs[WAITING].state is State.BLOCKED
    return engine, old


def state(engine: Engine, revision: str) -> State:
    return engine.gangs[GangKey("default", f"roll-0-{revision}")].state


def test_a_successor_gets_the_room_of_the_outgoing_group_before_who_waits() -> None:
    """As the controller does it: the leader goes first, its successor comes, then the workers go and come."""
    engine, old = full_with_one_waiting()
    new = group("2")
    for before, after in zip(old, new, strict=True):
        engine.observe(PodGone(before.key))
        see(engine, after)
        plan_all(engine, now_s=1.0)
    assert state(engine, "2") is State.RESERVED
    assert engine.gangs[WAITING].state is State.BLOCKED


def test_one_that_waits_for_a_single_pod_gets_no_piece_of_it() -> None:
    engine, old = full_with_one_waiting()
    see(engine, *members("small", 1))
    plan_all(engine)
    engine.observe(PodGone(old[0].key))
    see(engine, group("2")[0])
    for gone in old[1:]:
        engine.observe(PodGone(gone.key))
        plan_all(engine, now_s=1.0)
    assert engine.gangs[GangKey("default", "small")].state is State.BLOCKED
    see(engine, *group("2")[1:])
    plan_all(engine, now_s=2.0)
    assert state(engine, "2") is State.RESERVED


def test_a_successor_that_comes_after_all_of_the_old_group_are_gone_finds_its_room() -> None:
    """Seen with the real controllers: workers gone 60 ms after the leader, the new leader 500 ms later."""
    engine, old = full_with_one_waiting()
    for pod in old:
        engine.observe(PodGone(pod.key))
        plan_all(engine, now_s=1.0)
    assert engine.gangs[WAITING].state is State.BLOCKED
    for pod in group("2"):
        see(engine, pod)
        plan_all(engine, now_s=1.5)
    assert state(engine, "2") is State.RESERVED


def test_a_deleted_set_leaves_its_room_to_who_waits_soon() -> None:
    engine, old = full_with_one_waiting()
    see(engine, *(replace(pod, deleting=True) for pod in old))
    for pod in old:
        engine.observe(PodGone(pod.key))
    plan_all(engine, now_s=0.1)
    assert engine.gangs[WAITING].state is State.BLOCKED
    plan_all(engine, now_s=0.1 + UNCLAIMED_S)
    assert engine.gangs[WAITING].state is State.RESERVED


def test_a_node_that_goes_while_its_room_is_kept_disturbs_nobody() -> None:
    engine, old = full_with_one_waiting()
    for pod in old:
        engine.observe(PodGone(pod.key))
    engine.refresh(0.1)
    assert old[0].node is not None
    engine.observe(NodeGone(old[0].node))
    plan_all(engine, now_s=0.2)
    assert old[0].node not in engine.world.ledger.nodes


def test_a_pod_without_a_gang_is_let_through_until_the_successor_is_there() -> None:
    """It would wait for the next event in the cluster, and the end of what is kept is none."""
    engine, old = full_with_one_waiting()
    engine.observe(PodGone(old[0].key))
    engine.refresh(1.0)
    node, shape = old[0].node, old[0].shape
    assert node is not None
    assert engine.world.ledger.only_held([node], shape) == []
    see(engine, group("2")[0])
    engine.refresh(1.5)
    assert engine.world.ledger.only_held([node], shape) == [node]


def test_a_successor_that_is_never_complete_keeps_the_room_for_its_lease_only() -> None:
    engine, old = full_with_one_waiting()
    engine.observe(PodGone(old[0].key))
    see(engine, group("2")[0])
    for gone in old[1:]:
        engine.observe(PodGone(gone.key))
    plan_all(engine, now_s=1.0)
    assert engine.gangs[WAITING].state is State.BLOCKED
    plan_all(engine, now_s=62.0)
    assert engine.gangs[WAITING].state is State.RESERVED


def test_what_is_kept_is_counted_and_given_back() -> None:
    engine, old = full_with_one_waiting()
    engine.observe(PodGone(old[0].key))
    see(engine, group("2")[0])
    engine.refresh(1.0)
    assert len(engine.world.ledger.holds) == 1
    engine.observe(PodGone(group("2")[0].key))
    engine.refresh(2.0)
    engine.refresh(1.0 + UNCLAIMED_S)
    assert not engine.world.ledger.holds
    used, held = engine.world.ledger.audit()
    assert (engine.world.ledger.sums()[0] == used).all() and (engine.world.ledger.sums()[1] == held).all()
