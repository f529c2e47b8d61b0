"""From pods to gangs: which family speaks for a pod, and what its members say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from scheduler.model import Constraint, Gang, InvalidField, InvalidInput, Membership, Parallelism, Pod
from scheduler.workloads import agreement, kueue, parallelism, worlds
from scheduler.workloads.annotations import SOURCE as ANNOTATIONS
from scheduler.workloads.annotations import Annotations, overlay, refuse_strays
from scheduler.workloads.builtin import IndexedJob, Replicas
from scheduler.workloads.coscheduling import KoordinatorGang, PluginGroup
from scheduler.workloads.custom import Custom
from scheduler.workloads.disaggregated import DisaggregatedSet
from scheduler.workloads.family import Family, T, attempt
from scheduler.workloads.grove import PodGang
from scheduler.workloads.jobset import JobSet
from scheduler.workloads.kai import KaiGroup
from scheduler.workloads.known import Known
from scheduler.workloads.kubeflow import KubeflowJob
from scheduler.workloads.leaderworkerset import LeaderWorkerSet
from scheduler.workloads.podgroup import NativePodGroup
from scheduler.workloads.products import with_products
from scheduler.workloads.ranks import rank_faults, ranked
from scheduler.workloads.ray import RayCluster
from scheduler.workloads.roles import constraints_of
from scheduler.workloads.serving import InferenceService
from scheduler.workloads.spark import SparkApplication
from scheduler.workloads.volcano import VolcanoGroup
from scheduler.workloads.yunikorn import TaskGroups

FAMILIES: tuple[Family, ...] = (
    Annotations(),
    NativePodGroup(),
    PodGang(),
    VolcanoGroup(),
    KoordinatorGang(),
    PluginGroup(),
    KaiGroup(),
    kueue.PodGroup(),
    TaskGroups(),
    DisaggregatedSet(),
    LeaderWorkerSet(),
    JobSet(),
    KubeflowJob(),
    RayCluster(),
    InferenceService(),
    SparkApplication(),
    Custom(),
    IndexedJob(),
    Replicas(),
)
"""By precedence: the first family that knows a pod speaks for it."""

Members = Sequence[tuple[Pod, Membership]]


def membership_of(pod: Pod, known: Known) -> Membership | None:
    """What a pod says of its gang, None when it has none; raises InvalidInput with all its faults.

    Where the first family that knows a pod says no size, order or group, those that know it too
    fill that in. Our annotations add to what another family says, and the engine's own settings
    fill in the sizes that nobody stated.
    """
    found: Membership | None = None
    for family in FAMILIES:
        try:
            said = family.membership(pod, known)
        except InvalidInput:
            if found is None or found.size is None:
                raise
            continue  # the size is known; what only adds to it does not break it
        if said is None:
            continue
        found = said if found is None else _filled_by(found, said)
        if found.size is not None and (found.group or not found.least):
            break
    if found is not None:
        return _completed(found, pod)
    refuse_strays(pod)
    return None


def _filled_by(first: Membership, other: Membership) -> Membership:
    """The word of the first family, with what only another one knows of the same pod."""
    size = first.size if first.size is not None else other.size
    return replace(
        first,
        size=size,
        least=first.least if first.size is not None else other.least,
        rank=first.rank if first.rank is not None or size != other.size else other.rank,
        group=first.group or other.group,
        group_size=first.group_size or other.group_size,
        role=first.role if first.group else other.role,
        constraints=first.constraints or other.constraints,
    )


def _completed(found: Membership, pod: Pod) -> Membership:
    """A family's word, then ours, then the engine's; raises InvalidInput with the faults of both."""
    faults: list[InvalidField] = []
    ours = found if found.source == ANNOTATIONS else attempt(faults, lambda: overlay(found, pod))
    if ours is not None:
        ours = attempt(faults, partial(_hinted, ours, pod))
    stated = (ours or found).parallelism
    sizes = attempt(faults, lambda: _filled(stated, pod))
    if faults or ours is None or sizes is None:
        raise InvalidInput(*faults)
    return ours if sizes is ours.parallelism else replace(ours, parallelism=sizes)


def _hinted(stated: Membership, pod: Pod) -> Membership:
    """With the topology that Kueue's or KAI's annotations ask for, of scopes that nobody spoke of."""
    wishes, size = kueue.wishes(pod, stated.group)
    spoken = {wish.scope for wish in stated.constraints if wish.scope != "part"}
    more: tuple[Constraint, ...] = tuple(wish for wish in wishes if wish.scope not in spoken)
    if not more:
        return stated
    parts = (wish.group for wish in more if wish.scope == "part" and wish.group is not None)
    return replace(
        stated,
        parts=tuple(dict.fromkeys((*stated.parts, *parts))),
        constraints=(*stated.constraints, *more),
        segment_size=stated.segment_size if stated.segment_size is not None else size,
    )


def _filled(stated: Parallelism, pod: Pod) -> Parallelism:
    """Stated sizes, and for those not stated what the engine in the pod is told."""
    known = [short for short, name in parallelism.FIELDS.items() if getattr(stated, name) is not None]
    read = parallelism.of_pod(pod, known=known)
    more = {
        name: getattr(read, name)
        for name in parallelism.FIELDS.values()
        if getattr(read, name) is not None and getattr(stated, name) is None
    }
    if not more and not read.sources:
        return stated
    return replace(stated, **more, sources=(*stated.sources, *read.sources))


def assemble(members: Members) -> Gang:
    """The gang that its members describe together, in rank order; raises InvalidInput with every fault.

    A gang with fewer members than its size is incomplete and judged as far as it goes. The
    smallest size of an elastic gang is none: its gang is all members that exist.
    """
    first = members[0][1]
    faults: list[InvalidField] = []
    stated = agreement.agreed_size(members, faults)
    sizes = agreement.agreed_parallelism(members, faults)
    by_group = agreement.sizes_by_role(members, faults)
    faults += agreement.disagreements(members)
    faults += agreement.size_faults(members, stated)
    size = max(stated or 0, len(members)) if first.least else stated or len(members)
    faults += rank_faults(members, size if stated is not None else None)
    faults += agreement.group_faults(members, complete=len(members) == size)
    gang = Gang(
        key=first.gang,
        size=size,
        members=ranked(members),
        source=first.source,
        parallelism=sizes,
        by_group=by_group,
        constraints=constraints_of(members),
        segment_size=_first_said(members, lambda m: m.segment_size, None),
        segment_remainder=_first_said(
            members, lambda m: m.segment_remainder if m.segment_size else None, "forbid"
        ),
        policy=_first_said(members, lambda m: m.policy, ""),
    )
    unkept = dict.fromkeys(one for _, membership in members for one in membership.unkept)
    gang = replace(gang, warnings=(*gang.warnings, *unkept, *worlds.doubts(members)))
    gang = with_products(gang, faults)
    if faults:
        raise InvalidInput(*faults)
    return gang


def _first_said(members: Members, read: Callable[[Membership], T | None], default: T) -> T:
    return next((value for _, m in members if (value := read(m))), default)
