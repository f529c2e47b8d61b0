"""From the objects that own pods to what the scheduler keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.kube.objects import from_dict
from scheduler.model import InvalidField, InvalidInput, Pod
from scheduler.workloads.kinds import KINDS, Kind, kind_of
from scheduler.workloads.known import Workload, WorkloadKey
from scheduler.workloads.templates import Document, optional

LARGEST_STAGED = 4096
"""Followers that are kept with their shapes; a larger set is only counted."""


def named(document: Document) -> str:
    """How an object is called in messages: kind, namespace and name."""
    metadata = document["metadata"]
    return f"{str(document['kind']).lower()} {metadata['namespace']}/{metadata['name']}"


def workload_of(kind: Kind, document: Mapping[str, Any]) -> Workload | None:
    """What an object says of its pods, None for a kind that says nothing. Raises InvalidInput.

    `document` has a kind, and a namespace and a name in its metadata.
    """
    if kind.facts is None:
        return None
    owner, metadata = named(document), document["metadata"]
    found = kind.facts(document, owner=owner)
    staged: tuple[Pod, ...] = ()
    if found.staged and kind.expand is not None and (found.size or 0) <= LARGEST_STAGED:
        made = kind.expand(document, owner=owner, find=lambda *_: None)[:LARGEST_STAGED]
        staged = tuple(pod for one in made if isinstance(pod := from_dict("Pod", one), Pod))
    return Workload(
        key=WorkloadKey(kind.name, metadata["namespace"], metadata["name"]),
        uid=str(metadata.get("uid") or ""),
        size=found.size,
        least=found.least,
        gang=found.gang,
        groups=found.groups,
        constraints=found.constraints,
        staged=staged,
        owner=_above(metadata, owner),
        mapped=kind.family == "custom",
        labels=kind.labels,
        parts=found.parts,
    )


def _above(metadata: Document, owner: str) -> WorkloadKey | None:
    """The object that controls this one."""
    references = metadata.get("ownerReferences")
    if not isinstance(references, list):
        return None
    entries = [one for one in references if isinstance(one, Mapping)]
    chosen = next((one for one in entries if one.get("controller") is True), None)
    if chosen is None:
        return None
    group = str(chosen.get("apiVersion", "")).rpartition("/")[0]
    kind = str(chosen.get("kind", ""))
    return WorkloadKey(
        f"{kind}.{group}" if group else kind, metadata["namespace"], str(chosen.get("name", ""))
    )


def of_kind(kind: Kind, document: Mapping[str, Any]) -> Workload | None:
    """What an object of a known kind says, whose list did not repeat its kind. Raises InvalidInput."""
    version = f"{kind.group}/{kind.versions[0]}" if kind.group else kind.versions[0]
    return read({"apiVersion": version, **document, "kind": kind.kind}, (kind,))


def read(document: Mapping[str, Any], kinds: Sequence[Kind] = KINDS) -> Workload | None:
    """What a live object says of its pods, None when it is of no kind that is read. Raises InvalidInput."""
    version = document.get("apiVersion")
    kind = kind_of(version if isinstance(version, str) else None, str(document.get("kind", "")), kinds)
    if kind is None:
        return None
    metadata = optional(document, "metadata", owner=kind.kind, field="metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace") or "default"
    if not isinstance(name, str) or not name or not isinstance(namespace, str):
        raise InvalidInput(InvalidField(f"{kind.kind} without a name", "metadata.name", "", "a name"))
    filled = {**document, "kind": kind.kind, "metadata": {**metadata, "namespace": namespace}}
    return workload_of(kind, filled)
