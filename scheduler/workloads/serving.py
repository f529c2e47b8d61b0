"""NVIDIA's NIMService and KServe's InferenceService, where one model is served by pods on several nodes."""

from __future__ import annotations

from typing import Any

from scheduler.model import GangKey, Membership, Pod
from scheduler.workloads.keys import COMPONENT, KSERVE
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    child,
    listed,
    mapping,
    number,
    optional,
    pod_of,
    within,
)

KSERVE_KIND = "InferenceService.serving.kserve.io"
SERVICE = KSERVE + "inferenceservice"


class InferenceService:
    """Pods of a multi-node predictor of KServe."""

    name = "InferenceService"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The predictor of a pod, a head and its workers; None for services whose pods stand alone."""
        name = pod.labels.get(SERVICE)
        owner = workload(known, KSERVE_KIND, pod.key.namespace, name)
        if name is None or owner is None or not owner.gang or pod.labels.get(COMPONENT) != "predictor":
            return None
        return Membership(GangKey(pod.key.namespace, name), self.name, size=owner.size)


def predictor_facts(document: Document, *, owner: str) -> Facts:
    """As many pods as pipeline stages when the predictor has workers; else its pods stand alone."""
    stages = _stages(document, owner)
    return Facts(stages, gang=stages is not None and stages > 1)


def _stages(document: Document, owner: str) -> int | None:
    predictor = within(document, "spec.predictor", owner=owner)
    if predictor.get("workerSpec") is None:
        return None
    worker = mapping(predictor, "workerSpec", owner=owner, field="spec.predictor.workerSpec")
    field = "spec.predictor.workerSpec.pipelineParallelSize"
    return number(worker, "pipelineParallelSize", owner=owner, field=field, least=1, default=1)


def expand_predictor(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods of the predictor: a head and PP - 1 workers, or so many replicas as it has at least."""
    predictor = within(document, "spec.predictor", owner=owner)
    stages, name = _stages(document, owner), f"{document['metadata']['name']}-predictor"
    place = "spec.predictor"
    if stages is None:
        field = f"{place}.minReplicas"
        count = number(predictor, "minReplicas", owner=owner, field=field, least=0, default=1)
        spec = _pod_spec(predictor, place, owner, {})
        return [_predictor_pod(document, spec, f"{name}-{at}", name, owner) for at in range(count)]
    worker = mapping(predictor, "workerSpec", owner=owner, field=f"{place}.workerSpec")
    field = f"{place}.workerSpec.tensorParallelSize"
    tensor = number(worker, "tensorParallelSize", owner=owner, field=field, least=1, default=1)
    sizes = {"TENSOR_PARALLEL_SIZE": tensor, "PIPELINE_PARALLEL_SIZE": stages}
    head = _pod_spec(predictor, place, owner, sizes)
    made = [_predictor_pod(document, head, f"{name}-0", name, owner)]
    own = {key: worker[key] for key in worker if not key.endswith("ParallelSize")}
    rest = _pod_spec(own, f"{place}.workerSpec", owner, sizes)
    for at in range(stages - 1):
        made.append(_predictor_pod(document, rest, f"{name}-worker-{at}", f"{name}-worker", owner))
    return made


def _pod_spec(part: Document, place: str, owner: str, sizes: dict[str, int]) -> dict[str, Any]:
    """The pod of one part. Unless stated, a multi-node pod gets as many GPUs as TP has ranks."""
    containers = [dict(one) for one in listed(part, "containers", owner=owner, field=f"{place}.containers")]
    model = optional(part, "model", owner=owner, field=f"{place}.model")
    if model or not containers:
        kept = ("image", "command", "args", "env", "resources")
        containers.insert(0, {"name": "kserve-container"} | {k: model[k] for k in kept if k in model})
    if sizes:
        first = containers[0]
        own = first.get("env")
        given = [{"name": key, "value": str(value)} for key, value in sizes.items()]
        first["env"] = [*(own if isinstance(own, list) else []), *given]
        first.setdefault("resources", {"limits": {"nvidia.com/gpu": str(sizes["TENSOR_PARALLEL_SIZE"])}})
    kept_fields = ("nodeSelector", "affinity", "tolerations", "schedulerName", "hostNetwork")
    return {**{key: part[key] for key in kept_fields if key in part}, "containers": containers}


def _predictor_pod(
    document: Document, spec: dict[str, Any], name: str, by: str, owner: str
) -> dict[str, Any]:
    metadata = document["metadata"]
    return pod_of(
        {"spec": spec},
        name=name,
        namespace=metadata["namespace"],
        owner=owner,
        place="spec.predictor",
        labels={SERVICE: str(metadata["name"]), COMPONENT: "predictor"},
        annotations={key: str(value) for key, value in _own_annotations(document, owner).items()},
        by=Made("apps/v1", "Deployment", by),
    )


def _own_annotations(document: Document, owner: str) -> Document:
    return optional(document["metadata"], "annotations", owner=owner, field="metadata.annotations")


def expand_nim(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The LeaderWorkerSet of a NIMService on several nodes, one pod per pipeline stage; else a Deployment."""
    spec, name = mapping(document, "spec", owner=owner), str(document["metadata"]["name"])
    replicas = number(spec, "replicas", owner=owner, field="spec.replicas", least=0, default=1)
    multi = optional(spec, "multiNode", owner=owner, field="spec.multiNode")
    template = {
        "metadata": {k: spec[k] for k in ("labels", "annotations") if spec.get(k)},
        "spec": _nim_pod(spec, multi, owner),
    }
    if not multi:
        inner: dict[str, Any] = {"replicas": replicas, "template": template}
        return [child(document, api_version="apps/v1", kind="Deployment", name=name, spec=inner)]
    sizes = within(spec, "multiNode.parallelism", owner=owner)
    pods = number(multi, "size", owner=owner, field="spec.multiNode.size", least=1, default=1)  # operator 2.0
    field = "spec.multiNode.parallelism.pipeline"
    stages = number(sizes, "pipeline", owner=owner, field=field, least=1, default=pods)
    group = {"size": stages, "leaderTemplate": template, "workerTemplate": template}
    return [
        child(
            document,
            api_version="leaderworkerset.x-k8s.io/v1",
            kind="LeaderWorkerSet",
            name=f"{name}-lws",
            spec={"replicas": replicas, "leaderWorkerTemplate": group},
        )
    ]


def _nim_pod(spec: Document, multi: Document, owner: str) -> dict[str, Any]:
    image = optional(spec, "image", owner=owner, field="spec.image")
    env = spec.get("env")
    given = list(env) if isinstance(env, list) else []
    sizes = optional(multi, "parallelism", owner=owner, field="spec.multiNode.parallelism")
    for key, variable in (("tensor", "NIM_TENSOR_PARALLEL_SIZE"), ("pipeline", "NIM_PIPELINE_PARALLEL_SIZE")):
        if sizes.get(key) is not None:
            field = f"spec.multiNode.parallelism.{key}"
            value = number(sizes, key, owner=owner, field=field, least=1)
            given.append({"name": variable, "value": str(value)})
    resources = dict(optional(spec, "resources", owner=owner, field="spec.resources"))
    each = sizes.get("tensor", multi.get("gpusPerPod"))
    if each is not None and not any(
        "gpu" in str(key) for key in optional(resources, "limits", owner=owner, field="spec.resources.limits")
    ):
        resources["limits"] = {**resources.get("limits", {}), "nvidia.com/gpu": str(each)}
    container = {
        "name": "nim",
        "image": f"{image.get('repository', '')}:{image.get('tag', '')}",
        "env": given,
        "resources": resources,
    } | {key: spec[key] for key in ("command", "args") if spec.get(key)}
    kept = ("nodeSelector", "affinity", "tolerations", "schedulerName")
    return {**{key: spec[key] for key in kept if spec.get(key)}, "containers": [container]}
