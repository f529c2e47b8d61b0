"""Gangs of kinds whose controllers are not here: their objects and pods as those controllers write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.local.kinds import open_crd
from deploy.local.lab import Lab
from deploy.local.objects import Object, named
from tests.e2e.workloads import domains, pod_spec

KINDS = (
    ("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups"),
    ("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups"),
    ("scheduler.grove.io", "v1alpha1", "PodGang", "podgangs"),
    ("ray.io", "v1", "RayCluster", "rayclusters"),
    ("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs"),
    ("scheduling.run.ai", "v2alpha2", "PodGroup", "podgroups"),
    ("sparkoperator.k8s.io", "v1beta2", "SparkApplication", "sparkapplications"),
)
SIZE = 4
Made = tuple[list[Object], list[Object]]


@pytest.fixture(scope="module")
def foreign(shared_cluster: Lab) -> Lab:
    """The cluster with open CRDs for all these kinds, known to Lockstep."""
    there = {crd["metadata"]["name"] for crd in shared_cluster.client.get(CRDS)["items"]}
    crds = [open_crd(group=g, versions=(v,), kind=k, plural=p) for g, v, k, p in KINDS]
    shared_cluster.client.apply(crd for crd in crds if crd["metadata"]["name"] not in there)
    shared_cluster.start_lockstep()  # kinds that come later are looked for once a minute
    return shared_cluster


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def pod(name: str, *, labels: Mapping[str, str] = {}, annotations: Mapping[str, str] = {}) -> Object:
    metadata = {
        "name": name,
        "namespace": "default",
        "labels": dict(labels),
        "annotations": dict(annotations),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec()}


def made(api: str, kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def volcano(name: str) -> Made:
    """As LeaderWorkerSet's and Dynamo's Volcano modes write it, and Volcano's own jobs."""
    group = made("scheduling.volcano.sh/v1beta1", "PodGroup", name, {"minMember": SIZE, "queue": "default"})
    given = {"scheduling.k8s.io/group-name": name}
    return [group], [pod(f"{name}-{at}", annotations=given) for at in range(SIZE)]


def scheduler_plugins(name: str) -> Made:
    group = made("scheduling.x-k8s.io/v1alpha1", "PodGroup", name, {"minMember": SIZE})
    given = {"scheduling.x-k8s.io/pod-group": name}
    return [group], [pod(f"{name}-{at}", labels=given) for at in range(SIZE)]


def kueue(name: str) -> Made:
    """A plain pod group, whose pods say all there is to know."""
    found = []
    for at in range(SIZE):
        labels = {"kueue.x-k8s.io/pod-group-name": name, "kueue.x-k8s.io/queue-name": "team"}
        given = {"kueue.x-k8s.io/pod-group-total-count": str(SIZE), "kueue.x-k8s.io/role-hash": "8a2f"}
        found.append(pod(f"{name}-{at}", labels=labels, annotations=given))
    return [], found


def koordinator(name: str) -> Made:
    """Koordinator's gang by annotations alone, as its users write it on pods."""
    given = {
        "gang.scheduling.koordinator.sh/name": name,
        "gang.scheduling.koordinator.sh/min-available": str(SIZE),
        "gang.scheduling.koordinator.sh/total-number": str(SIZE),
    }
    return [], [pod(f"{name}-{at}", annotations=given) for at in range(SIZE)]


def kai(name: str) -> Made:
    """Two sub-groups inside a third that has a place of its own, as KAI's grouper writes them."""
    own = {"topologyConstraint": {"requiredTopologyLevel": "nvidia.com/gpu.clique"}}
    parts = [{"name": "all", "minMember": 0, **own}]
    parts += [{"name": part, "parent": "all", "minMember": SIZE // 2} for part in ("leader", "workers")]
    group = made("scheduling.run.ai/v2alpha2", "PodGroup", name, {"minMember": SIZE, "subGroups": parts})
    given = {"pod-group-name": name}
    pods = [
        pod(f"{name}-{part}-{at}", labels={"kai.scheduler/subgroup-name": part}, annotations=given)
        for part in ("leader", "workers")
        for at in range(SIZE // 2)
    ]
    return [group], pods


def yunikorn(name: str) -> Made:
    """Task groups, as KubeRay and Spark write them for YuniKorn: the first pod says them all."""
    groups = [{"name": "head", "minMember": 1}, {"name": "worker", "minMember": SIZE - 1}]
    label = {"yunikorn.apache.org/app-id": name}
    first = {
        "yunikorn.apache.org/task-group-name": "head",
        "yunikorn.apache.org/task-groups": json.dumps(groups),
    }
    worker = {"yunikorn.apache.org/task-group-name": "worker"}
    workers = [pod(f"{name}-worker-{at}", labels=label, annotations=worker) for at in range(SIZE - 1)]
    return [], [pod(f"{name}-head", labels=label, annotations=first), *workers]


def grove(name: str) -> Made:
    """A PodGang of two cliques, as Grove's operator writes it for a Dynamo graph."""
    parts = {"prefill": 2, "decode": 2}
    pods = [
        pod(
            f"{name}-{part}-{at}",
            labels={
                "app.kubernetes.io/part-of": name,
                "grove.io/podgang": f"{name}-0",
                "grove.io/podclique": f"{name}-0-{part}",
                "grove.io/podclique-pod-index": str(at),
                "grove.io/podcliqueset-replica-index": "0",
                "nvidia.com/dynamo-graph-deployment-name": name,
                "nvidia.com/dynamo-component": part,
                "nvidia.com/dynamo-component-type": part,
            },
        )
        for part, count in parts.items()
        for at in range(count)
    ]
    groups = [
        {
            "name": f"{name}-0-{part}",
            "minReplicas": count,
            "podReferences": [{"namespace": "default", "name": f"{name}-{part}-{at}"} for at in range(count)],
        }
        for part, count in parts.items()
    ]
    return [made("scheduler.grove.io/v1alpha1", "PodGang", f"{name}-0", {"podgroups": groups})], pods


def ray(name: str) -> Made:
    """A cluster of a head and one worker group, as KubeRay labels its pods."""
    template = {"template": {"spec": pod_spec()}}
    counts = dict.fromkeys(("replicas", "minReplicas", "maxReplicas"), SIZE - 1)
    spec = {
        "headGroupSpec": {"rayStartParams": {}, **template},
        "workerGroupSpecs": [{"groupName": "gpu", **counts, **template}],
    }
    head = {"ray.io/cluster": name, "ray.io/node-type": "head", "ray.io/group": "headgroup"}
    worker = {"ray.io/cluster": name, "ray.io/node-type": "worker", "ray.io/group": "gpu"}
    workers = [pod(f"{name}-gpu-worker-{suffix}", labels=worker) for suffix in ("x2k4p", "b7m9q", "t5w8z")]
    return [made("ray.io/v1", "RayCluster", name, spec)], [pod(f"{name}-head", labels=head), *workers]


def pytorch(name: str) -> Made:
    """One master and three workers, as the training operator names and labels them."""
    template = {"template": {"spec": {"containers": [{"name": "pytorch", "image": "none"}]}}}
    counts = {"Master": 1, "Worker": SIZE - 1}
    spec = {"pytorchReplicaSpecs": {kind: {"replicas": count, **template} for kind, count in counts.items()}}
    pods = [
        pod(
            f"{name}-{kind.lower()}-{at}",
            labels={
                "training.kubeflow.org/job-name": name,
                "training.kubeflow.org/operator-name": "pytorchjob-controller",
                "training.kubeflow.org/replica-type": kind.lower(),
                "training.kubeflow.org/replica-index": str(at),
            },
        )
        for kind, count in counts.items()
        for at in range(count)
    ]
    return [made("kubeflow.org/v1", "PyTorchJob", name, spec)], pods


@pytest.mark.parametrize(
    "write", [volcano, scheduler_plugins, kueue, koordinator, kai, yunikorn, grove, ray, pytorch]
)
def test_its_gang_waits_for_all_its_pods_and_is_placed_together(
    foreign: Lab, cluster: Lab, write: Any
) -> None:
    objects, pods = write(f"f-{write.__name__.replace('_', '-')}")
    foreign.client.create(objects)
    try:
        foreign.client.create(pods[:-1])
        foreign.eventually(lambda: len(gangs(foreign)) == 1 and gangs(foreign)[0]["state"] == "forming")
        assert not foreign.nodes_of(named(pods))
        foreign.client.create(pods[-1:])
        nodes = foreign.wait_bound(named(pods))
        assert len(domains(foreign, nodes.values())) == 1
    finally:
        for one in objects:
            foreign.client.delete(foreign.client.path_of(one))


def test_a_gang_has_its_row_before_its_first_pod(foreign: Lab, cluster: Lab) -> None:
    objects, pods = pytorch("f-row")
    foreign.client.create(objects)
    try:
        foreign.eventually(lambda: len(gangs(foreign)) == 1, what="the row")
        (row,) = gangs(foreign)
        assert (row["gang"], row["state"], row["pods"]["present"], row["pods"]["wanted"]) == (
            "default/f-row",
            "forming",
            0,
            SIZE,
        )
        assert foreign.ask("/v1/gangs/default/f-row")["reason"].startswith(f"0 of {SIZE} pods exist")
        foreign.client.create(pods)
        foreign.wait_bound(named(pods))
        assert [one["state"] for one in gangs(foreign)] == ["bound"]
    finally:
        for one in objects:
            foreign.client.delete(foreign.client.path_of(one))


def test_a_spark_driver_starts_with_room_for_the_executors_that_it_will_make(
    foreign: Lab, cluster: Lab
) -> None:
    """The driver asks the API server for its executors once it runs; their names carry a hash."""
    name, gpu = "f-spark", {"name": "nvidia.com/gpu", "quantity": 4}
    executor = {"instances": SIZE, "cores": 1, "memory": "512m", "gpu": gpu}
    spec = {"image": "none", "driver": {"cores": 1, "memory": "512m"}, "executor": executor}
    owner = made("sparkoperator.k8s.io/v1beta2", "SparkApplication", name, spec)
    label = {"sparkoperator.k8s.io/app-name": name}
    foreign.client.create([owner])
    try:
        driver = pod(f"{name}-driver", labels={**label, "spark-role": "driver"})
        driver["spec"] = _spark(gpus=0)
        foreign.client.create([driver])
        foreign.wait_bound([f"{name}-driver"])
        # Nobody is asked about a pod without GPUs, so the driver may have a node before the gang has a plan.
        foreign.eventually(lambda: foreign.ask(f"/v1/gangs/default/{name}")["decision"], what="the plan")
        held = foreign.ask(f"/v1/gangs/default/{name}")["decision"]["pods"]
        assert len(held) == SIZE + 1
        executors = []
        for at in range(1, SIZE + 1):
            labels = {**label, "spark-role": "executor", "spark-exec-id": str(at)}
            one = pod(f"{name}-3f6c1a-exec-{at}", labels=labels)
            executors.append({**one, "spec": _spark(gpus=4)})
        foreign.client.create(executors)
        nodes = foreign.wait_bound(named(executors))
        assert len(domains(foreign, nodes.values())) == 1
    finally:
        foreign.client.delete(foreign.client.path_of(owner))


def _spark(*, gpus: int) -> Object:
    """What the Spark operator asks for 1 core and 512m of memory: a tenth more, at least 384 MiB."""
    spec = pod_spec(gpus=gpus)
    spec["containers"][0]["resources"]["requests"] = {"cpu": "1", "memory": "896Mi"}
    return spec


def gangs(lab: Lab) -> list[Object]:
    found: list[Object] = lab.ask("/v1/gangs")["gangs"]
    return found
