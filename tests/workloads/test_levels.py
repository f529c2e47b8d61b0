"""Levels between the gang and its groups: what an upstream says of them holds, at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from scheduler.model import Gang, InvalidInput, Pod, PodGroup
from scheduler.owners import read
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.known import Known, Workload, known_of
from tests.builders import engine_with, node, pod

RACK, BLOCK = "example.com/rack", "example.com/block"


def owner(api: str, kind: str, name: str, spec: Mapping[str, Any]) -> Workload:
    found = read({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    assert found is not None
    return found


def gang_of(pods: list[Pod], known: Known) -> Gang:
    found = [(one, membership) for one in pods if (membership := membership_of(one, known))]
    assert len(found) == len(pods)
    return assemble(found)


def wishes(gang: Gang) -> set[tuple[str, str, str]]:
    return {(c.scope, c.level, c.group or "") for c in gang.constraints}


def labelled(name: str, labels: Mapping[str, str] = {}, annotations: Mapping[str, str] = {}) -> Pod:
    return replace(pod(name, gpus=1), labels=dict(labels), annotations=dict(annotations))


def composite(name: str, *, parent: str = "", key: str = "", groups: int = 1, gang: bool = True) -> Workload:
    policy = {"gang": {"minGroupCount": groups}} if gang else {"basic": {}}
    spec: dict[str, Any] = {"schedulingPolicy": policy}
    spec |= {"parentCompositePodGroupName": parent} if parent else {}
    spec |= {"schedulingConstraints": {"topology": [{"key": key}]}} if key else {}
    return owner("scheduling.k8s.io/v1alpha2", "CompositePodGroup", name, spec)


def nested(groups: tuple[str, ...] = ("a0", "a1", "b0", "b1")) -> Known:
    """A gang in one zone, two composites of it in a block each, in each two groups in a rack each."""
    found = [PodGroup("default", name, name, 2, RACK, parent=f"mid-{name[0]}") for name in groups]
    middle = [composite(f"mid-{name}", parent="top", key=BLOCK, groups=2) for name in "ab"]
    return known_of(found, [composite("top", key="topology.kubernetes.io/zone", groups=2), *middle])


def composed(groups: tuple[str, ...]) -> list[Pod]:
    return [replace(labelled(f"{name}-{at}"), pod_group=name) for name in groups for at in range(2)]


def test_the_levels_of_composite_groups_between_the_gang_and_its_groups_hold() -> None:
    gang = gang_of(composed(("a0", "a1", "b0", "b1")), nested())
    assert gang.size == 8
    assert wishes(gang) == {
        ("gang", "topology.kubernetes.io/zone", ""),
        ("part", BLOCK, "mid-a"),
        ("part", BLOCK, "mid-b"),
        ("group", RACK, ""),
    }
    assert {member.parts for member in gang.members} == {("mid-a",), ("mid-b",)}


@pytest.mark.parametrize("gang", [True, False], ids=["a gang of groups", "a gang of pods"])
def test_a_wish_for_several_gangs_together_is_told_and_not_kept(gang: bool) -> None:
    middle = composite("mid", parent="all", gang=gang)
    above = composite("all", key=BLOCK, gang=False)
    known = known_of([PodGroup("default", "a0", "a0", 2, RACK, parent="mid")], [middle, above])
    found = gang_of(composed(("a0",)), known)
    (told,) = found.warnings
    assert "compositepodgroup default/all" in told and BLOCK in told and "not kept" in told
    assert BLOCK not in {constraint.level for constraint in found.constraints}
    assert gang_of(composed(("a0", "a1", "b0", "b1")), nested()).warnings == ()


def test_a_composite_group_is_whole_when_those_inside_it_are() -> None:
    """Two pod groups of one of the two composites are not the two groups that the gang waits for."""
    some = ("a0", "a1")
    said = membership_of(composed(some)[0], nested(some))
    assert said is not None and said.size is None
    said = membership_of(composed(some)[0], nested(("a0", "a1", "b0")))
    assert said is not None and said.size is None


def test_a_plan_keeps_every_level() -> None:
    """Blocks of two racks of four GPUs; each composite wants its block, each group its rack."""
    nodes = [
        replace(
            one,
            labels={
                **one.labels,
                "topology.kubernetes.io/zone": "z",
                BLOCK: f"b{at // 4}",
                RACK: f"r{at // 2}",
            },
        )
        for at, one in enumerate(node(f"n{at}", gpus=1) for at in range(8))
    ]
    engine = engine_with(*nodes)
    gang = gang_of(composed(("a0", "a1", "b0", "b1")), nested())
    problem = formulate(gang, engine.world.view())
    answer = place(problem)
    assert isinstance(answer, Assignment) and answer.proof == "optimal"
    block = [int(at) // 4 for at in answer.nodes]
    inside = {
        part: {b for m, b in zip(gang.members, block, strict=True) if m.parts == (part,)}
        for part in ("mid-a", "mid-b")
    }
    assert sorted(map(sorted, inside.values())) == [[0], [1]]


def test_sub_groups_of_kai_may_have_parents_with_a_place_of_their_own() -> None:
    groups = [
        {"name": "decode", "topologyConstraint": {"requiredTopologyLevel": "block"}},
        {
            "name": "d0",
            "parent": "decode",
            "minMember": 1,
            "topologyConstraint": {"requiredTopologyLevel": "rack"},
        },
        {"name": "d1", "parent": "decode", "minMember": 1},
        {"name": "router", "minMember": 1},
    ]
    group = owner("scheduling.run.ai/v2alpha2", "PodGroup", "g", {"subGroups": groups})
    pods = [
        labelled(name, {"kai.scheduler/subgroup-name": name}, {"pod-group-name": "g"})
        for name in ("d0", "d1", "router")
    ]
    gang = gang_of(pods, known_of((), (group,)))
    assert wishes(gang) == {("part", "block", "decode"), ("group", "rack", "d0")}
    assert [member.parts for member in gang.members] == [("decode",), ("decode",), ()]


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "a"}, {"a": "nobody"}])
def test_parents_that_cannot_be_are_told(parents: dict[str, str]) -> None:
    groups = [{"name": name, "parent": parent} for name, parent in parents.items()]
    with pytest.raises(InvalidInput, match=r"spec.subGroups\[0\].parent"):
        owner("scheduling.run.ai/v2alpha2", "PodGroup", "g", {"subGroups": groups})


def grove_pod(clique: str, *, scaled: bool) -> Pod:
    labels = {"grove.io/podgang": "g-0", "grove.io/podclique": clique}
    more = {"grove.io/podcliquescalinggroup": "g-0-w", "grove.io/podcliquescalinggroup-replica-index": "0"}
    return labelled(clique, labels | (more if scaled else {}))


def test_cliques_inside_a_scaled_group_of_grove_and_groups_over_cliques_keep_their_places() -> None:
    def packed(level: str) -> dict[str, Any]:
        return {"topologyConstraint": {"packConstraint": {"required": level}}}

    spec = {
        **packed("zone"),
        "podgroups": [
            {"name": "ldr", "minReplicas": 1, **packed("host")},
            {"name": "wkr", "minReplicas": 1},
            {"name": "router", "minReplicas": 1},
        ],
        "topologyConstraintGroupConfigs": [
            {"name": "g-0-w-0", "podGroupNames": ["ldr", "wkr"], **packed("rack")},
            {"name": "serving", "podGroupNames": ["wkr", "router"], **packed("block")},
        ],
    }
    known = known_of((), (owner("scheduler.grove.io/v1alpha1", "PodGang", "g-0", spec),))
    pods = [grove_pod("ldr", scaled=True), grove_pod("wkr", scaled=True), grove_pod("router", scaled=False)]
    gang = gang_of(pods, known)
    assert wishes(gang) == {
        ("gang", "zone", ""),
        ("group", "rack", "g-0-w-0"),
        ("part", "host", "ldr"),
        ("part", "block", "serving"),
    }
    parts = {member.pod.name: member.parts for member in gang.members}
    assert parts == {"ldr": ("ldr",), "wkr": ("serving",), "router": ("serving",)}


def test_partitions_of_a_volcano_task_have_the_topology_of_their_policy() -> None:
    policy = {"name": "worker", "networkTopology": {"mode": "hard", "highestTierAllowed": 1}}
    spec = {"minMember": 3, "networkTopology": {"highestTierAllowed": 2}, "subGroupPolicy": [policy]}
    group = owner("scheduling.volcano.sh/v1beta1", "PodGroup", "v", spec)
    given = {"scheduling.k8s.io/group-name": "v"}
    pods = [
        labelled(f"w{at}", {"volcano.sh/task-spec": "worker", "volcano.sh/partition-id": str(at)}, given)
        for at in range(2)
    ]
    pods.append(labelled("m", {"volcano.sh/task-spec": "master"}, given))
    assert wishes(gang_of(pods, known_of((), (group,)))) == {
        ("gang", "tier:2", ""),
        ("group", "tier:1", "worker-0"),
        ("group", "tier:1", "worker-1"),
    }


def test_a_pod_set_with_slices_keeps_its_own_level() -> None:
    """Two jobs of one JobSet: the pod set in a block, its slices of two pods in a rack each."""
    kueue = "kueue.x-k8s.io/podset-"
    given = {
        kueue + "required-topology": BLOCK,
        kueue + "slice-required-topology": RACK,
        kueue + "slice-size": "2",
        "lockstep.scheduling/gang-size": "8",
    }
    set_ = "jobset.sigs.k8s.io/"
    pods = [
        labelled(
            f"s-w-{job}-{at}",
            {
                set_ + "jobset-name": "s",
                set_ + "replicatedjob-name": "w",
                set_ + "replicatedjob-replicas": "2",
                set_ + "job-index": str(job),
                "batch.kubernetes.io/job-completion-index": str(at),
            },
            given,
        )
        for job in range(2)
        for at in range(4)
    ]
    gang = gang_of(pods, {})
    assert wishes(gang) == {("part", BLOCK, "w-0"), ("part", BLOCK, "w-1"), ("group", RACK, "")}
    assert gang.segment_size == 2
