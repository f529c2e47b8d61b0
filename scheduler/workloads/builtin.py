"""The workloads of Kubernetes itself: StatefulSet, Job, Deployment, ReplicaSet. They make pods; a gang
they are only by our annotations in their templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.workloads.keys import JOB, JOB_INDEX, POD_INDEX
from scheduler.workloads.templates import mapping, number, optional, pod_of


def expand_stateful_set(document: Mapping[str, Any], *, owner: str) -> list[dict[str, Any]]:
    """Pods `<name>-<ordinal>`; raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    ordinals = optional(spec, "ordinals", owner=owner, field="spec.ordinals")
    start = number(ordinals, "start", owner=owner, field="spec.ordinals.start", least=0, default=0)
    return [
        _pod(document, spec, f"{at}", {POD_INDEX: str(at)}, owner)
        for at in range(start, start + _count(spec, "replicas", owner))
    ]


def expand_job(document: Mapping[str, Any], *, owner: str) -> list[dict[str, Any]]:
    """The pods of a Job that run side by side: `parallelism`, at most `completions`; raises InvalidInput.

    Real names carry a random suffix.
    """
    spec = mapping(document, "spec", owner=owner)
    count = _count(spec, "parallelism", owner)
    if spec.get("completions") is not None:
        count = min(count, number(spec, "completions", owner=owner, field="spec.completions", least=0))
    labels = {JOB + "job-name": str(document["metadata"]["name"])}
    indexed = spec.get("completionMode") == "Indexed"
    return [
        _pod(document, spec, f"{at}", labels | ({JOB_INDEX: str(at)} if indexed else {}), owner)
        for at in range(count)
    ]


def expand_replicas(document: Mapping[str, Any], *, owner: str) -> list[dict[str, Any]]:
    """The pods of a Deployment or ReplicaSet; real names carry random suffixes. Raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    return [_pod(document, spec, f"{at}", {}, owner) for at in range(_count(spec, "replicas", owner))]


def _count(spec: Mapping[str, Any], key: str, owner: str) -> int:
    return number(spec, key, owner=owner, field=f"spec.{key}", least=0, default=1)


def _pod(
    document: Mapping[str, Any], spec: Mapping[str, Any], suffix: str, labels: Mapping[str, str], owner: str
) -> dict[str, Any]:
    metadata = document["metadata"]
    template = mapping(spec, "template", owner=owner, field="spec.template")
    name = f"{metadata['name']}-{suffix}"
    return pod_of(
        template,
        name=name,
        namespace=metadata["namespace"],
        owner=owner,
        place="spec.template",
        labels=labels,
    )
