"""Whether the members of a gang say the same of it; each rule gives every fault it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from scheduler.model import PREFIX, Constraint, InvalidField, Membership, Parallelism, Pod
from scheduler.workloads import leaderworkerset, podgroup, roles
from scheduler.workloads.annotations import SOURCE as ANNOTATIONS
from scheduler.workloads.family import LARGEST
from scheduler.workloads.parallelism import FIELDS

Members = Sequence[tuple[Pod, Membership]]

GANG_SIZE, GROUP_SIZE = PREFIX + "gang-size", PREFIX + "group-size"
_SIZE_FIELDS = {
    ANNOTATIONS: GANG_SIZE,
    leaderworkerset.SOURCE: leaderworkerset.SIZE,
    podgroup.SOURCE: podgroup.MIN_COUNT,
}


def agreed_size(members: Members, faults: list[InvalidField]) -> int | None:
    """The size that the members state, the first one where they differ; None when none does."""
    faults += _differing(members, lambda m: m.size, lambda pod, m: _size_field(pod, m.source))
    return next((m.size for _, m in members if m.size is not None), None)


def size_faults(members: Members, size: int | None) -> Iterable[InvalidField]:
    """A gang needs a size, a sane one, and not more pods than that."""
    pod, first = members[0]
    owner, field = f"gang {first.gang}", _size_field(pod, first.source)
    if size is None and first.source == podgroup.SOURCE and "/" not in (pod.pod_group or ""):
        wanted = f"the name of a PodGroup of namespace {first.gang.namespace}; there is none of this name"
        yield InvalidField(pod.name, podgroup.NAMED, first.gang.name, wanted)
    elif size is None:
        wanted = f"the number of pods of the gang, {_unknown_size(first)}"
        yield InvalidField(owner, field, "", wanted)
    elif not 1 <= size <= LARGEST:
        yield InvalidField(owner, field, str(size), f"a whole number from 1 to {LARGEST}")
    elif len(members) > size and not first.least:
        wanted = f"{len(members)}, for so many pods say they belong to it: {_some_names(members)}"
        yield InvalidField(owner, field, str(size), wanted + _two_gangs(members))


def _unknown_size(first: Membership) -> str:
    """Who else could have said the size."""
    if first.source == ANNOTATIONS:
        return "on each of them"
    return f"from the {first.source} that they belong to, which is not known, or on each of them"


def _size_field(pod: Pod, source: str) -> str:
    return GANG_SIZE if GANG_SIZE in pod.annotations else _SIZE_FIELDS.get(source, GANG_SIZE)


def _some_names(members: Members) -> str:
    """The first, the last, and how many stand between them."""
    names = [str(pod.key) for pod, _ in members]
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, ... {names[-1]}"


def _two_gangs(members: Members) -> str:
    owners = _owners(members)
    if len(owners) < 2:
        return "; or are these two gangs of one name?"
    return f"; {owners[0]} and {owners[1]} use one gang name, so give one of them another"


def _owners(members: Members) -> list[str]:
    owners = (f"{pod.owner.kind} {pod.owner.name}" for pod, _ in members if pod.owner)
    return list(dict.fromkeys(owners))


def agreed_parallelism(members: Members, faults: list[InvalidField]) -> Parallelism:
    """Sizes from whichever member states them: a Ray worker does not repeat its leader's flags."""
    if roles.apart(members):
        return Parallelism()
    return _agreed_sizes(members, faults)


def sizes_by_role(members: Members, faults: list[InvalidField]) -> tuple[tuple[str, Parallelism], ...]:
    """The sizes of every role that states some; empty when the gang's sizes are one for all."""
    if not roles.apart(members):
        return ()
    found = [(role, _agreed_sizes(own, faults)) for role, own in roles.roles(members).items()]
    return tuple((role, sizes) for role, sizes in found if sizes.tensor or sizes.pipeline)


def _agreed_sizes(members: Members, faults: list[InvalidField]) -> Parallelism:
    found: dict[str, int] = {}
    sources: dict[str, str] = {}
    for short, name in FIELDS.items():
        said = _dimension(members, short, name, faults)
        if said is not None:
            found[name], sources[short] = said
    return Parallelism(**found, sources=tuple(sources.items()))


def _dimension(members: Members, short: str, name: str, faults: list[InvalidField]) -> tuple[int, str] | None:
    def value(membership: Membership) -> int | None:
        found: int | None = getattr(membership.parallelism, name)
        return found

    def source(pod: Pod, membership: Membership) -> str:
        return dict(membership.parallelism.sources).get(short, short)

    faults += _differing(members, value, source)
    return next(
        ((size, source(pod, m)) for pod, m in members if (size := value(m)) is not None),
        None,
    )


def disagreements(members: Members) -> Iterable[InvalidField]:
    """Family, constraints, segments and policy must be the same wherever they are stated."""
    yield from _one_family(members)
    yield from _one_word(members)
    yield from _differing(members, _segment, lambda pod, m: PREFIX + "segment-size")
    yield from _differing(members, lambda m: m.policy or None, lambda pod, m: PREFIX + "policy")


def _one_family(members: Members) -> Iterable[InvalidField]:
    """A gang of one family's pods cannot have members that another family speaks for."""
    said: dict[str, Pod] = {}
    for pod, membership in members:
        said.setdefault(membership.source, pod)
    (first, pod), *others = said.items()
    for source, other in others:
        wanted = f"{first}, as for {pod.name}; two gangs cannot share the name {members[0][1].gang}"
        yield InvalidField(other.name, "the family that forms the gang", source, wanted)


def _one_word(members: Members) -> Iterable[InvalidField]:
    """Constraints agree within every role, and on the gang as a whole."""
    named = roles.roles(members)
    parts = [*named.values(), [one for one in members if one[1].group not in named]]
    for part in parts if named else [members]:
        yield from _differing(part, _stated, lambda pod, m: f"{PREFIX}required and {PREFIX}preferred")
    if named:
        yield from _differing(members, _of_gang, lambda pod, m: f"{PREFIX}required and {PREFIX}preferred")


def _of_gang(membership: Membership) -> str | None:
    return _stated(replace(membership, constraints=_gang_wishes(membership)))


def _gang_wishes(membership: Membership) -> tuple[Constraint, ...]:
    return tuple(wish for wish in membership.constraints if wish.scope == "gang")


def _stated(membership: Membership) -> str | None:
    """Constraints as text; the order of the required ones means nothing."""
    said = [c for c in membership.constraints if c.scope != "part"]  # each part speaks for itself
    required = sorted(f"required {c.scope}={c.level}" for c in said if c.required)
    preferred = [f"preferred {c.scope}={c.level}" for c in said if not c.required]
    return ", ".join((*dict.fromkeys(required), *preferred)) or None


def _segment(membership: Membership) -> str | None:
    size = membership.segment_size
    return None if size is None else f"{size} (remainder {membership.segment_remainder})"


def _differing(
    members: Members,
    read: Callable[[Membership], object],
    field: Callable[[Pod, Membership], str],
) -> Iterable[InvalidField]:
    """One fault per value that differs from the first one stated, naming a pod of each."""
    said: dict[object, Pod] = {}
    for pod, membership in members:
        value = read(membership)
        if value is None or value in said:
            continue
        said[value] = pod
        first, by = next(iter(said.items()))
        if value != first:
            wanted = f"{first}, as {by.name} says of the same gang"
            yield InvalidField(pod.name, field(pod, membership), str(value), wanted)


def group_faults(members: Members, *, complete: bool) -> Iterable[InvalidField]:
    """A group that our annotations give a size has that many members, once the gang is complete."""
    said: dict[str, tuple[int, Pod]] = {}
    for pod, membership in members:
        size = membership.group_size
        if size is None or GROUP_SIZE not in pod.annotations:
            continue
        first, by = said.setdefault(membership.group, (size, pod))
        if size != first:
            wanted = f"{first}, as {by.name} says of the same group"
            yield InvalidField(pod.name, GROUP_SIZE, str(size), wanted)
    counts = Counter(membership.group for _, membership in members)
    for group, (size, pod) in said.items():
        if counts[group] > size or (complete and counts[group] != size):
            wanted = f"{counts[group]}, for so many pods of the gang are in group {group!r}"
            yield InvalidField(pod.name, GROUP_SIZE, str(size), wanted)
