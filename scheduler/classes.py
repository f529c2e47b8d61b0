"""Priority classes: the priority of pods that no API server has admitted yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A PriorityClass (scheduling.k8s.io/v1). `preempts`: False with `preemptionPolicy: Never`;
    `default`: for pods that name no class."""

    name: str
    value: int
    preempts: bool = True
    default: bool = False


Classes = Mapping[str, PriorityClass]

BUILT_IN: Classes = {
    name: PriorityClass(name, value)
    for name, value in (
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    )
}
"""Every cluster has these."""


def class_of(document: Mapping[str, Any]) -> PriorityClass | None:
    """What a PriorityClass object says; None when it has no name or no whole number."""
    value, metadata = document.get("value"), document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(value, int) or isinstance(value, bool) or not isinstance(name, str):
        return None
    preempts = document.get("preemptionPolicy") != "Never"
    return PriorityClass(name, value, preempts, document.get("globalDefault") is True)
