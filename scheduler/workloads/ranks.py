"""The order of a gang's members: ranks as they state them, else by index, as numbers and never as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from scheduler.model import PREFIX, InvalidField, Member, Membership, Pod
from scheduler.workloads.keys import INDEX_LABELS, JOBSET_INDEX, LWS_WORKER_INDEX
from scheduler.workloads.natural import Natural, index_of, natural, stem_and_number

Members = Sequence[tuple[Pod, Membership]]

_SetKey = tuple[str, str, str]


def ranked(members: Members) -> tuple[Member, ...]:
    """Members by rank. A stated rank is kept; the others take the ranks left free, in order of
    group, set and index, where groups and sets stand in the natural order of their first names."""
    taken = {membership.rank for _, membership in members}
    free = (rank for rank in count() if rank not in taken)
    found = [
        _member(pod, membership, membership.rank if membership.rank is not None else next(free))
        for pod, membership in _in_sequence(members)
    ]
    return tuple(sorted(found, key=lambda member: (member.rank, natural(member.pod.name))))


def rank_faults(members: Members, size: int | None) -> Iterable[InvalidField]:
    """Stated ranks must be unique, not negative, and below the size."""
    seen: dict[int, Pod] = {}
    for pod, membership in members:
        rank = membership.rank
        if rank is None:
            continue
        if rank in seen:
            wanted = f"a rank of its own; {seen[rank].name} has rank {rank} too"
            yield InvalidField(pod.name, _field(pod), str(rank), wanted)
        elif rank < 0 or (size is not None and rank >= size):
            wanted = f"a rank from 0 to {size - 1}, for the gang has {size} pods" if size else "0 or more"
            yield InvalidField(pod.name, _field(pod), str(rank), wanted)
        seen.setdefault(rank, pod)


def _field(pod: Pod) -> str:
    ours = PREFIX + "rank"
    return ours if ours in pod.annotations or LWS_WORKER_INDEX not in pod.labels else LWS_WORKER_INDEX


def _member(pod: Pod, membership: Membership, rank: int) -> Member:
    return Member(pod.key, pod.uid, rank, membership.group, pod.shape, pod.node, membership.parts)


def _in_sequence(members: Members) -> list[tuple[Pod, Membership]]:
    """Group by group, in it set by set, in it by index: pods of two sets may share an index."""
    names = [natural(pod.key.name) for pod, _ in members]
    sets = [_set_of(pod, membership) for pod, membership in members]
    first_of_group: dict[str, Natural] = {}
    first_of_set: dict[_SetKey, Natural] = {}
    for key, name in zip(sets, names, strict=True):
        first_of_group[key[0]] = min(first_of_group.get(key[0], name), name)
        first_of_set[key] = min(first_of_set.get(key, name), name)

    def order(at: int) -> tuple[int, Natural, Natural, int, Natural]:
        key, pod = sets[at], members[at][0]
        job = index_of(pod.labels.get(JOBSET_INDEX, "")) or 0
        return job, first_of_group[key[0]], first_of_set[key], _index(pod), names[at]

    return [members[at] for at in sorted(range(len(members)), key=order)]


def _set_of(pod: Pod, membership: Membership) -> _SetKey:
    """Group, owner, and the name without its number where no label numbers the pods of an owner."""
    owner = f"{pod.owner.kind}/{pod.owner.name}" if pod.owner else ""
    stem = "" if owner and _label(pod) is not None else stem_and_number(pod.key.name)[0]
    return membership.group, owner, stem


def _index(pod: Pod) -> int:
    """The pod's index label, else the number at the end of its name."""
    label = _label(pod)
    return stem_and_number(pod.key.name)[1] if label is None else label


def _label(pod: Pod) -> int | None:
    values = (index_of(pod.labels.get(key, "")) for key in INDEX_LABELS)
    return next((value for value in values if value is not None), None)
