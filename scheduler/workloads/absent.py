"""Members that their controller makes only once others of the gang run.

LeaderWorkerSet makes workers after the leader is Ready, or with exclusive topology after it has
a node; JobSet with exclusive topology makes index 0 of every job first; an ordered StatefulSet
makes one pod at a time; a Spark driver makes its executors. Waiting for all of them would wait
for ever: they are placed as they will be, and their room is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.model import InvalidInput, Membership, Pod, PodKey
from scheduler.workloads import jobset, kubeflow, leaderworkerset, spark
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.keys import INDEX_LABELS, LWS_WORKER_INDEX
from scheduler.workloads.known import Known, Workload, owner_of, workload

Members = Sequence[tuple[Pod, Membership]]

UID = "absent/"
"""How the uid of a member begins that does not exist yet."""

_VERSIONS = (leaderworkerset.REVISION, jobset.ATTEMPT, "disaggregatedset.x-k8s.io/revision")
"""Labels that no manifest can know; followers get them from those that exist."""

_NAMED = (
    ("LeaderWorkerSet.leaderworkerset.x-k8s.io", leaderworkerset.NAME),
    (jobset.KIND, jobset.NAME),
    (spark.KIND, spark.APP),
    ("MPIJob.kubeflow.org", kubeflow.JOB_NAME),
)


def followers(members: Members, known: Known) -> tuple[tuple[Pod, Membership], ...]:
    """The members that will come, as far as those that exist lack them; empty when all must exist first."""
    size = members[0][1].size
    if size is None or len(members) >= size:
        return ()
    here = {pod.key for pod, _ in members}
    numbered = {one for pod, membership in members if (one := identity(pod, membership)) is not None}
    found: dict[PodKey, tuple[Pod, Membership]] = {}
    for pod in _awaited(members, known):
        if pod.key in here:
            continue
        membership = _speaks(pod, members[0], known)
        if membership is not None and identity(pod, membership) not in numbered:
            found[pod.key] = (pod, membership)
    missing = size - len(members)
    return tuple(found.values())[:missing] if len(found) >= missing else ()


def _awaited(members: Members, known: Known) -> Iterator[Pod]:
    """Pods that owners are still to make, as if they belonged to the same revision."""
    first = members[0][0]
    versions = {key: first.labels[key] for key in _VERSIONS if key in first.labels}
    index = first.labels.get(leaderworkerset.GROUP_INDEX)
    owners = {owner.key: owner for pod, _ in members for owner in _owners(pod, known)}
    for owner in owners.values():
        for pod in owner.staged:
            if index is None or pod.labels.get(leaderworkerset.GROUP_INDEX) == index:
                yield replace(pod, uid=f"{UID}{pod.key}", labels={**pod.labels, **versions})
    if not owners and index is not None:
        yield from _workers_like(members)


def _owners(pod: Pod, known: Known) -> Iterator[Workload]:
    """The objects whose pods come in stages, above this pod."""
    named = [workload(known, kind, pod.key.namespace, pod.labels.get(label)) for kind, label in _NAMED]
    for owner in (owner_of(pod, known), *named):
        if owner is not None and owner.staged:
            yield owner


def _workers_like(members: Members) -> Iterator[Pod]:
    """Workers of a leader with exclusive topology whose set cannot be read: taken to be like the leader."""
    leader, membership = members[0]
    exclusive = leaderworkerset.EXCLUSIVE in leader.annotations
    if len(members) > 1 or not exclusive or leader.labels.get(LWS_WORKER_INDEX) != "0":
        return
    for rank in range(1, membership.size or 1):
        key = PodKey(leader.key.namespace, f"{leader.key.name}-{rank}")
        labels = {**leader.labels, LWS_WORKER_INDEX: str(rank)}
        labels.pop(leaderworkerset.SUBGROUP_INDEX, None)
        yield replace(leader, key=key, uid=f"{UID}{key}", labels=labels, node=None, nominated=None, gates=())


def _speaks(pod: Pod, first: tuple[Pod, Membership], known: Known) -> Membership | None:
    """What a follower says of its gang, None when it belongs to another one."""
    try:
        membership = membership_of(pod, known)
    except InvalidInput:
        return None
    return membership if membership is not None and membership.gang == first[1].gang else None


def identity(pod: Pod, membership: Membership) -> tuple[str, str] | None:
    """Group and number of a member: pods with random names are recognised by these."""
    number = next((pod.labels[key] for key in INDEX_LABELS if key in pod.labels), None)
    if number is None:
        return None
    return membership.group, number
