"""What the engines of a gang say that is not known, or does not go with the gang."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from scheduler.devices import gpus_of
from scheduler.model import Membership, Pod
from scheduler.workloads.elsewhere import unknown_of
from scheduler.workloads.launchers import doubts_of, span_of, world_of
from scheduler.workloads.parallelism import FIELDS

Members = Sequence[tuple[Pod, Membership]]


def doubts(members: Members) -> Iterator[str]:
    """One sentence for every size that nobody can read, and for a number of nodes that does not fit."""
    for short, name in FIELDS.items():
        if any(getattr(m.parallelism, name) is not None for _, m in members):
            continue
        where = next((text for _, m in members for key, text in m.parallelism.sources if key == short), None)
        if where is not None:
            yield f"{short} is not known: {where}"
    yield from _nodes(members)
    yield from _ranks(members)
    yield from _of_pods(members)


def _nodes(members: Members) -> Iterator[str]:
    """An engine that is told of more or fewer nodes than the gang, its group, or its GPU pods are."""
    groups = Counter(m.group for _, m in members)
    with_gpus = Counter(m.group for pod, m in members if gpus_of(pod.shape))
    sizes = {len(members), sum(with_gpus.values())} | {m.size for _, m in members if m.size is not None}
    told: set[int] = set()
    for pod, membership in members:
        least, count = span_of(pod)
        known = sizes | {groups[membership.group], with_gpus[membership.group]}
        if count == 1 or count in told or any(least <= size <= count for size in known):
            continue
        told.add(count)
        nodes = f"{count}" if least == count else f"{least} to {count}"
        yield f"{pod.name} tells its engine of {nodes} nodes; its gang has {len(members)} pods"


def _ranks(members: Members) -> Iterator[str]:
    """A launcher that is told to start more or fewer ranks than there are GPUs: the three numbers."""
    if any((m.size or 0) > len(members) for _, m in members):
        return
    of_group: Counter[str] = Counter()
    for pod, membership in members:
        of_group[membership.group] += gpus_of(pod.shape)
    whole, told = sum(of_group.values()), set[int]()
    for pod, membership in members:
        world = world_of(pod)
        if world is None or not whole or world.ranks in told:
            continue
        if world.ranks in (whole, of_group[membership.group], gpus_of(pod.shape)):
            continue
        told.add(world.ranks)
        counted = f"its gang has {len(members)} pods with {whole} GPUs together"
        yield f"{pod.name} {world.said} = {world.ranks} ranks; {counted}"


def _of_pods(members: Members) -> Iterator[str]:
    """What single pods are told, once for all pods that are alike."""
    seen: set[tuple[object, ...]] = set()
    for pod, membership in members:
        alike = (pod.containers, pod.shape.requests, membership.parallelism)
        if alike not in seen:
            seen.add(alike)
            yield from doubts_of(pod, membership.parallelism)
            yield from unknown_of(pod, membership.parallelism)
