"""Whether a gang's parallel sizes multiply to its GPUs, and the data-parallel size that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scheduler.devices import gpus_of
from scheduler.model import Gang, InvalidField, Member, Parallelism
from scheduler.workloads.annotations import FROM_ANNOTATION
from scheduler.workloads.parallelism import FIELDS

_MULTIPLIED = ("tp", "pp", "dp")


def with_products(gang: Gang, faults: list[InvalidField]) -> Gang:
    """The gang with all three sizes, where its GPU pods are equal and the tensor-parallel size is known.

    Sizes of our annotations that cannot be are a fault. Those that were only read from the
    engine's settings are dropped with a warning: we may have misread them.
    """
    notes: list[str] = []
    whole = _checked(_Ranks(f"gang {gang.key}", gang.parallelism, gang.members, gang.size), faults, notes)
    by_group = []
    for name, sizes in gang.by_group:
        members = tuple(member for member in gang.members if member.group == name)
        own = _Ranks(f"gang {gang.key} group {name}", sizes, members, len(members))
        by_group.append((name, _checked(own, faults, notes)))
    return replace(gang, parallelism=whole, by_group=tuple(by_group), warnings=(*gang.warnings, *notes))


@dataclass(frozen=True, slots=True)
class _Ranks:
    """What multiplies: the sizes of a gang or of one role, its members that exist, and its pods in all."""

    owner: str
    sizes: Parallelism
    members: tuple[Member, ...]
    pods: int


def _checked(ranks: _Ranks, faults: list[InvalidField], notes: list[str]) -> Parallelism:
    """All three sizes where they can be known; a fault, or a note, where they do not multiply."""
    shape = _gpus(ranks)
    if shape is None:
        return ranks.sizes
    each, total = shape
    if (odd := _odd_experts(ranks, each, total)) is not None:
        if dict(ranks.sizes.sources).get("ep", "").startswith(FROM_ANNOTATION):
            faults.append(odd)
        elif ranks.sizes.expert:
            notes.append(f"{odd}. This size of the engine is not used")
            sources = tuple(one for one in ranks.sizes.sources if one[0] != "ep")
            ranks = replace(ranks, sizes=replace(ranks.sizes, expert=None, sources=sources))
    if not ranks.sizes.tensor:
        return ranks.sizes
    fault = _fault(ranks, each, total)
    if fault is None:
        return _completed(ranks.sizes, total)
    if any(where.startswith(FROM_ANNOTATION) for _, where in ranks.sizes.sources):
        faults.append(fault)
        return ranks.sizes
    notes.append(f"{fault}. These sizes of the engine are not used: only stated constraints count")
    return Parallelism()


def _gpus(ranks: _Ranks) -> tuple[int, int] | None:
    """GPUs of a pod and of all together; None when there are none or the pods differ.

    Members without GPUs, such as a leader that only serves, count for nothing.
    """
    given = [gpus_of(member.shape) for member in ranks.members]
    per_pod = set(given) - {0}
    if len(per_pod) != 1:
        return None
    each = per_pod.pop()
    return each, each * (ranks.pods - given.count(0))


def _fault(ranks: _Ranks, each: int, total: int) -> InvalidField | None:
    sizes, owner = ranks.sizes, ranks.owner
    tensor = sizes.tensor or 1
    if tensor % each and each % tensor:
        wanted = f"a divisor or a multiple of the {each} GPUs of a pod"
        return InvalidField(owner, _where(sizes), str(tensor), wanted)
    product = tensor * (sizes.pipeline or 1) * (sizes.data or 1)
    if total % product == 0 and sizes.data in (None, total // (tensor * (sizes.pipeline or 1))):
        return None
    what = "group" if " group " in owner else "gang"
    wanted = f"sizes whose product is the {total} GPUs of the {what} ({ranks.pods} pods, {each} GPUs each)"
    return InvalidField(owner, _where(sizes), f"{_stated(sizes)} = {product}", wanted)


def _odd_experts(ranks: _Ranks, each: int, total: int) -> InvalidField | None:
    """An expert-parallel size that its ranks, those of one pipeline stage, cannot be divided into."""
    sizes = ranks.sizes
    expert, tensor, stages = sizes.expert or 1, sizes.tensor or 1, sizes.pipeline or 1
    unlike = [size for size in (tensor, each) if expert % size and size % expert]
    if total % stages or not (unlike or total // stages % expert):
        return None
    wanted = f"a divisor of the {total // stages} GPUs of a pipeline stage (tp x dp)"
    wanted += f", and a divisor or a multiple of tp {tensor} and of the {each} GPUs of a pod"
    return InvalidField(ranks.owner, dict(sizes.sources).get("ep", "ep"), str(expert), wanted)


def _stated(sizes: Parallelism) -> str:
    stated = ((short, getattr(sizes, FIELDS[short])) for short in _MULTIPLIED)
    return " x ".join(f"{short} {value}" for short, value in stated if value is not None)


def _where(sizes: Parallelism) -> str:
    return dict(sizes.sources).get("tp") or "tp"


def _completed(sizes: Parallelism, total: int) -> Parallelism:
    """What nobody states follows: one stage, and as many replicas as there are GPUs for."""
    pipeline = sizes.pipeline or 1
    data = total // ((sizes.tensor or 1) * pipeline)
    sources = {"pp": "not stated: 1", "dp": f"derived: {total} GPUs / (tp x pp)"} | dict(sizes.sources)
    ordered = tuple((short, sources[short]) for short in FIELDS if short in sources)
    return replace(sizes, pipeline=pipeline, data=data, sources=ordered)
