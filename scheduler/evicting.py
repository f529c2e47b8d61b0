"""Who may be named as a victim of a gang: an answer only, nobody is evicted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scheduler.model import Pod
from scheduler.placement.changes import Occupant

Owner = tuple[str, str]
Rank = int | None
"""A pod's priority; None for a pod that belongs to its node and would only come back."""

_OF_A_NODE = ("DaemonSet", "Node")


def rank_of(pod: Pod) -> Rank:
    """The priority of a pod, None where its eviction would free nothing for long."""
    return None if pod.owner is not None and pod.owner.kind in _OF_A_NODE else pod.priority


def evictable(
    occupants: Sequence[Occupant],
    owners: Mapping[str, Owner],
    ranks: Mapping[str, Rank],
    *,
    running: Iterable[str],
    priority: int,
) -> tuple[Occupant, ...]:
    """Those of lower priority than the gang, a gang counted by its highest member.

    `owners`: by uid of a pod; `ranks`: by uid, 0 where nothing is said; `running`: uids of the pods
    that are bound: what is only held for a gang is nobody's to evict. Where no priority is set at
    all, the gang's neither, all are equal and each may be named.
    """
    highest: dict[Owner, int] = {}
    kept: set[Owner] = set()
    for uid in running:
        owner, rank = owners.get(uid), ranks.get(uid, 0)
        if owner is not None and rank is not None:
            highest[owner] = max(highest.get(owner, rank), rank)
        elif owner is not None:
            kept.add(owner)
    unset = priority == 0 and not any(highest.values())
    return tuple(
        one
        for one in occupants
        if (own := (one.kind, one.name)) in highest and own not in kept and (unset or highest[own] < priority)
    )
