"""Gangs through the real kube-scheduler: all or nothing, in every mode and through every disturbance."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from deploy.local.lab import PODS, Lab
from deploy.local.objects import GPU, Object, gang_pods, named
from tests.e2e.workloads import domains, plain

_NUMBER = itertools.count()
CLIQUE = "nvidia.com/gpu.clique"


def gang(size: int, *, gpus: int = 4, **kwargs: Any) -> tuple[str, list[Object]]:
    """A gang under a name of its own."""
    name = f"g{next(_NUMBER)}"
    return name, gang_pods(name, size, gpus=gpus, **kwargs)


def cliques(lab: Lab, nodes: dict[str, str]) -> Counter[str]:
    """Pods per NVLink domain."""
    label = {
        n["metadata"]["name"]: n["metadata"]["labels"][CLIQUE]
        for n in lab.client.get("/api/v1/nodes")["items"]
    }
    return Counter(label[node] for node in nodes.values())


@pytest.mark.parametrize("mode", ["", "compat"])
@pytest.mark.parametrize("size", [2, 16, 64, 512])
def test_every_pod_of_a_gang_is_bound_where_it_was_planned(lab: Lab, size: int, mode: str) -> None:
    name, pods = gang(size, gpus=1, mode=mode)
    lab.client.create(pods)
    bound = lab.wait_bound(named(pods))
    assert bound == lab.planned(name)
    lab.eventually(lambda: lab.state(name) == "bound")
    assert max(Counter(bound.values()).values()) <= 4
    one = lab.client.get(f"{PODS}/{name}-1")["metadata"]["annotations"]
    assert one["lockstep.scheduling/assigned-rank"] == "1"
    assert one["lockstep.scheduling/plan"]


def test_nothing_starts_before_the_gang_is_complete(lab: Lab) -> None:
    name, pods = gang(4)
    lab.client.create(pods[:3])
    lab.eventually(lambda: lab.state(name) == "forming")
    assert lab.gates(named(pods)) == named(pods[:3])
    lab.client.create(pods[3:])
    lab.wait_bound(named(pods))


@pytest.mark.parametrize("mode", ["", "compat"])
def test_a_gang_that_does_not_fit_waits_whole_and_starts_by_itself(lab: Lab, mode: str) -> None:
    """Ten racks are taken one by one; the eleventh gang gets the first that comes free."""
    first = [gang(18, annotations={"required": "gang=nvlink"}) for _ in range(10)]
    for _, pods in first:
        lab.client.create(pods)
    for _, pods in first:
        lab.wait_bound(named(pods))
    name, waiting = gang(18, annotations={"required": "gang=nvlink"}, mode=mode)
    lab.client.create(waiting)
    lab.eventually(lambda: lab.state(name) == "blocked")
    assert not lab.nodes_of(named(waiting))
    refused = lab.gang(name)
    assert refused is not None
    assert (refused["decision"]["reason"]["level"], refused["decision"]["reason"]["needed"]) == ("nvlink", 18)
    for pod in first[4][1]:
        lab.client.delete(f"{PODS}/{pod['metadata']['name']}", gracePeriodSeconds="0")
    lab.wait_bound(named(waiting), timeout_s=20)
    assert cliques(lab, lab.nodes_of(named(waiting))).most_common(1)[0][1] == 18


def test_two_gangs_that_compete_never_hold_half_each(lab: Lab) -> None:
    fill = [gang(18, annotations={"required": "gang=nvlink"}) for _ in range(9)]
    for _, pods in fill:
        lab.client.create(pods)
    for _, pods in fill:
        lab.wait_bound(named(pods))
    (one, first), (two, second) = (gang(12, annotations={"required": "gang=nvlink"}) for _ in range(2))
    mixed = [pod for pair in zip(first, second, strict=True) for pod in pair]
    lab.client.create(mixed)
    lab.eventually(lambda: {lab.state(one), lab.state(two)} == {"bound", "blocked"})
    winner, loser = (first, second) if lab.state(one) == "bound" else (second, first)
    assert len(lab.nodes_of(named(winner))) == 12
    assert lab.nodes_of(named(loser)) == {}
    assert lab.gates(named(loser)) == named(loser)


def test_a_pod_deleted_between_plan_and_bind_frees_the_plan_and_its_successor_completes_it(lab: Lab) -> None:
    lab.plane.stop_scheduler()
    name, pods = gang(8)
    lab.client.create(pods)
    lab.eventually(lambda: lab.state(name) == "reserved" and not lab.gates(named(pods)))
    lab.client.delete(f"{PODS}/{name}-3", gracePeriodSeconds="0")
    lab.eventually(lambda: lab.state(name) == "forming")
    lab.start_scheduler()
    assert not lab.nodes_of(named(pods))
    lab.client.create(pods[3])
    lab.wait_bound(named(pods))


def test_a_node_cordoned_between_plan_and_bind_is_planned_around(lab: Lab) -> None:
    lab.plane.stop_scheduler()
    name, pods = gang(8, annotations={"required": "gang=nvlink"})
    lab.client.create(pods)
    lab.eventually(lambda: lab.state(name) == "reserved" and not lab.gates(named(pods)))
    lost = sorted(lab.planned(name).values())[0]
    lab.cordon(lost)
    lab.eventually(lambda: lost not in lab.planned(name).values() and lab.state(name) == "reserved")
    lab.start_scheduler()
    bound = lab.wait_bound(named(pods))
    assert lost not in bound.values()
    assert len(cliques(lab, bound)) == 1


@pytest.mark.parametrize("size", [8, 64])
def test_a_restart_between_gate_removal_and_bind_keeps_the_plan(lab: Lab, size: int) -> None:
    lab.plane.stop_scheduler()
    name, pods = gang(size)
    lab.client.create(pods)
    lab.eventually(lambda: lab.state(name) == "reserved" and not lab.gates(named(pods)))
    before = lab.planned(name)
    lab.stop_lockstep(kill=True)
    lab.start_lockstep()
    lab.eventually(lambda: lab.state(name) == "reserved")
    assert lab.planned(name) == before
    lab.start_scheduler()
    assert lab.wait_bound(named(pods)) == before


def test_a_lost_member_of_a_running_gang_comes_back_beside_the_others(lab: Lab) -> None:
    name, pods = gang(6, annotations={"preferred": "gang=nvlink"})
    lab.client.create(pods)
    before = lab.wait_bound(named(pods))
    lab.client.delete(f"{PODS}/{name}-2", gracePeriodSeconds="0")
    lab.eventually(lambda: lab.state(name) == "degraded")
    lab.client.create(pods[2])
    after = lab.wait_bound(named(pods))
    assert {pod: node for pod, node in after.items() if pod != f"{name}-2"} == {
        pod: node for pod, node in before.items() if pod != f"{name}-2"
    }
    assert len(cliques(lab, after)) == 1


def test_an_upstream_pod_group_is_placed_by_the_fabric(lab: Lab) -> None:
    name, pods = gang(8)
    group = {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": 8}}},
    }
    for pod in pods:
        pod["metadata"].pop("annotations")
        pod["spec"]["schedulingGroup"] = {"podGroupName": name}
    lab.client.create([group])
    lab.client.create(pods)
    bound = lab.wait_bound(named(pods))
    assert bound == lab.planned(name)
    assert len(cliques(lab, bound)) == 1
    lab.client.delete(f"/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups/{name}")


def test_pods_without_a_gang_pass_and_take_nothing_that_is_held(lab: Lab) -> None:
    lab.plane.stop_scheduler()
    name, pods = gang(18, annotations={"required": "gang=nvlink"})
    lab.client.create(pods)
    lab.eventually(lambda: lab.state(name) == "reserved")
    held = sorted(lab.planned(name).values())[0]
    plain = plain_pod("pinned", gpus=1, node=held)
    free = plain_pod("free", gpus=1)
    lab.client.create([plain, free])
    lab.start_scheduler()
    lab.wait_bound([*named(pods), "free"])
    assert not lab.nodes_of(["pinned"])
    assert lab.nodes_of(["free"])["free"] not in lab.planned(name).values()


def plain_pod(name: str, *, gpus: int, node: str = "") -> Object:
    spec: Object = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "none", "resources": {"limits": {GPU: str(gpus)}}}],
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def test_an_invalid_gang_names_its_fault_and_disturbs_nobody(lab: Lab) -> None:
    name, pods = gang(4, annotations={"tensor-parallel": "12"})
    lab.client.create(pods)
    lab.eventually(lambda: lab.state(name) == "invalid")
    found = lab.gang(name)
    assert found is not None
    assert "12" in found["reason"]
    _, good = gang(4)
    lab.client.create(good)
    lab.wait_bound(named(good))
    assert lab.gates(named(pods)) == named(pods)


def test_of_gangs_that_wait_together_none_is_left_that_could_be_placed(
    cluster: Lab,
) -> None:
    """Domains with three and four free nodes; gangs of two, three and two, each in one domain. The first
    alone would take the smaller domain, and the last would find no place."""
    taken = [plain(f"taken-{at}", on=node) for at, node in enumerate(_nodes(cluster)[:5])]
    cluster.client.create(taken)
    cluster.wait_bound(pod["metadata"]["name"] for pod in taken)
    cluster.stop_lockstep()  # so that all wait when it looks
    gangs = [gang(size, annotations={"required": "gang=nvlink"}) for size in (2, 3, 2)]
    for _, pods in gangs:
        cluster.client.create(pods)
    cluster.start_lockstep()
    cluster.start_scheduler()
    places = [cluster.wait_bound(named(pods)) for _, pods in gangs]
    used = [domains(cluster, nodes.values()) for nodes in places]
    assert [len(one) for one in used] == [1, 1, 1]
    assert used[0].keys() == used[2].keys() != used[1].keys()


def _nodes(lab: Lab) -> list[str]:
    """Names of all nodes, domain after domain."""
    return sorted(node["metadata"]["name"] for node in lab.client.get("/api/v1/nodes")["items"])
