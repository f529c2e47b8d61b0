"""Kubeflow Trainer v2: a TrainJob fills in a runtime's JobSet; its pods are that JobSet's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.model import InvalidField, InvalidInput
from scheduler.workloads.keys import TRAINER
from scheduler.workloads.templates import (
    Document,
    Find,
    child,
    listed,
    mapping,
    number,
    optional,
    text,
    within,
)

STEP = TRAINER + "trainjob-ancestor-step"
_JOBS = "spec.template.spec.replicatedJobs"


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The JobSet that the controller makes of a TrainJob and its runtime; raises InvalidInput.

    The runtime must be among the manifests or in the snapshot.
    """
    reference = mapping(mapping(document, "spec", owner=owner), "runtimeRef", owner=owner)
    name = text(reference, "name", owner=owner, field="spec.runtimeRef.name")
    kind = text(
        reference, "kind", owner=owner, field="spec.runtimeRef.kind", default="ClusterTrainingRuntime"
    )
    namespace = document["metadata"]["namespace"] if kind == "TrainingRuntime" else ""
    runtime = find(kind, namespace, name)
    if runtime is None:
        wanted = f"a {kind} that is among the manifests or in the snapshot"
        raise InvalidInput(InvalidField(owner, "spec.runtimeRef.name", name, wanted))
    place = f"{kind.lower()} {name}"
    template = within(runtime, "spec.template.spec", owner=place)
    jobs = [
        _filled(job, document, runtime, owner=owner, place=place)
        for job in listed(template, "replicatedJobs", owner=place, field=_JOBS)
    ]
    return [
        child(
            document,
            api_version="jobset.x-k8s.io/v1alpha2",
            kind="JobSet",
            name=str(document["metadata"]["name"]),
            spec={**template, "replicatedJobs": jobs},
        )
    ]


def _filled(job: Document, document: Document, runtime: Document, *, owner: str, place: str) -> Document:
    """A replicated job with what the TrainJob says of its trainer."""
    template = mapping(job, "template", owner=place, field=f"{_JOBS}[].template")
    metadata = optional(template, "metadata", owner=place, field=f"{_JOBS}[].template.metadata")
    labels = optional(metadata, "labels", owner=place, field=f"{_JOBS}[].template.metadata.labels")
    if labels.get(STEP, "trainer" if job.get("name") == "node" else "") != "trainer":
        return job
    trainer = within(document, "spec.trainer", owner=owner)
    policy = within(runtime, "spec.mlPolicy", owner=place)
    nodes = number(policy, "numNodes", owner=place, field="spec.mlPolicy.numNodes", least=1, default=1)
    nodes = number(trainer, "numNodes", owner=owner, field="spec.trainer.numNodes", least=1, default=nodes)
    spec = mapping(template, "spec", owner=place, field=f"{_JOBS}[].template.spec")
    pod = mapping(spec, "template", owner=place, field=f"{_JOBS}[].template.spec.template")
    pod_spec = optional(pod, "spec", owner=place, field=f"{_JOBS}[].template.spec.template.spec")
    containers = [
        _container(one, trainer, owner=owner)
        for one in listed(pod_spec, "containers", owner=place, field="containers")
    ]
    filled = {**pod, "spec": {**pod_spec, "containers": containers}}
    job_spec = {**spec, "parallelism": nodes, "completions": nodes, "template": filled}
    return {**job, "template": {**template, "spec": job_spec}}


def _container(container: Document, trainer: Document, *, owner: str) -> Document:
    """The trainer's container, named node, with image, command, resources and environment of the TrainJob."""
    if container.get("name") not in ("node", "trainer"):
        return container
    found: dict[str, Any] = dict(container)
    found |= {key: trainer[key] for key in ("image", "command", "args") if trainer.get(key)}
    if trainer.get("resourcesPerNode") is not None:
        found["resources"] = mapping(
            trainer, "resourcesPerNode", owner=owner, field="spec.trainer.resourcesPerNode"
        )
    if isinstance(trainer.get("env"), list):
        own = container.get("env") if isinstance(container.get("env"), list) else []
        names = {one.get("name") for one in trainer["env"] if isinstance(one, Mapping)}
        kept = [one for one in own or [] if not isinstance(one, Mapping) or one.get("name") not in names]
        found["env"] = [*kept, *trainer["env"]]
    return found
