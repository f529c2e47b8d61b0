"""Volcano: pods of a PodGroup, whoever made them, and the Job of batch.volcano.sh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import whole
from scheduler.workloads.keys import GROUP_NAME, VOLCANO, VOLCANO_SCHEDULING
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    bounded,
    child,
    listed,
    mapping,
    number,
    optional,
    pod_of,
    text,
    within,
)

SOURCE = "Volcano PodGroup"
KIND = "PodGroup.scheduling.volcano.sh"
TASK, TASK_INDEX, PARTITION = VOLCANO + "task-spec", VOLCANO + "task-index", VOLCANO + "partition-id"
MODE, TIER = VOLCANO + "network-topology-mode", VOLCANO + "network-topology-highest-tier"
LEAST = VOLCANO_SCHEDULING + "group-min-member"
TIER_LEVEL = "tier:"
"""How a tier of Volcano is named as a level: counted from the leaves up."""


class VolcanoGroup:
    """Pods that name a PodGroup of Volcano."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The pod group of a pod: its minMember pods start together, the task is the group."""
        name = pod.annotations.get(GROUP_NAME) or pod.annotations.get(VOLCANO_SCHEDULING + "group-name")
        if not name:
            return None
        group = workload(known, KIND, pod.key.namespace, name)
        size = group.size if group else whole(pod.annotations, LEAST, owner=pod.name)
        task = pod.labels.get(TASK) or pod.annotations.get(TASK, "")
        partition = pod.labels.get(PARTITION)
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=SOURCE,
            size=size,
            least=size is not None,
            group=f"{task}-{partition}" if partition else task,
            role=bool(task),
            constraints=_own(group.constraints, task) if group and group.constraints else _stated(pod),
        )


def _own(wishes: tuple[Constraint, ...], task: str) -> tuple[Constraint, ...]:
    """The gang's wishes and those of the sub-groups of one task."""
    return tuple(replace(wish, group=None) for wish in wishes if wish.group in (None, "", task))


def _stated(pod: Pod) -> tuple[Constraint, ...]:
    """The network topology that annotations ask for."""
    tier = whole(pod.annotations, TIER, owner=pod.name)
    if tier is None:
        return ()
    hard = pod.annotations.get(MODE, "hard") != "soft"
    return (Constraint("gang", f"{TIER_LEVEL}{tier}", hard, f"annotation {TIER}"),)


def group_facts(document: Document, *, owner: str) -> Facts:
    """A PodGroup: minMember pods to start with, and the highest tier that they may span."""
    spec = mapping(document, "spec", owner=owner)
    size = number(spec, "minMember", owner=owner, field="spec.minMember", least=1, default=1)
    wishes = list(_topology(spec, "spec.networkTopology", owner))
    for at, policy in enumerate(listed(spec, "subGroupPolicy", owner=owner, field="spec.subGroupPolicy")):
        field = f"spec.subGroupPolicy[{at}]"
        task = _task_of(policy, field, owner)
        wishes += [
            replace(wish, scope="group", group=task)
            for wish in _topology(policy, f"{field}.networkTopology", owner)
        ]
    return Facts(size, least=True, constraints=tuple(wishes))


def _task_of(policy: Document, field: str, owner: str) -> str:
    """The task whose pods a policy divides, empty for those of every task."""
    selector = within(policy, "labelSelector.matchLabels", owner=owner)
    if selector:
        return str(selector.get(TASK, ""))
    return text(policy, "name", owner=owner, field=f"{field}.name", default="")


def _topology(spec: Document, field: str, owner: str) -> Iterator[Constraint]:
    topology = optional(spec, "networkTopology", owner=owner, field=field)
    mode = topology.get("mode", "hard")
    if topology and mode not in ("hard", "soft"):
        raise InvalidInput(InvalidField(owner, f"{field}.mode", str(mode), "hard or soft"))
    if topology.get("highestTierName"):
        level = text(topology, "highestTierName", owner=owner, field=f"{field}.highestTierName")
        yield Constraint("gang", level, mode == "hard", f"Volcano {field}")
    elif topology.get("highestTierAllowed") is not None:
        tier = number(
            topology, "highestTierAllowed", owner=owner, field=f"{field}.highestTierAllowed", least=1
        )
        yield Constraint("gang", f"{TIER_LEVEL}{tier}", mode == "hard", f"Volcano {field}")


def expand_job(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The PodGroup and the pods `<job>-<task>-<index>` of a Job of Volcano; raises InvalidInput."""
    spec, metadata = mapping(document, "spec", owner=owner), document["metadata"]
    tasks = listed(spec, "tasks", owner=owner, field="spec.tasks")
    counts = [
        number(task, "replicas", owner=owner, field=f"spec.tasks[{at}].replicas", least=0, default=1)
        for at, task in enumerate(tasks)
    ]
    total = bounded(sum(counts), owner=owner, field="spec.tasks")
    least = (
        number(spec, "minAvailable", owner=owner, field="spec.minAvailable", least=0, default=total) or total
    )
    group: dict[str, Any] = {"minMember": max(least, 1)}
    group |= {k: spec[k] for k in ("networkTopology",) if spec.get(k)}
    divided = [
        {"name": text(task, "name", owner=owner, field=f"spec.tasks[{at}].name", default="default"), **inner}
        for at, task in enumerate(tasks)
        if (inner := _divided(task, f"spec.tasks[{at}].partitionPolicy", owner))
    ]
    group |= {"subGroupPolicy": divided} if divided else {}
    name = str(metadata["name"])
    made = [
        child(document, api_version="scheduling.volcano.sh/v1beta1", kind="PodGroup", name=name, spec=group)
    ]
    for at, (task, count) in enumerate(zip(tasks, counts, strict=True)):
        made += [_pod(document, task, f"spec.tasks[{at}]", index, owner) for index in range(count)]
    return made


def _divided(task: Document, field: str, owner: str) -> dict[str, Any]:
    """The network topology that a task asks for each of its partitions."""
    policy = optional(task, "partitionPolicy", owner=owner, field=field)
    found = optional(policy, "networkTopology", owner=owner, field=f"{field}.networkTopology")
    return {"networkTopology": found} if found else {}


def _pod(document: Document, task: Document, place: str, index: int, owner: str) -> dict[str, Any]:
    metadata = document["metadata"]
    name, job = text(task, "name", owner=owner, field=f"{place}.name", default="default"), metadata["name"]
    policy = optional(task, "partitionPolicy", owner=owner, field=f"{place}.partitionPolicy")
    labels = {
        VOLCANO + "job-name": str(job),
        VOLCANO + "job-namespace": metadata["namespace"],
        TASK: name,
        TASK_INDEX: str(index),
    }
    if policy:
        size = number(
            policy, "partitionSize", owner=owner, field=f"{place}.partitionPolicy.partitionSize", least=1
        )
        labels[PARTITION] = str(index // size)
    return pod_of(
        mapping(task, "template", owner=owner, field=f"{place}.template"),
        name=f"{job}-{name}-{index}",
        namespace=metadata["namespace"],
        owner=owner,
        place=f"{place}.template",
        labels=labels,
        annotations={GROUP_NAME: str(job), TASK: name, TASK_INDEX: str(index)},
        by=Made("batch.volcano.sh/v1alpha1", "Job", str(job)),
    )
