"""The priority of pods that no API server has admitted: what their priority class says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from scheduler.manifests import Document
from scheduler.model import InvalidField, Pod

BUILT_IN: Mapping[str, int] = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}


def classes_of(documents: Iterable[Document]) -> dict[str, int]:
    """Value by name of every PriorityClass."""
    found = dict(BUILT_IN)
    for document in documents:
        if document.kind != "PriorityClass" or document.fault is not None:
            continue
        value, name = document.object.get("value"), document.object["metadata"].get("name")
        if isinstance(value, int) and isinstance(name, str):
            found[name] = value
    return found


def ranked(
    pods: Iterable[Pod], classes: Mapping[str, int]
) -> tuple[tuple[Pod, ...], tuple[InvalidField, ...]]:
    """The pods with the priority of their class, and what names a class that is nowhere."""
    given = list(pods)
    unknown = {pod.priority_class: pod for pod in given if pod.priority_class not in ("", *classes)}
    wanted = f"a PriorityClass in the files; known: {', '.join(sorted(classes))}"
    faults = (
        InvalidField(f"pod {pod.key}", "spec.priorityClassName", name, wanted)
        for name, pod in unknown.items()
    )
    found = (replace(pod, priority=classes.get(pod.priority_class, pod.priority)) for pod in given)
    return tuple(found), tuple(faults)
