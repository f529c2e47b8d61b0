"""From a pod template to the pods that a controller would make of it, as manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from scheduler.model import Constraint, InvalidField, InvalidInput
from scheduler.workloads.family import LARGEST

Document = Mapping[str, Any]
Find = Callable[[str, str, str], Document | None]
"""Another object of the input, by kind, namespace and name; None when it is not there."""


class Facts(NamedTuple):
    """What an owner says of its pods, as in `Workload`; `staged`: followers come after the others."""

    size: int | None = None
    least: bool = False
    gang: bool = True
    groups: Mapping[str, int] = {}
    constraints: tuple[Constraint, ...] = ()
    staged: bool = False
    parts: Mapping[str, tuple[str, ...]] = {}


class Made(NamedTuple):
    """Who makes pods: apiVersion, kind and name of their controller."""

    api_version: str
    kind: str
    name: str


def pod_of(
    template: Document,
    *,
    name: str,
    namespace: str,
    owner: str,
    place: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    by: Made | None = None,
) -> dict[str, Any]:
    """A pod manifest; its uid stands for one that the API server would give.

    `place` is the template's field in its owner's manifest, `by` the pod's controller.
    Raises InvalidInput.
    """
    field = f"{place}.metadata"
    metadata = optional(template, "metadata", owner=owner, field=field)
    given = optional(metadata, "annotations", owner=owner, field=f"{field}.annotations")
    made: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"manifest/{namespace}/{name}",
        "labels": {**optional(metadata, "labels", owner=owner, field=f"{field}.labels"), **labels},
        "annotations": {**given, **(annotations or {})},
    }
    if by is not None:
        reference = {"apiVersion": by.api_version, "kind": by.kind, "name": by.name, "controller": True}
        made["ownerReferences"] = [reference]
    spec = optional(template, "spec", owner=owner, field=f"{place}.spec")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}


def child(document: Document, *, api_version: str, kind: str, name: str, spec: Document) -> dict[str, Any]:
    """Another workload that a controller makes of this one, in its namespace."""
    metadata = document["metadata"]
    namespace = metadata["namespace"]
    uid = f"manifest/{namespace}/{kind}/{name}"
    own = {"name": name, "namespace": namespace, "uid": uid}
    return {"apiVersion": api_version, "kind": kind, "metadata": own, "spec": spec}


def optional(document: Document, key: str, *, owner: str, field: str) -> Document:
    """A part of a manifest, empty where it is not there; raises InvalidInput when it is no object."""
    return {} if document.get(key) is None else mapping(document, key, owner=owner, field=field)


def mapping(document: Document, key: str, *, owner: str, field: str = "") -> Document:
    """A part of a manifest that must be there; raises InvalidInput."""
    found = document.get(key)
    if not isinstance(found, Mapping):
        shown = "" if found is None else str(found)[:60]
        raise InvalidInput(InvalidField(owner, field or key, shown, "an object"))
    return found


def within(document: Document, path: str, *, owner: str) -> Document:
    """A part of a manifest at a path such as `spec.runPolicy`, empty where it is not there."""
    found = document
    done: list[str] = []
    for key in path.split("."):
        done.append(key)
        found = optional(found, key, owner=owner, field=".".join(done))
    return found


def listed(document: Document, key: str, *, owner: str, field: str) -> Sequence[Document]:
    """The objects of a list, empty where it is not there; raises InvalidInput."""
    found = document.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise InvalidInput(InvalidField(owner, field, str(found)[:60], "a list of objects"))
    for at, one in enumerate(found):
        if not isinstance(one, Mapping):
            raise InvalidInput(InvalidField(owner, f"{field}[{at}]", str(one)[:60], "an object"))
    return found


def text(document: Document, key: str, *, owner: str, field: str, default: str | None = None) -> str:
    """A name in a manifest; raises InvalidInput when it is empty without a default, or no text."""
    found = document.get(key)
    if found in (None, "") and default is not None:
        return default
    if not isinstance(found, str) or not found:
        shown = "" if found is None else str(found)[:60]
        raise InvalidInput(InvalidField(owner, field, shown, "text, not empty"))
    return found


def number(
    document: Document,
    key: str,
    *,
    owner: str,
    field: str,
    least: int,
    default: int | None = None,
) -> int:
    """A whole number within reason, `default` where it is not stated; raises InvalidInput."""
    found = document.get(key, default)
    if found is None and default is not None:
        found = default
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= LARGEST:
        shown = "" if found is None else str(found)[:60]
        wanted = f"a whole number from {least} to {LARGEST}"
        raise InvalidInput(InvalidField(owner, field, shown, wanted))
    return found


def bounded(count: int, *, owner: str, field: str) -> int:
    """A number of pods that is within reason; raises InvalidInput."""
    if count > LARGEST:
        raise InvalidInput(InvalidField(owner, field, str(count), f"at most {LARGEST} pods"))
    return count


def annotations_of(document: Document, *, owner: str) -> Document:
    """The annotations of an object itself."""
    return optional(document["metadata"], "annotations", owner=owner, field="metadata.annotations")
