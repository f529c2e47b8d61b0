"""Our own annotations, `lockstep.scheduling/*`: a gang of their own, or details of another family's gang."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Literal, cast

from scheduler.model import (
    PREFIX,
    SCOPES,
    Constraint,
    GangKey,
    InvalidField,
    InvalidInput,
    Membership,
    Parallelism,
    Pod,
)
from scheduler.workloads.family import attempt, whole
from scheduler.workloads.known import Known, owner_of

SIZES = {
    "tensor-parallel": "tensor",
    "pipeline-parallel": "pipeline",
    "data-parallel": "data",
    "expert-parallel": "expert",
}
_SHORT = {"tensor": "tp", "pipeline": "pp", "data": "dp", "expert": "ep"}
WRITTEN_BY_US = ("plan", "assigned-node", "assigned-rank", "term")
KNOWN = (
    "gang",
    "gang-size",
    "group",
    "group-size",
    "rank",
    *SIZES,
    "required",
    "preferred",
    "segment-size",
    "segment-remainder",
    "policy",
    "mode",
    *WRITTEN_BY_US,
)
"""What may follow our prefix; some of it only the service writes."""

SOURCE = "annotations"
GANG = PREFIX + "gang"
FROM_ANNOTATION = "annotation "
"""How the source of a size or constraint begins that an annotation of ours states."""


class Annotations:
    """Pods that name their gang themselves."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang that the annotations name, None without one; its owner's size where they say none."""
        name = pod.annotations.get(GANG)
        if name is None:
            return None
        faults: list[InvalidField] = []
        if not name.strip():
            faults.append(InvalidField(pod.name, GANG, name, "the name of the gang, such as llama-70b"))
        owner = owner_of(pod, known)
        own = Membership(GangKey(pod.key.namespace, name), SOURCE, size=owner.size if owner else None)
        found = attempt(faults, lambda: overlay(own, pod))
        if faults:
            raise InvalidInput(*faults)
        return found


def refuse_strays(pod: Pod) -> None:
    """A pod of no gang must not say anything of one: a misspelt `gang` would start its pods one by one.

    Raises InvalidInput naming the unknown annotations, or else the `gang` that is missing.
    """
    given = {key: value for key, value in pod.annotations.items() if key.startswith(PREFIX)}
    faults = _unknown(given, pod)
    stated = sorted(key for key in given if key.removeprefix(PREFIX) not in (*WRITTEN_BY_US, "mode"))
    if stated and not faults:
        wanted = f"the name of the gang, for {', '.join(stated)} without a gang says nothing"
        faults.append(InvalidField(pod.name, GANG, "", wanted))
    if faults:
        raise InvalidInput(*faults)


def overlay(membership: Membership, pod: Pod) -> Membership:
    """A membership with what our annotations add or replace; raises InvalidInput with all faults."""
    given = {key: value for key, value in pod.annotations.items() if key.startswith(PREFIX)}
    if not given:
        return membership
    faults: list[InvalidField] = _unknown(given, pod)

    def read(key: str, *, least: int = 1) -> int | None:
        if PREFIX + key not in given:
            return None
        return attempt(faults, lambda: whole(given, PREFIX + key, owner=pod.name, least=least))

    size, rank, group_size = read("gang-size"), read("rank", least=0), read("group-size")
    sizes = {word: read(key) for key, word in SIZES.items()}
    segment, remainder = read("segment-size"), given.get(PREFIX + "segment-remainder", "")
    if remainder not in ("", "forbid", "allow"):
        faults.append(InvalidField(pod.name, PREFIX + "segment-remainder", remainder, "forbid or allow"))
    if remainder and PREFIX + "segment-size" not in given:
        wanted = f"the pods of a segment, for {PREFIX}segment-remainder is {remainder!r}"
        faults.append(InvalidField(pod.name, PREFIX + "segment-size", "", wanted))
    mode = given.get(PREFIX + "mode", "gated")
    if mode not in ("gated", "compat"):
        faults.append(InvalidField(pod.name, PREFIX + "mode", mode, "gated or compat"))
    stated = (
        *_constraints(given, "required", pod, faults),
        *_constraints(given, "preferred", pod, faults),
    )
    if faults:
        raise InvalidInput(*faults)
    return replace(
        membership,
        size=size if size is not None else membership.size,
        rank=rank if rank is not None else membership.rank,
        group=given.get(PREFIX + "group", membership.group),
        group_size=group_size if group_size is not None else membership.group_size,
        parallelism=_sizes(membership.parallelism, sizes),
        constraints=(*membership.constraints, *stated),
        segment_size=segment if segment is not None else membership.segment_size,
        segment_remainder=cast("Literal['forbid', 'allow']", remainder or membership.segment_remainder),
        policy=given.get(PREFIX + "policy", membership.policy),
    )


def _unknown(given: dict[str, str], pod: Pod) -> list[InvalidField]:
    faults = []
    for key, value in given.items():
        word = key.removeprefix(PREFIX)
        if word not in KNOWN:
            short = [key for key, name in SIZES.items() if _SHORT[name] == word]
            nearest = short or difflib.get_close_matches(word, KNOWN, n=1)
            hint = f"did you mean {PREFIX}{nearest[0]}? " if nearest else ""
            public = ", ".join(one for one in KNOWN if one not in WRITTEN_BY_US)
            faults.append(InvalidField(pod.name, key, value, f"{hint}the known annotations are {public}"))
    return faults


def _sizes(known: Parallelism, stated: dict[str, int | None]) -> Parallelism:
    given = {word: value for word, value in stated.items() if value is not None}
    if not given:
        return known
    sources = dict(known.sources) | {
        _SHORT[word]: f"{FROM_ANNOTATION}{PREFIX}{key}" for key, word in SIZES.items() if word in given
    }
    return replace(known, **given, sources=tuple(sources.items()))


def _constraints(
    given: dict[str, str], word: str, pod: Pod, faults: list[InvalidField]
) -> tuple[Constraint, ...]:
    """`scope=level` pairs, separated by commas."""
    found = []
    for part in filter(None, (one.strip() for one in given.get(PREFIX + word, "").split(","))):
        scope, _, level = (one.strip() for one in part.partition("="))
        if scope not in SCOPES or not level:
            wanted = f"scope=level with a scope of {', '.join(SCOPES)}, such as tp=nvlink"
            faults.append(InvalidField(pod.name, PREFIX + word, part, wanted))
            continue
        source = f"{FROM_ANNOTATION}{PREFIX}{word}"
        found.append(Constraint(scope, level, word == "required", source))
    return tuple(found)
