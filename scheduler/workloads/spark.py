"""Spark: a driver and the executors it makes once it runs, by the SparkApplication of the Spark operator."""

from __future__ import annotations

from typing import Any

from scheduler.model import GangKey, Membership, Pod
from scheduler.workloads.keys import SPARK, SPARK_OPERATOR
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import Document, Facts, Find, Made, mapping, number, optional, pod_of, text

SOURCE = "SparkApplication"
KIND = "SparkApplication.sparkoperator.k8s.io"
APP, ROLE, EXECUTOR = SPARK_OPERATOR + "app-name", SPARK + "role", SPARK + "exec-id"


class SparkApplication:
    """Pods of an application of the Spark operator."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The application of a pod; None where nobody says how many executors there will be."""
        name = pod.labels.get(APP)
        owner = workload(known, KIND, pod.key.namespace, name)
        if name is None or owner is None:
            return None
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=SOURCE,
            size=owner.size,
            least=owner.least,
            group=pod.labels.get(ROLE, ""),
            role=True,
        )


def facts(document: Document, *, owner: str) -> Facts:
    """The driver and its executors; with dynamic allocation the fewest of them."""
    count, dynamic = _executors(document, owner)
    return Facts(1 + count, least=dynamic, staged=True)


def _executors(document: Document, owner: str) -> tuple[int, bool]:
    spec = mapping(document, "spec", owner=owner)
    dynamic = optional(spec, "dynamicAllocation", owner=owner, field="spec.dynamicAllocation")
    if dynamic.get("enabled") is True:
        field = "spec.dynamicAllocation.minExecutors"
        return number(dynamic, "minExecutors", owner=owner, field=field, least=0, default=0), True
    executor = optional(spec, "executor", owner=owner, field="spec.executor")
    return number(
        executor, "instances", owner=owner, field="spec.executor.instances", least=0, default=1
    ), False


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """Driver and executors; the executors' real names carry a hash. Raises InvalidInput."""
    name = str(document["metadata"]["name"])
    count, _ = _executors(document, owner)
    made = [_pod(document, "driver", f"{name}-driver", owner, {})]
    for at in range(1, count + 1):
        made.append(_pod(document, "executor", f"{name}-exec-{at}", owner, {EXECUTOR: str(at)}))
    return made


def _pod(document: Document, role: str, name: str, owner: str, labels: dict[str, str]) -> dict[str, Any]:
    metadata, field = document["metadata"], f"spec.{role}"
    entry = optional(document["spec"], role, owner=owner, field=field)
    container = {
        "name": f"spark-kubernetes-{role}",
        "image": document["spec"].get("image"),
        "resources": _resources(entry, field, owner),
    }
    kept = ("nodeSelector", "affinity", "tolerations", "schedulerName", "hostNetwork")
    spec = {key: entry[key] for key in kept if entry.get(key) is not None}
    given = {key: entry[key] for key in ("labels", "annotations") if entry.get(key)}
    return pod_of(
        {"metadata": given, "spec": {**spec, "containers": [container]}},
        name=name,
        namespace=metadata["namespace"],
        owner=owner,
        place=field,
        labels={APP: str(metadata["name"]), ROLE: role, **labels},
        by=Made("sparkoperator.k8s.io/v1beta2", "SparkApplication", str(metadata["name"])),
    )


def _resources(entry: Document, field: str, owner: str) -> dict[str, Any]:
    """What Spark asks of Kubernetes: cores, memory in Java's units, and GPUs."""
    cores = entry.get("coreRequest") or entry.get("cores") or 1
    requests: dict[str, Any] = {"cpu": str(cores), "memory": _memory(entry, field, owner)}
    limits: dict[str, Any] = {}
    gpu = optional(entry, "gpu", owner=owner, field=f"{field}.gpu")
    if gpu:
        name = text(gpu, "name", owner=owner, field=f"{field}.gpu.name")
        limits[name] = str(number(gpu, "quantity", owner=owner, field=f"{field}.gpu.quantity", least=0))
    return {"requests": requests, "limits": limits}


def _memory(entry: Document, field: str, owner: str) -> str:
    """Java writes 4g where Kubernetes writes 4Gi; Spark adds a tenth, at least 384 MiB."""
    stated = text(entry, "memory", owner=owner, field=f"{field}.memory", default="1g")
    digits, unit = stated.rstrip("kKmMgGtTbB"), stated.lstrip("0123456789").lower()[:1]
    factor = {"k": 1, "m": 1 << 10, "g": 1 << 20, "t": 1 << 30}.get(unit)
    if not digits.isdecimal() or factor is None or len(digits) > 9:
        return stated
    kib = int(digits) * factor
    return f"{kib + max(kib // 10, 384 << 10)}Ki"
