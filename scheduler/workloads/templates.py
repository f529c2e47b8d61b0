"""From a pod template to the pods that a controller would make of it, as manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.model import InvalidField, InvalidInput
from scheduler.workloads.family import LARGEST


def pod_of(
    template: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    owner: str,
    place: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A pod manifest; its uid stands for one that the API server would give.

    `place` is the template's field in its owner's manifest. Raises InvalidInput.
    """
    field = f"{place}.metadata"
    metadata = optional(template, "metadata", owner=owner, field=field)
    given = optional(metadata, "annotations", owner=owner, field=f"{field}.annotations")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"manifest/{namespace}/{name}",
            "labels": {**optional(metadata, "labels", owner=owner, field=f"{field}.labels"), **labels},
            "annotations": {**given, **(annotations or {})},
        },
        "spec": optional(template, "spec", owner=owner, field=f"{place}.spec"),
    }


def optional(document: Mapping[str, Any], key: str, *, owner: str, field: str) -> Mapping[str, Any]:
    """A part of a manifest, empty where it is not there; raises InvalidInput when it is no object."""
    return {} if document.get(key) is None else mapping(document, key, owner=owner, field=field)


def mapping(document: Mapping[str, Any], key: str, *, owner: str, field: str = "") -> Mapping[str, Any]:
    """A part of a manifest that must be there; raises InvalidInput."""
    found = document.get(key)
    if not isinstance(found, Mapping):
        shown = "" if found is None else str(found)[:60]
        raise InvalidInput(InvalidField(owner, field or key, shown, "an object"))
    return found


def number(
    document: Mapping[str, Any],
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
