"""The workloads of Kubernetes itself: StatefulSet, Job, Deployment, ReplicaSet.

Their pods are a gang where somebody says so: an indexed Job whose indexes all run at once, a
set whose engine needs more GPUs than one of its pods has, or an annotation of ours, whose
gang then takes its size from the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.devices import gpus_of
from scheduler.model import GangKey, InvalidInput, Membership, Pod
from scheduler.workloads import launchers, parallelism
from scheduler.workloads.keys import JOB, JOB_INDEX, POD_INDEX, POD_TEMPLATE
from scheduler.workloads.known import Known, owner_of, workload
from scheduler.workloads.templates import Document, Facts, Find, Made, mapping, number, optional, pod_of

JOB_KIND = "Job.batch"
_SETS = ("StatefulSet", "ReplicaSet", "Deployment")


class IndexedJob:
    """Pods of an indexed Job all of whose indexes run at once."""

    name = "Job"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang of a pod; None when the Job is a queue of independent pods, or not known."""
        name = pod.labels.get(JOB + "job-name")
        if name is None or JOB_INDEX not in pod.labels:
            return None
        owner = workload(known, JOB_KIND, pod.key.namespace, name)
        if owner is None or not owner.gang:
            return None
        return Membership(GangKey(pod.key.namespace, name), self.name, size=owner.size)


class Replicas:
    """Pods of a StatefulSet, ReplicaSet or Deployment whose engine spans several of them."""

    name = "replicas"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang of a pod whose engine needs more GPUs than the pod has; None otherwise."""
        if pod.owner is None or pod.owner.kind not in _SETS:
            return None
        owner = owner_of(pod, known)
        if owner is None or (owner.size or 0) < 2 or not _spans(pod):
            return None
        source = "Deployment" if POD_TEMPLATE in pod.labels else pod.owner.kind
        return Membership(GangKey(pod.key.namespace, pod.owner.name), source, size=owner.size)


def _spans(pod: Pod) -> bool:
    """Whether the engine in a pod is told of more GPUs than the pod has, or of several nodes."""
    gpus = gpus_of(pod.shape)
    if not gpus:
        return False
    try:
        sizes = parallelism.of_pod(pod)
    except InvalidInput:
        return False
    return (sizes.tensor or 1) * (sizes.pipeline or 1) > gpus or launchers.nodes_of(pod) > 1


def expand_stateful_set(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """Pods `<name>-<ordinal>`; raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    ordinals = optional(spec, "ordinals", owner=owner, field="spec.ordinals")
    start = number(ordinals, "start", owner=owner, field="spec.ordinals.start", least=0, default=0)
    by = Made("apps/v1", "StatefulSet", str(document["metadata"]["name"]))
    return [
        _pod(document, spec, f"{at}", {POD_INDEX: str(at)}, owner=owner, by=by)
        for at in range(start, start + _count(spec, "replicas", owner))
    ]


def stateful_set_facts(document: Document, *, owner: str) -> Facts:
    """Replicas; they come one by one unless the set is Parallel."""
    spec = mapping(document, "spec", owner=owner)
    return Facts(_count(spec, "replicas", owner), staged=spec.get("podManagementPolicy") != "Parallel")


def expand_job(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods of a Job that run side by side: `parallelism`, at most `completions`; raises InvalidInput.

    Real names carry a random suffix.
    """
    spec = mapping(document, "spec", owner=owner)
    name = str(document["metadata"]["name"])
    labels = {JOB + "job-name": name}
    indexed = spec.get("completionMode") == "Indexed"
    by = Made("batch/v1", "Job", name)
    return [
        _pod(document, spec, f"{at}", labels | ({JOB_INDEX: str(at)} if indexed else {}), owner=owner, by=by)
        for at in range(_parallel(spec, owner))
    ]


def job_facts(document: Document, *, owner: str) -> Facts:
    """A Job is a gang when it is indexed and all its indexes run at once: no queue of independent work."""
    spec = mapping(document, "spec", owner=owner)
    count = _parallel(spec, owner)
    completions = spec.get("completions")
    whole = spec.get("completionMode") == "Indexed" and completions == count > 1
    return Facts(count, gang=whole)


def _parallel(spec: Document, owner: str) -> int:
    count = _count(spec, "parallelism", owner)
    if spec.get("completions") is None:
        return count
    return min(count, number(spec, "completions", owner=owner, field="spec.completions", least=0))


def expand_replica_set(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods of a ReplicaSet; real names carry a random suffix. Raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    by = Made("apps/v1", "ReplicaSet", str(document["metadata"]["name"]))
    return [
        _pod(document, spec, f"{at}", {}, owner=owner, by=by) for at in range(_count(spec, "replicas", owner))
    ]


def expand_deployment(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods of a Deployment; real names carry two random suffixes. Raises InvalidInput."""
    spec = mapping(document, "spec", owner=owner)
    name = str(document["metadata"]["name"])
    labels, by = {POD_TEMPLATE: "manifest"}, Made("apps/v1", "Deployment", name)
    return [
        _pod(document, spec, f"{at}", labels, owner=owner, by=by)
        for at in range(_count(spec, "replicas", owner))
    ]


def replica_facts(document: Document, *, owner: str) -> Facts:
    """Replicas of a Deployment or ReplicaSet."""
    return Facts(_count(mapping(document, "spec", owner=owner), "replicas", owner))


def _count(spec: Document, key: str, owner: str) -> int:
    return number(spec, key, owner=owner, field=f"spec.{key}", least=0, default=1)


def _pod(
    document: Document, spec: Document, suffix: str, labels: Mapping[str, str], *, owner: str, by: Made
) -> dict[str, Any]:
    metadata = document["metadata"]
    return pod_of(
        mapping(spec, "template", owner=owner, field="spec.template"),
        name=f"{metadata['name']}-{suffix}",
        namespace=metadata["namespace"],
        owner=owner,
        place="spec.template",
        labels=labels,
        by=by,
    )
