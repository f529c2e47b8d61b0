"""Kubeflow's training jobs: PyTorchJob, TFJob, XGBoostJob, JAXJob, PaddleJob, MXJob and MPIJob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.model import GangKey, Membership, Pod
from scheduler.workloads.keys import KUBEFLOW
from scheduler.workloads.known import Known, Workload, owner_of, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    bounded,
    mapping,
    number,
    pod_of,
    within,
)

SOURCE = "Kubeflow job"
JOB_NAME, TYPE, ROLE = KUBEFLOW + "job-name", KUBEFLOW + "replica-type", KUBEFLOW + "job-role"
SPECS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "PyTorchJob": ("pytorchReplicaSpecs", ("Master", "Worker")),
    "TFJob": ("tfReplicaSpecs", ("Chief", "Master", "PS", "Worker", "Evaluator")),
    "XGBoostJob": ("xgbReplicaSpecs", ("Master", "Worker")),
    "JAXJob": ("jaxReplicaSpecs", ("Worker",)),
    "PaddleJob": ("paddleReplicaSpecs", ("Master", "Worker")),
    "MXJob": ("mxReplicaSpecs", ("Scheduler", "Server", "Worker")),
    "MPIJob": ("mpiReplicaSpecs", ("Launcher", "Worker")),
}
"""Where each kind keeps its replicas, and their types in the order of ranks."""


class KubeflowJob:
    """Pods with the labels of the training operator or the MPI operator."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The job of a pod; its replica type is the group."""
        name = pod.labels.get(JOB_NAME)
        if name is None:
            return None
        owner = owner_of(pod, known)
        owner = owner if owner is not None and owner.key.name == name else _named(pod, name, known)
        kind = pod.labels.get(TYPE) or pod.labels.get(ROLE) or ""
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=SOURCE,
            size=owner.size if owner else None,
            least=owner.least if owner else False,
            group=kind.lower(),
            role=True,
        )


def _named(pod: Pod, name: str, known: Known) -> Workload | None:
    """The job by its name: an MPI launcher belongs to a Job of its own."""
    found = (workload(known, f"{kind}.kubeflow.org", pod.key.namespace, name) for kind in SPECS)
    return next((one for one in found if one is not None), None)


def facts(document: Document, *, owner: str) -> Facts:
    """All replicas; the fewest to start with when the job is elastic or says `minAvailable`."""
    counts = {kind: count for kind, _, count in _replicas(document, owner)}
    size = sum(counts.values())
    elastic = within(document, "spec.elasticPolicy", owner=owner)
    policy = within(document, "spec.runPolicy.schedulingPolicy", owner=owner)
    least = None
    if elastic.get("minReplicas") is not None:
        field = "spec.elasticPolicy.minReplicas"
        fewest = number(elastic, "minReplicas", owner=owner, field=field, least=1)
        least = size - counts.get("Worker", 0) + min(fewest, counts.get("Worker", 0))
    if policy.get("minAvailable") is not None:
        field = "spec.runPolicy.schedulingPolicy.minAvailable"
        least = number(policy, "minAvailable", owner=owner, field=field, least=1)
    late = document["spec"].get("launcherCreationPolicy") == "WaitForWorkersReady"
    return Facts(
        size if least is None else min(size, least), least=least is not None and least < size, staged=late
    )


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """Pods `<name>-<type>-<index>`; an MPI launcher's real name has a random suffix. Raises InvalidInput."""
    return [
        _pod(document, kind, entry, at, owner)
        for kind, entry, count in _replicas(document, owner)
        for at in range(count)
    ]


def _replicas(document: Document, owner: str) -> Iterator[tuple[str, Document, int]]:
    """Type, entry and count of every kind of replica, in the order of ranks."""
    field, order = SPECS[document["kind"]]
    specs = mapping(mapping(document, "spec", owner=owner), field, owner=owner, field=f"spec.{field}")
    total = 0
    for kind in sorted(specs, key=lambda kind: (order.index(kind) if kind in order else len(order), kind)):
        entry = mapping(specs, kind, owner=owner, field=f"spec.{field}.{kind}")
        count = number(
            entry, "replicas", owner=owner, field=f"spec.{field}.{kind}.replicas", least=0, default=1
        )
        total += bounded(count, owner=owner, field=f"spec.{field}.{kind}.replicas")
        bounded(total, owner=owner, field=f"spec.{field}")
        yield kind, entry, count


def _pod(document: Document, kind: str, entry: Document, at: int, owner: str) -> dict[str, Any]:
    metadata, field = document["metadata"], SPECS[document["kind"]][0]
    mpi = document["kind"] == "MPIJob"
    name = f"{metadata['name']}-{kind.lower()}"
    labels = {
        JOB_NAME: str(metadata["name"]),
        KUBEFLOW + "operator-name": "mpi-operator" if mpi else f"{document['kind'].lower()}-controller",
        KUBEFLOW + "replica-index": str(at),
        TYPE: kind.lower(),
    }
    if mpi:
        labels[ROLE] = kind.lower()
    elif kind in ("Master", "Chief"):
        labels[ROLE] = "master"
    return pod_of(
        mapping(entry, "template", owner=owner, field=f"spec.{field}.{kind}.template"),
        name=name if mpi and kind == "Launcher" else f"{name}-{at}",
        namespace=metadata["namespace"],
        owner=owner,
        place=f"spec.{field}.{kind}.template",
        labels=labels,
        by=Made(str(document.get("apiVersion", "kubeflow.org/v1")), document["kind"], str(metadata["name"])),
    )
