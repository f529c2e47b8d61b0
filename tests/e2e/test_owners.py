"""Gangs whose pods do not say how many they are, or do not all exist at first: their owners are read."""

from __future__ import annotations

import time
from typing import Any

from deploy.local.lab import PODS, Lab
from deploy.local.objects import Object
from tests.e2e.workloads import CLIQUE, domains, fill, lws, pod_spec, pods

EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
LWS_EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"


def bound(lab: Lab, count: int) -> dict[str, str]:
    """Nodes of all pods, once there are so many and each has one."""

    def there() -> bool:
        found = pods(lab)
        return len(found) == count and len(lab.nodes_of(found)) == count

    lab.eventually(there, what=f"{count} bound pods")
    return lab.nodes_of(pods(lab))


def blocked(lab: Lab) -> bool:
    gangs = lab.ask("/v1/gangs")["gangs"]
    return [gang["state"] for gang in gangs] == ["blocked"]


def jobset(name: str, *, annotations: dict[str, str], **jobs: int) -> Object:
    """A JobSet with one replicated job per keyword, of so many pods; the first one without GPUs."""
    entries = []
    for at, (job, count) in enumerate(jobs.items()):
        spec = pod_spec(gpus=4 if at else 0, restartPolicy="Never")
        inner = {"parallelism": count, "completions": count, "template": {"spec": spec}}
        entries.append({"name": job, "replicas": 1, "template": {"spec": inner}})
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    api = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet"}
    return {**api, "metadata": metadata, "spec": {"replicatedJobs": entries}}


def made(api: str, kind: str, name: str, spec: dict[str, Any]) -> Object:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def test_workers_come_when_the_leader_is_ready_and_find_their_room(cluster: Lab) -> None:
    cluster.client.apply(lws("late", size=4, startupPolicy="LeaderReady"))
    nodes = bound(cluster, 4)
    assert len(domains(cluster, nodes.values())) == 1


def test_a_leader_whose_workers_would_not_fit_stays_whole(cluster: Lab) -> None:
    """Alone the controller would bind the leader and wedge: three nodes are free where four are needed."""
    fill(cluster, left=3)
    cluster.client.apply(
        lws("wedge", size=4, startupPolicy="LeaderReady", annotations={LWS_EXCLUSIVE: CLIQUE})
    )
    cluster.eventually(lambda: blocked(cluster), what="the refusal")
    assert not cluster.nodes_of(name for name in pods(cluster) if name.startswith("wedge"))


def test_an_exclusive_group_takes_a_domain_for_all_of_it(cluster: Lab) -> None:
    cluster.client.apply(lws("own", size=3, replicas=2, annotations={LWS_EXCLUSIVE: CLIQUE}))
    nodes = bound(cluster, 6)
    assert sorted(domains(cluster, nodes.values()).values()) == [3, 3]


def test_a_job_set_of_two_jobs_starts_whole(cluster: Lab) -> None:
    cluster.client.apply(jobset("js", annotations={}, driver=1, workers=4))
    nodes = bound(cluster, 5)
    assert len(domains(cluster, (node for name, node in nodes.items() if "workers" in name))) == 1
    cluster.client.apply(jobset("large", annotations={}, driver=1, workers=12))
    cluster.eventually(lambda: len(pods(cluster)) == 18, what="all pods")
    cluster.eventually(lambda: len(cluster.nodes_of(pods(cluster))) == 5, what="the large set waits whole")


def test_an_exclusive_job_set_gives_every_job_a_domain(cluster: Lab) -> None:
    cluster.client.apply(exclusive("apart", jobs=3, workers=2))
    nodes = bound(cluster, 6)
    assert sorted(domains(cluster, nodes.values()).values()) == [2, 2, 2]
    assert [gang["gang"] for gang in cluster.ask("/v1/gangs")["gangs"]] == ["default/apart"]


def test_an_exclusive_job_set_of_which_one_job_has_no_domain_waits_whole(cluster: Lab) -> None:
    """Alone, the controller and kube-scheduler start two of the three jobs, which hold their domains."""
    fill(cluster, left=2)
    cluster.client.apply(exclusive("whole", jobs=3, workers=3))
    cluster.eventually(lambda: blocked(cluster), what="the refusal")
    assert not cluster.nodes_of(name for name in pods(cluster) if name.startswith("whole"))
    for domain in (1, 2):
        cluster.client.delete(f"{PODS}/fill-nvl-{domain}-01")
    time.sleep(1.0)  # two of the three could start now
    assert not cluster.nodes_of(name for name in pods(cluster) if name.startswith("whole"))
    cluster.client.delete(f"{PODS}/fill-nvl-3-01")
    cluster.eventually(
        lambda: len(cluster.nodes_of(name for name in pods(cluster) if name.startswith("whole"))) == 9,
        what="nine bound pods",
    )
    nodes = cluster.nodes_of(name for name in pods(cluster) if name.startswith("whole"))
    assert sorted(domains(cluster, nodes.values()).values()) == [3, 3, 3]


def exclusive(name: str, *, jobs: int, workers: int) -> Object:
    """A JobSet of so many jobs, each with a domain to itself."""
    given = jobset(name, annotations={EXCLUSIVE: CLIQUE}, workers=workers)
    (job,) = given["spec"]["replicatedJobs"]
    job["replicas"] = jobs
    job["template"]["spec"]["template"]["spec"] = pod_spec(restartPolicy="Never")
    return given


def test_an_indexed_job_and_a_parallel_set_are_gangs(cluster: Lab) -> None:
    job = {"parallelism": 4, "completions": 4, "completionMode": "Indexed"}
    template = {"spec": pod_spec(restartPolicy="Never")}
    cluster.client.apply(made("batch/v1", "Job", "torch", {**job, "template": template}))
    spec = pod_spec()
    spec["containers"][0] |= {"image": "vllm/vllm-openai", "args": ["--tensor-parallel-size", "8"]}
    labels = {"app": "sgl"}
    inner = {"metadata": {"labels": labels}, "spec": spec}
    stateful = {"replicas": 2, "podManagementPolicy": "Parallel", "serviceName": "s"}
    stateful |= {"selector": {"matchLabels": labels}, "template": inner}
    cluster.client.apply(made("apps/v1", "StatefulSet", "sgl", stateful))
    nodes = bound(cluster, 6)
    assert {gang["gang"] for gang in cluster.ask("/v1/gangs")["gangs"]} == {"default/sgl", "default/torch"}
    assert len(domains(cluster, (node for name, node in nodes.items() if name.startswith("sgl")))) == 1
