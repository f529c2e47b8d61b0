"""From pods to gangs: which family speaks for a pod, and whether its members agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from scheduler.devices import gpus_of
from scheduler.model import (
    PREFIX,
    Gang,
    InvalidField,
    InvalidInput,
    Member,
    Membership,
    Parallelism,
    Pod,
)
from scheduler.workloads import parallelism, podgroup
from scheduler.workloads.annotations import SOURCE as ANNOTATIONS
from scheduler.workloads.annotations import Annotations, overlay
from scheduler.workloads.family import Family, PodGroups
from scheduler.workloads.keys import INDEX_LABELS
from scheduler.workloads.leaderworkerset import LeaderWorkerSet
from scheduler.workloads.podgroup import NativePodGroup

FAMILIES: tuple[Family, ...] = (Annotations(), NativePodGroup(), LeaderWorkerSet())
"""By precedence: the first family that knows a pod speaks for it."""

Members = Sequence[tuple[Pod, Membership]]

T = TypeVar("T")

_DIGITS = re.compile(r"(\d+)")
_LAST_NUMBER = re.compile(r"(\d+)$")
_SIZES = (("tensor", "tp"), ("pipeline", "pp"), ("data", "dp"), ("expert", "ep"))


def membership_of(pod: Pod, groups: PodGroups) -> Membership | None:
    """What a pod says of its gang, None when it has none; raises InvalidInput with all its faults.

    Our annotations add to what another family says, and the engine's own settings fill in
    the sizes that nobody stated.
    """
    for family in FAMILIES:
        found = family.membership(pod, groups)
        if found is not None:
            if family.name != ANNOTATIONS:
                found = overlay(found, pod)
            return replace(found, parallelism=_filled(found.parallelism, pod))
    return None


def _filled(stated: Parallelism, pod: Pod) -> Parallelism:
    """Stated sizes, and for those not stated what the engine in the pod is told."""
    if stated.tensor and stated.pipeline and stated.data:
        return stated
    read = parallelism.of_pod(pod)
    more = {
        name: getattr(read, name) for name, _ in _SIZES if not getattr(stated, name) and getattr(read, name)
    }
    sources = dict(read.sources)
    kept = [(short, sources[short]) for name, short in _SIZES if name in more]
    return replace(stated, **more, sources=(*stated.sources, *kept))


def assemble(members: Members) -> Gang:
    """The gang that its members describe together, in rank order; raises InvalidInput with every fault.

    A gang with fewer members than its size is incomplete and judged as far as it goes.
    """
    first = members[0][1]
    faults: list[InvalidField] = []
    size = _agreed(members, "size", PREFIX + "gang-size", faults)
    sizes = _agreed_parallelism(members, faults)
    _agree_on_rest(members, faults)
    if first.source == podgroup.SOURCE:
        size = max(size or 0, len(members))
    if size is None:
        wanted = "the number of pods of the gang"
        faults.append(InvalidField(f"gang {first.gang}", PREFIX + "gang-size", "", wanted))
    elif len(members) > size:
        names = ", ".join(str(pod.key) for pod, _ in members[:3])
        wanted = (
            f"{len(members)}, for there are so many pods ({names}, ...); or are these two gangs of one name?"
        )
        faults.append(InvalidField(f"gang {first.gang}", PREFIX + "gang-size", str(size), wanted))
    faults += _rank_faults(members, size)
    ordered = _ordered(members)
    gang = Gang(
        key=first.gang,
        size=size or len(members),
        members=ordered,
        source=first.source,
        parallelism=sizes,
        constraints=_first_said(members, lambda m: m.constraints, ()),
        segment_size=_first_said(members, lambda m: m.segment_size, None),
        segment_remainder=_first_said(
            members, lambda m: m.segment_remainder if m.segment_size else None, "forbid"
        ),
        policy=_first_said(members, lambda m: m.policy, ""),
    )
    gang = _with_products(gang, faults)
    if faults:
        raise InvalidInput(*faults)
    return gang


def _first_said(members: Members, read: Callable[[Membership], T | None], default: T) -> T:
    return next((value for _, m in members if (value := read(m))), default)


def _agreed(members: Members, name: str, field: str, faults: list[InvalidField]) -> int | None:
    """The value that all members give who give one; the first who differs is named."""
    said: tuple[Pod, int] | None = None
    for pod, membership in members:
        value = getattr(membership, name)
        if value is None:
            continue
        if said is None:
            said = (pod, value)
        elif value != said[1]:
            wanted = f"{said[1]}, as {said[0].name} says of the same gang"
            faults.append(InvalidField(pod.name, field, str(value), wanted))
            break
    return said[1] if said else None


def _agreed_parallelism(members: Members, faults: list[InvalidField]) -> Parallelism:
    """Sizes from whichever member states them: a Ray worker does not repeat its leader's flags."""
    found: dict[str, int] = {}
    sources: dict[str, str] = {}
    said: dict[str, Pod] = {}
    for pod, membership in members:
        told = membership.parallelism
        if not told.sources and told == Parallelism():
            continue
        for name, short in _SIZES:
            value = getattr(told, name)
            if value is None:
                continue
            if name not in found:
                found[name], said[name] = value, pod
                sources[short] = dict(told.sources).get(short, "")
            elif value != found[name]:
                wanted = f"{found[name]}, as {said[name].name} says of the same gang"
                where = dict(told.sources).get(short, short)
                faults.append(InvalidField(pod.name, where, str(value), wanted))
                return Parallelism()
    return Parallelism(**found, sources=tuple(sources.items()))


def _agree_on_rest(members: Members, faults: list[InvalidField]) -> None:
    """Constraints, segments, policy and family must be the same wherever they are stated."""
    questions: tuple[tuple[str, Callable[[Membership], object]], ...] = (
        ("the family that forms the gang", lambda m: m.source),
        (f"{PREFIX}required and {PREFIX}preferred", _stated),
        (PREFIX + "segment-size", lambda m: m.segment_size),
        (PREFIX + "policy", lambda m: m.policy),
    )
    for field, read in questions:
        said: dict[object, Pod] = {}
        for pod, membership in members:
            value = read(membership)
            if value:
                said.setdefault(value, pod)
        if len(said) > 1:
            (one, pod), (other, second) = list(said.items())[:2]
            wanted = f"{one}, as {pod.name} says of the same gang"
            faults.append(InvalidField(second.name, field, str(other), wanted))


def _stated(membership: Membership) -> str:
    return ", ".join(
        f"{'required' if c.required else 'preferred'} {c.scope}={c.level}" for c in membership.constraints
    )


def _rank_faults(members: Members, size: int | None) -> Iterable[InvalidField]:
    """Ranks that pods state must be unique and below the size."""
    seen: dict[int, Pod] = {}
    for pod, membership in members:
        rank = membership.rank
        if rank is None:
            continue
        field = PREFIX + "rank" if PREFIX + "rank" in pod.annotations else "rank"
        if rank in seen:
            wanted = f"a rank of its own; {seen[rank].name} has it"
            yield InvalidField(pod.name, field, str(rank), wanted)
        elif size is not None and rank >= size:
            yield InvalidField(pod.name, field, str(rank), f"a rank below the gang's size, {size}")
        seen.setdefault(rank, pod)


def _ordered(members: Members) -> tuple[Member, ...]:
    """Members by rank: stated, else the pod's index label, else the number at the end of its name.

    Numbers count as numbers; pods of different sets that share an index stand set by set.
    """
    ordered = sorted(members, key=lambda one: _order(*one))
    return tuple(
        Member(pod.key, pod.uid, at, membership.group, pod.shape, pod.node)
        for at, (pod, membership) in enumerate(ordered)
    )


def _order(pod: Pod, membership: Membership) -> tuple[object, ...]:
    name = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(pod.key.name)
    )
    if membership.rank is not None:
        return 0, membership.rank, name
    stem = _LAST_NUMBER.sub("", pod.key.name)
    index = next((int(pod.labels[key]) for key in INDEX_LABELS if pod.labels.get(key, "").isdecimal()), None)
    if index is None:
        number = _LAST_NUMBER.search(pod.key.name)
        index = int(number.group()) if number else 0
    return 1, 0, _natural(stem), index, name


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(text))


def _with_products(gang: Gang, faults: list[InvalidField]) -> Gang:
    """TP x PP x DP must be the gang's GPUs; the one size that nobody states follows from that."""
    sizes = gang.parallelism
    per_pod = {gpus_of(member.shape) for member in gang.members} - {0}
    if not sizes.tensor or len(per_pod) != 1:
        return gang
    each = per_pod.pop()
    with_gpus = sum(gpus_of(member.shape) > 0 for member in gang.members)
    gpus = each * (gang.size - (len(gang.members) - with_gpus))
    owner = f"gang {gang.key}"
    if sizes.tensor % each and each % sizes.tensor:
        wanted = f"a divisor or a multiple of the {each} GPUs of a pod"
        faults.append(InvalidField(owner, _where(sizes, "tp"), str(sizes.tensor), wanted))
        return gang
    product = sizes.tensor * (sizes.pipeline or 1) * (sizes.data or 1)
    if gpus % product or (sizes.data and gpus != product):
        stated = " x ".join(
            f"{short} {value}" for name, short in _SIZES[:3] if (value := getattr(sizes, name)) is not None
        )
        wanted = f"sizes whose product is the {gpus} GPUs of the gang ({gang.size} pods, {each} GPUs each)"
        faults.append(InvalidField(owner, _where(sizes, "tp"), f"{stated} = {product}", wanted))
        return gang
    derived = replace(sizes, pipeline=sizes.pipeline or 1, data=sizes.data or gpus // product)
    sources = dict(sizes.sources)
    if sizes.pipeline is None:
        sources["pp"] = "not stated: 1"
    if sizes.data is None:
        sources["dp"] = f"derived: {gpus} GPUs / (tp x pp)"
    return replace(gang, parallelism=replace(derived, sources=tuple(sources.items())))


def _where(sizes: Parallelism, short: str) -> str:
    return dict(sizes.sources).get(short) or short
