"""From the objects that own pods to what the scheduler keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.kube.objects import from_dict
from scheduler.model import InvalidField, InvalidInput, Pod
from scheduler.workloads.expected import expected_of
from scheduler.workloads.kinds import KINDS, Kind, kind_of
from scheduler.workloads.known import Workload, WorkloadKey
from scheduler.workloads.templates import Document, optional

LARGEST_STAGED = 4096
"""Followers that are kept with their shapes; a larger set is only counted."""

LARGEST_EXPECTED = 512
"""Pods up to which the gangs of an object are named before any of its pods exists."""


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
    pods: tuple[Pod, ...] = ()
    if (found.size or 0) <= (LARGEST_STAGED if found.staged else LARGEST_EXPECTED):
        pods = (_pods if found.staged else _told)(kind, document, owner)
    workload = Workload(
        key=WorkloadKey(kind.name, metadata["namespace"], metadata["name"]),
        uid=str(metadata.get("uid") or ""),
        size=found.size,
        least=found.least,
        gang=found.gang,
        groups=found.groups,
        constraints=found.constraints,
        staged=pods if found.staged else (),
        owner=_above(metadata, owner),
        mapped=kind.family == "custom",
        labels=kind.labels,
        parts=found.parts,
    )
    if _ended(document) or len(pods) > LARGEST_EXPECTED:
        return workload
    return replace(workload, gangs=expected_of(pods, workload))


def _pods(kind: Kind, document: Document, owner: str) -> tuple[Pod, ...]:
    """The pods that the controller will make, at most LARGEST_STAGED; none of an object that makes others."""
    if kind.expand is None:
        return ()
    made = kind.expand(document, owner=owner, find=lambda *_: None)[:LARGEST_STAGED]
    pods = (one for one in made if one.get("kind", "Pod") == "Pod")
    return tuple(pod for one in pods if isinstance(pod := from_dict("Pod", one), Pod))


def _told(kind: Kind, document: Document, owner: str) -> tuple[Pod, ...]:
    """The same for the eyes of people only: what is wrong with the template is told when its pods come."""
    try:
        return _pods(kind, document, owner)
    except InvalidInput:
        return ()


def _ended(document: Document) -> bool:
    """Whether an object is suspended, on its way out, or says that its work is done."""
    spec, status = document.get("spec"), document.get("status")
    if isinstance(spec, Mapping) and spec.get("suspend") is True:
        return True
    if document["metadata"].get("deletionTimestamp"):
        return True
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    over = ("Complete", "Completed", "Failed", "Succeeded", "Finished")
    return isinstance(conditions, list) and any(
        isinstance(one, Mapping) and one.get("type") in over and one.get("status") == "True"
        for one in conditions
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
