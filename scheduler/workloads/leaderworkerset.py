"""LeaderWorkerSet (leaderworkerset.sigs.k8s.io): one gang per group of one leader and its workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import attempt, whole
from scheduler.workloads.keys import DISAGGREGATED, LWS, LWS_WORKER_INDEX, POD_INDEX
from scheduler.workloads.known import Known
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    annotations_of,
    bounded,
    mapping,
    number,
    optional,
    pod_of,
)

SOURCE = "LeaderWorkerSet"
NAME, GROUP_INDEX, REVISION = LWS + "name", LWS + "group-index", LWS + "template-revision-hash"
SIZE, SUBGROUP_INDEX, SUBGROUP_SIZE = LWS + "size", LWS + "subgroup-index", LWS + "subgroup-size"
POLICY, LEADER_NAME = LWS + "subgroup-policy-type", LWS + "leader-name"
LEADER_EXCLUDED = "LeaderExcluded"
_LEADER = "leader"
"""The group of a leader that no sub-group has."""
EXCLUSIVE, SUBGROUP_EXCLUSIVE = LWS + "exclusive-topology", LWS + "subgroup-exclusive-topology"


class LeaderWorkerSet:
    """Pods with the labels that the LeaderWorkerSet controller and its webhook give."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The group of a pod. The revision is part of the gang: in a rolling update two groups
        of one index live side by side."""
        name = pod.labels.get(NAME)
        if name is None:
            return None
        faults: list[InvalidField] = []

        def read(values: Mapping[str, str], key: str, *, least: int) -> int | None:
            return attempt(faults, lambda: whole(values, key, owner=pod.name, least=least))

        index = read(pod.labels, GROUP_INDEX, least=0)
        size = read(pod.annotations, SIZE, least=1)
        rank = read(pod.labels, LWS_WORKER_INDEX, least=0)
        faults += _absent(pod)
        group = attempt(faults, lambda: _subgroup(pod, size or 1, rank or 0)) if not faults else None
        if faults:
            raise InvalidInput(*faults)
        revision = pod.labels.get(REVISION, "")
        return Membership(
            gang=GangKey(pod.key.namespace, f"{name}-{index}{'-' + revision if revision else ''}"),
            source=SOURCE,
            size=size,
            rank=rank,
            group=group or "",
            group_size=whole(pod.annotations, SUBGROUP_SIZE, owner=pod.name),
            constraints=_exclusive(pod),
        )


def _absent(pod: Pod) -> list[InvalidField]:
    """The webhook writes these; a pod made while it was down lacks them."""
    missing = [key for key in (GROUP_INDEX, LWS_WORKER_INDEX) if key not in pod.labels]
    missing += [SIZE] if SIZE not in pod.annotations else []
    wanted = "the value that the LeaderWorkerSet webhook writes; was it down when the pod was made?"
    return [InvalidField(pod.name, key, "", wanted) for key in missing]


def _subgroup(pod: Pod, size: int, rank: int) -> str:
    """The sub-group by its label, which must agree with the controller's own arithmetic."""
    per_group = whole(pod.annotations, SUBGROUP_SIZE, owner=pod.name)
    label = whole(pod.labels, SUBGROUP_INDEX, owner=pod.name, least=0)
    if per_group is None:
        return "" if label is None else str(label)
    computed = subgroup_index(size, per_group, rank, policy=pod.annotations.get(POLICY, ""))
    if label is None:
        return _LEADER if computed is None else str(computed)
    # Workers do not carry the policy, so a label that counts without the leader is as good.
    excluded = (size - 1) % per_group == 0 and rank > 0 and label == (rank - 1) // per_group
    if label != computed and not excluded:
        wanted = f"{computed}, for worker {rank} of {size} in sub-groups of {per_group}"
        raise InvalidInput(InvalidField(pod.name, SUBGROUP_INDEX, str(label), wanted))
    return str(label)


def subgroup_index(size: int, per_group: int, rank: int, *, policy: str = "") -> int | None:
    """The sub-group of a worker (leader: rank 0) as the controller computes it; None for an excluded leader.

    When the size less the leader divides by the sub-group size and the whole size does not,
    the leader joins the first sub-group beside it.
    """
    if policy == LEADER_EXCLUDED:
        return None if rank == 0 else (rank - 1) // per_group
    if (size - 1) % per_group == 0 and size % per_group != 0:
        return 0 if rank == 0 else (rank - 1) // per_group
    return rank // per_group


def _exclusive(pod: Pod) -> tuple[Constraint, ...]:
    """Exclusive topology makes LeaderWorkerSet keep a group in one domain, and sub-groups each in one of
    its own: the same for us."""
    found = []
    if level := pod.annotations.get(EXCLUSIVE):
        found.append(Constraint("gang", level, True, f"annotation {EXCLUSIVE}"))
    if level := pod.annotations.get(SUBGROUP_EXCLUSIVE):
        source = f"annotation {SUBGROUP_EXCLUSIVE}"
        found.append(Constraint("group", level, True, source, alone=True, beside=(_LEADER,)))
    return tuple(found)


def facts(document: Document, *, owner: str) -> Facts:
    """Every group says its size itself. Workers come after their leader when it must be Ready first,
    and with exclusive topology, when it must have a node."""
    spec = mapping(document, "spec", owner=owner)
    given = annotations_of(document, owner=owner)
    exclusive = any(given.get(key) for key in (EXCLUSIVE, SUBGROUP_EXCLUSIVE))
    return Facts(staged=exclusive or spec.get("startupPolicy") == "LeaderReady")


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods that the controller and its webhook would make of a LeaderWorkerSet; raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    replicas = number(spec, "replicas", owner=owner, field="spec.replicas", default=1, least=0)
    template = mapping(spec, "leaderWorkerTemplate", owner=owner, field="spec.leaderWorkerTemplate")
    size = number(template, "size", owner=owner, field="spec.leaderWorkerTemplate.size", default=1, least=1)
    bounded(replicas * size, owner=owner, field="spec.replicas x spec.leaderWorkerTemplate.size")
    worker = mapping(
        template, "workerTemplate", owner=owner, field="spec.leaderWorkerTemplate.workerTemplate"
    )
    field = "spec.leaderWorkerTemplate.leaderTemplate"
    leader = optional(template, "leaderTemplate", owner=owner, field=field) or worker
    return [
        _pod(document, leader if rank == 0 else worker, group=group, rank=rank, size=size, owner=owner)
        for group in range(replicas)
        for rank in range(size)
    ]


def _pod(
    document: Document, template: Document, *, group: int, rank: int, size: int, owner: str
) -> dict[str, Any]:
    name, metadata = document["metadata"]["name"], document["metadata"]
    given = annotations_of(document, owner=owner)
    above = optional(metadata, "labels", owner=owner, field="metadata.labels")
    labels = {key: str(value) for key, value in above.items() if key.startswith(DISAGGREGATED)}
    labels |= {
        NAME: name,
        GROUP_INDEX: str(group),
        LWS_WORKER_INDEX: str(rank),
        POD_INDEX: str(rank or group),
    }
    annotations = {SIZE: str(size)} | {
        key: given[key] for key in (EXCLUSIVE, SUBGROUP_EXCLUSIVE) if key in given
    }
    annotations |= {LEADER_NAME: f"{name}-{group}"} if rank else {}
    policy = _subgroup_policy(document, size, owner)
    if policy is not None:
        per_group, kind = policy
        annotations[SUBGROUP_SIZE] = str(per_group)
        index = subgroup_index(size, per_group, rank, policy=kind)
        if rank == 0 and kind:
            annotations[POLICY] = kind
        if index is not None:
            labels[SUBGROUP_INDEX] = str(index)
    pod_name = f"{name}-{group}" if rank == 0 else f"{name}-{group}-{rank}"
    own = rank == 0 and document["spec"]["leaderWorkerTemplate"].get("leaderTemplate")
    return pod_of(
        template,
        name=pod_name,
        namespace=metadata["namespace"],
        owner=owner,
        place=f"spec.leaderWorkerTemplate.{'leaderTemplate' if own else 'workerTemplate'}",
        labels=labels,
        annotations=annotations,
        by=Made("apps/v1", "StatefulSet", name if rank == 0 else f"{name}-{group}"),
    )


def _subgroup_policy(document: Document, size: int, owner: str) -> tuple[int, str] | None:
    """Pods per sub-group and kind of the policy, None without one; raises InvalidInput."""
    field = "spec.leaderWorkerTemplate.subGroupPolicy"
    template = document["spec"]["leaderWorkerTemplate"]
    policy = optional(template, "subGroupPolicy", owner=owner, field=field)
    if not policy:
        return None
    per_group = number(policy, "subGroupSize", owner=owner, field=f"{field}.subGroupSize", least=1)
    kind = policy.get("subGroupPolicyType") or ""
    if kind not in ("", "LeaderWorker", LEADER_EXCLUDED):
        wanted = f"LeaderWorker or {LEADER_EXCLUDED}"
        raise InvalidInput(InvalidField(owner, f"{field}.subGroupPolicyType", str(kind), wanted))
    parts = [size - 1] if kind == LEADER_EXCLUDED else [size, size - 1]
    if all(part % per_group for part in parts) or per_group > size:
        wanted = f"a divisor of {' or of '.join(map(str, parts))}, for the size is {size}"
        raise InvalidInput(InvalidField(owner, f"{field}.subGroupSize", str(per_group), wanted))
    return per_group, kind
