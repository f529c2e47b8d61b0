"""Kinds that a configuration describes: where an object says how many pods it makes, and of what.

A `Mapping` is declarative: paths into the object, and label keys of its pods. Nothing else of
the object is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import LARGEST
from scheduler.workloads.keys import POD_INDEX
from scheduler.workloads.kinds import Kind
from scheduler.workloads.known import Known, Workload, owner_of
from scheduler.workloads.natural import index_of
from scheduler.workloads.templates import Document, Facts, Find, Made, bounded, pod_of

_HIGHEST = 4
"""Owners above a pod that are looked through for a kind of the configuration."""


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of pod: its group (or ""), the path of its template, and of its count (or a number)."""

    group: str
    path: str
    replicas: str = "1"


@dataclass(frozen=True, slots=True)
class KindMapping:
    """How to read one custom kind.

    `size`, `least`, `required` and `preferred` are paths into the object, empty where it does not
    say; `index_label` and `group_label` are labels of its pods.
    """

    group: str
    version: str
    kind: str
    plural: str
    templates: tuple[Template, ...] = ()
    size: str = ""
    least: str = ""
    index_label: str = ""
    group_label: str = ""
    required: str = ""
    preferred: str = ""


class Custom:
    """Pods of an object whose kind the configuration describes, at whatever height above them."""

    name = "custom"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The object above a pod, with the pod's index and group by the labels of the mapping."""
        owner = _above(pod, known)
        if owner is None:
            return None
        index, group = owner.labels
        found = pod.labels.get(group, "") if group else ""
        return Membership(
            gang=GangKey(pod.key.namespace, owner.key.name),
            source=owner.key.kind.partition(".")[0],
            size=owner.size,
            least=owner.least,
            rank=_rank(pod, index),
            group=found,
            role=bool(found),
            constraints=owner.constraints,
        )


def _above(pod: Pod, known: Known) -> Workload | None:
    owner = owner_of(pod, known)
    for _ in range(_HIGHEST):
        if owner is None or owner.mapped:
            return owner
        above = known.get(owner.owner) if owner.owner else None
        owner = above if isinstance(above, Workload) else None
    return None


def _rank(pod: Pod, label: str) -> int | None:
    if not label or label not in pod.labels:
        return None
    found = index_of(pod.labels[label])
    if found is None or found > LARGEST:
        wanted = f"a whole number from 0 to {LARGEST}"
        raise InvalidInput(InvalidField(pod.name, label, pod.labels[label], wanted))
    return found


def kind_of_mapping(mapping: KindMapping) -> Kind:
    """The kind that a mapping describes, to be read like those that are built in."""
    return Kind(
        mapping.group,
        mapping.kind,
        mapping.plural,
        (mapping.version,),
        "custom",
        expand=partial(_expand, mapping) if mapping.templates else None,
        facts=partial(_facts, mapping),
        suffixed=True,
        labels=(mapping.index_label, mapping.group_label),
    )


def _facts(mapping: KindMapping, document: Document, *, owner: str) -> Facts:
    counts = [_count(document, one.replicas, owner, 1) for one in mapping.templates]
    size = bounded(sum(one or 0 for one in counts), owner=owner, field="templates") if counts else None
    if mapping.size:
        size = _count(document, mapping.size, owner, size)
    least = _count(document, mapping.least, owner, None) if mapping.least else None
    wishes = [
        Constraint("gang", level, required, f"{mapping.kind} {path}")
        for path, required in ((mapping.required, True), (mapping.preferred, False))
        if path and (level := _at(document, path, owner)) and isinstance(level, str)
    ]
    if least is not None and size is not None and least < size:
        return Facts(max(least, 1), least=True, constraints=tuple(wishes))
    return Facts(size, constraints=tuple(wishes))


def _expand(mapping: KindMapping, document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    metadata, made = document["metadata"], []
    by = Made(f"{mapping.group}/{mapping.version}", mapping.kind, str(metadata["name"]))
    for template in mapping.templates:
        found = _at(document, template.path, owner)
        if not isinstance(found, Mapping):
            shown = "" if found is None else str(found)[:60]
            raise InvalidInput(InvalidField(owner, template.path, shown, "a pod template"))
        stem = f"{metadata['name']}-{template.group}" if template.group else str(metadata["name"])
        for at in range(_count(document, template.replicas, owner, 1) or 0):
            labels = {POD_INDEX: str(at)}
            if mapping.group_label and template.group:
                labels[mapping.group_label] = template.group
            made.append(
                pod_of(
                    found,
                    name=f"{stem}-{at}",
                    namespace=metadata["namespace"],
                    owner=owner,
                    place=template.path,
                    labels=labels,
                    by=by,
                )
            )
    return made


def _count(document: Document, path: str, owner: str, default: int | None) -> int | None:
    """The number at a path, or the path itself where it is a number."""
    if path.isdecimal():
        return int(path)
    found = _at(document, path, owner)
    if found is None:
        return default
    if type(found) is not int or not 0 <= found <= LARGEST:
        wanted = f"a whole number from 0 to {LARGEST}"
        raise InvalidInput(InvalidField(owner, path, str(found)[:60], wanted))
    return found


def _at(document: Document, path: str, owner: str) -> Any:
    """What stands at a path such as `spec.workers[0].replicas`; None where nothing does."""
    found: Any = document
    for part in path.replace("[", ".[").split("."):
        if found is None:
            return None
        if part.startswith("["):
            at = int(part[1:-1])
            if not isinstance(found, list):
                raise InvalidInput(InvalidField(owner, path, str(found)[:60], "a list"))
            found = found[at] if at < len(found) else None
        elif not isinstance(found, Mapping):
            raise InvalidInput(InvalidField(owner, path, str(found)[:60], f"an object with {part!r}"))
        else:
            found = found.get(part)
    return found
