"""What the engines of a gang say that is not known, or does not go with the gang."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from scheduler.devices import gpus_of
from scheduler.model import Membership, Pod
from scheduler.workloads.parallelism import FIELDS, nodes_of

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


def _nodes(members: Members) -> Iterator[str]:
    """An engine that is told of more or fewer nodes than the gang, its group, or its GPU pods are."""
    groups = Counter(m.group for _, m in members)
    with_gpus = Counter(m.group for pod, m in members if gpus_of(pod.shape))
    sizes = {len(members), sum(with_gpus.values())} | {m.size for _, m in members if m.size is not None}
    told: set[int] = set()
    for pod, membership in members:
        count = nodes_of(pod)
        group = membership.group
        if count == 1 or count in told or count in sizes | {groups[group], with_gpus[group]}:
            continue
        told.add(count)
        yield f"{pod.name} tells its engine of {count} nodes; its gang has {len(members)} pods"
