"""The priority of pods that no API server has admitted: what their priority class says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scheduler.classes import Classes, PriorityClass, class_of
from scheduler.manifests import Document
from scheduler.model import InvalidField, Pod


def classes_of(documents: Iterable[Document]) -> dict[str, PriorityClass]:
    """By name, every PriorityClass that can be read."""
    given = (one.object for one in documents if one.kind == "PriorityClass" and one.fault is None)
    return {found.name: found for one in given if (found := class_of(one)) is not None}


def ranked(pods: Iterable[Pod], classes: Classes) -> tuple[Pod, ...]:
    """The pods with the priority of their class, as admission would set it."""
    defaults = (one for one in classes.values() if one.default)
    default = min(defaults, key=lambda one: (one.value, one.name), default=None)  # the least, as admission
    return tuple(_ranked(pod, classes, default) for pod in pods)


def _ranked(pod: Pod, classes: Classes, default: PriorityClass | None) -> Pod:
    own = classes.get(pod.priority_class)
    if own is None and not pod.priority_class and pod.priority == 0:
        own = default
    if own is None:
        return pod
    return replace(pod, priority=own.value, preempts=pod.preempts and own.preempts)


def unknown_class(pods: Iterable[Pod], classes: Classes) -> InvalidField | None:
    """The first class that is named and is nowhere: its pods count as priority 0."""
    wanted = f"a PriorityClass that is there; known: {', '.join(sorted(classes))}"
    return next(
        (
            InvalidField(f"pod {pod.key}", "spec.priorityClassName", pod.priority_class, wanted)
            for pod in pods
            if pod.priority_class not in ("", *classes)
        ),
        None,
    )


def unwilling(pods: Iterable[Pod]) -> Pod | None:
    """The first pod that asks not to preempt anybody: then nobody goes for its gang's sake."""
    return next((pod for pod in pods if not pod.preempts), None)
