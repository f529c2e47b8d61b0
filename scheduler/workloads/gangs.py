"""From pods to gangs: which family speaks for a pod, and what its members say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from scheduler.model import Gang, InvalidField, InvalidInput, Membership, Parallelism, Pod
from scheduler.workloads import agreement, parallelism, podgroup
from scheduler.workloads.annotations import SOURCE as ANNOTATIONS
from scheduler.workloads.annotations import Annotations, overlay, refuse_strays
from scheduler.workloads.family import Family, PodGroups, T, attempt
from scheduler.workloads.leaderworkerset import LeaderWorkerSet
from scheduler.workloads.podgroup import NativePodGroup
from scheduler.workloads.products import with_products
from scheduler.workloads.ranks import rank_faults, ranked
from scheduler.workloads.roles import constraints_of

FAMILIES: tuple[Family, ...] = (Annotations(), NativePodGroup(), LeaderWorkerSet())
"""By precedence: the first family that knows a pod speaks for it."""

Members = Sequence[tuple[Pod, Membership]]


def membership_of(pod: Pod, groups: PodGroups) -> Membership | None:
    """What a pod says of its gang, None when it has none; raises InvalidInput with all its faults.

    Our annotations add to what another family says, and the engine's own settings fill in
    the sizes that nobody stated.
    """
    for family in FAMILIES:
        found = family.membership(pod, groups)
        if found is not None:
            return _completed(found, pod)
    refuse_strays(pod)
    return None


def _completed(found: Membership, pod: Pod) -> Membership:
    """A family's word, then ours, then the engine's; raises InvalidInput with the faults of both."""
    faults: list[InvalidField] = []
    ours = found if found.source == ANNOTATIONS else attempt(faults, lambda: overlay(found, pod))
    stated = (ours or found).parallelism
    sizes = attempt(faults, lambda: _filled(stated, pod))
    if faults or ours is None or sizes is None:
        raise InvalidInput(*faults)
    return replace(ours, parallelism=sizes)


def _filled(stated: Parallelism, pod: Pod) -> Parallelism:
    """Stated sizes, and for those not stated what the engine in the pod is told."""
    known = [short for short, name in parallelism.FIELDS.items() if getattr(stated, name) is not None]
    read = parallelism.of_pod(pod, known=known)
    more = {
        name: getattr(read, name)
        for name in parallelism.FIELDS.values()
        if getattr(read, name) is not None and getattr(stated, name) is None
    }
    return replace(stated, **more, sources=(*stated.sources, *read.sources))


def assemble(members: Members) -> Gang:
    """The gang that its members describe together, in rank order; raises InvalidInput with every fault.

    A gang with fewer members than its size is incomplete and judged as far as it goes. The
    minimum of an upstream PodGroup is none: its gang is all members that exist.
    """
    first = members[0][1]
    faults: list[InvalidField] = []
    stated = agreement.agreed_size(members, faults)
    sizes = agreement.agreed_parallelism(members, faults)
    by_group = agreement.sizes_by_role(members, faults)
    faults += agreement.disagreements(members)
    faults += agreement.size_faults(members, stated)
    size = max(stated or 0, len(members)) if first.source == podgroup.SOURCE else stated or len(members)
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
    gang = with_products(gang, faults)
    if faults:
        raise InvalidInput(*faults)
    return gang


def _first_said(members: Members, read: Callable[[Membership], T | None], default: T) -> T:
    return next((value for _, m in members if (value := read(m))), default)
