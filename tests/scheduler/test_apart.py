"""Gangs that want domains for themselves, as LeaderWorkerSet's anti-affinity has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler import manifests
from scheduler.engine.engine import Engine
from scheduler.engine.facts import PodGone, WorkloadSeen
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


def job_set(*, jobs: int, pods: int) -> manifests.Expanded:
    """A JobSet whose jobs want a rack each."""
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
    inner = {"parallelism": pods, "completions": pods, "template": {"spec": spec}}
    made = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "set", "annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": RACK}},
        "spec": {"replicatedJobs": [{"name": "w", "replicas": jobs, "template": {"spec": inner}}]},
    }
    return manifests.workloads(manifests.documents([made], name="f"))


def leaders(found: manifests.Expanded) -> list[Pod]:
    """Index 0 of every job, which is all that exists until they have nodes."""
    return [one for one in found.pods if one.key.name.endswith("-0")]


def test_an_exclusive_job_set_is_one_gang_with_a_rack_for_every_job() -> None:
    engine, found = engine_with(*racks(3)), job_set(jobs=3, pods=2)
    engine.observe(WorkloadSeen(found.workloads[0]))
    see(engine, *leaders(found))
    plan_all(engine)
    hold = engine.world.ledger.holds[GangKey("default", "set")]
    used = {str(node).partition("-")[0]: 0 for node, _ in hold.pods.values()}
    for node_name, _ in hold.pods.values():
        used[str(node_name).partition("-")[0]] += 1
    assert used == {"r0": 2, "r1": 2, "r2": 2}


@pytest.mark.parametrize(("there", "code"), [(2, "ClusterTooSmall"), (3, "NoDomainFits")])
def test_an_exclusive_job_set_with_a_rack_too_few_is_refused_whole_with_the_numbers(
    there: int, code: str
) -> None:
    engine, found = engine_with(*racks(there)), job_set(jobs=3, pods=3)
    blocker = replace(pod("other", gpus=1), node=NodeName("r1-n0"))
    more = replace(pod("another", gpus=1), node=NodeName("r1-n1"))
    see(engine, *((blocker, more) if there == 3 else ()))
    engine.observe(WorkloadSeen(found.workloads[0]))
    see(engine, *leaders(found))
    plan_all(engine)
    record = engine.gangs[GangKey("default", "set")]
    assert record.state is State.BLOCKED and record.rejection is not None
    assert (record.rejection.code, record.rejection.needed, record.rejection.best) == (code, 3, 2)
    assert record.rejection.message.startswith("3 groups need a ")
    assert GangKey("default", "set") not in engine.world.ledger.holds


def test_sub_groups_that_want_racks_keep_apart_and_their_leader_may_stand_anywhere() -> None:
    """LeaderExcluded: the leader is of no sub-group, so the anti-affinity does not see it."""
    engine, pods = engine_with(*racks(2, nodes=3)), group("one", 5, exclusive=False)
    for at, one in enumerate(pods):
        sub = {} if at == 0 else {LWS + "subgroup-index": str((at - 1) // 2)}
        given = {LWS + "subgroup-size": "2", LWS + "subgroup-exclusive-topology": RACK}
        given |= {} if at else {LWS + "subgroup-policy-type": "LeaderExcluded"}
        pods[at] = replace(one, labels={**one.labels, **sub}, annotations={**one.annotations, **given})
    see(engine, *pods)
    plan_all(engine)
    assert racks_of(engine, pods[1:3]) != racks_of(engine, pods[3:5])
    assert [len(racks_of(engine, part)) for part in (pods[:1], pods[1:3], pods[3:5])] == [1, 1, 1]
