"""Upstream pod groups: kube-scheduler's own pod-group cycle decides when, Lockstep decides where."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from deploy.local.lab import PODS, Lab
from deploy.local.objects import Object, gang_pods, named
from tests.e2e.test_gangs import CLIQUE, cliques

GROUPS = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups"


def group(name: str, count: int, *, key: str = "") -> Object:
    spec: Object = {"schedulingPolicy": {"gang": {"minCount": count}}}
    if key:
        spec["schedulingConstraints"] = {"topology": [{"key": key}]}
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def pods_of(name: str, size: int) -> list[Object]:
    pods = gang_pods(name, size, gpus=4)
    for pod in pods:
        pod["metadata"].pop("annotations")
        pod["spec"]["schedulingGroup"] = {"podGroupName": name}
    return pods


def held(lab: Lab) -> float:
    with urlopen(f"{lab.url}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith("lockstep_held_pods ")).split()[1])


@pytest.mark.parametrize("key", ["", CLIQUE])
def test_simulations_leave_nothing_and_the_group_goes_where_it_was_planned(lab: Lab, key: str) -> None:
    """With a topology key every NVLink domain is tried and all but one thrown away."""
    name = f"native{'-key' if key else ''}"
    pods = pods_of(name, 8)
    lab.client.create([group(name, 8, key=key)])
    lab.client.create(pods)
    bound = lab.wait_bound(named(pods))
    assert bound == lab.planned(name)
    assert len(cliques(lab, bound)) == 1
    lab.eventually(lambda: lab.state(name) == "bound" and held(lab) == 0)
    managers = {one["manager"] for one in lab.client.get(f"{GROUPS}/{name}")["metadata"]["managedFields"]}
    assert "lockstep" not in managers, "the group's status is upstream's to write"
    lab.client.delete(f"{GROUPS}/{name}")


def test_a_group_starts_with_as_many_as_it_needs_and_the_others_join_them(lab: Lab) -> None:
    pods = pods_of("elastic", 6)
    lab.client.create([group("elastic", 4, key=CLIQUE)])
    lab.client.create(pods[:3])
    lab.eventually(lambda: lab.state("elastic") == "forming")
    assert lab.nodes_of(named(pods)) == {}
    lab.client.create(pods[3:4])
    first = lab.wait_bound(named(pods[:4]))
    lab.client.create(pods[4:])
    bound = lab.wait_bound(named(pods))
    assert {name: bound[name] for name in first} == first
    assert len(cliques(lab, bound)) == 1
    lab.client.delete(f"{GROUPS}/elastic")


def test_a_group_that_does_not_fit_is_tried_and_holds_nothing(lab: Lab) -> None:
    """No NVLink domain has 19 nodes: every simulation fails, and nothing is held in between."""
    pods = pods_of("huge", 19)
    lab.client.create([group("huge", 19, key=CLIQUE)])
    lab.client.create(pods)
    lab.eventually(lambda: lab.state("huge") == "blocked")
    other = pods_of("small", 4)
    lab.client.create([group("small", 4)])
    lab.client.create(other)
    lab.wait_bound(named(other))
    assert lab.nodes_of(named(pods)) == {}
    assert held(lab) == 0
    for name in ("huge", "small"):
        lab.client.delete(f"{GROUPS}/{name}")


def test_a_group_without_room_waits_whole_and_starts_when_there_is(lab: Lab) -> None:
    first, second = pods_of("filling", 180), pods_of("waiting", 24)
    lab.client.create([group("filling", 180), group("waiting", 24)])
    lab.client.create(first)
    lab.wait_bound(named(first))
    lab.client.create(second)
    lab.eventually(lambda: lab.state("waiting") == "blocked")
    assert lab.nodes_of(named(second)) == {}
    for pod in first[:36]:
        lab.client.delete(f"{PODS}/{pod['metadata']['name']}", gracePeriodSeconds="0")
    lab.wait_bound(named(second))
    for name in ("filling", "waiting"):
        lab.client.delete(f"{GROUPS}/{name}")


def test_groups_of_a_composite_group_start_together(lab: Lab) -> None:
    """Two tensor-parallel groups, each in one rack; nothing starts while the second is missing."""
    root, names = "composite", ("composite-0", "composite-1")
    of = {"workloadRef": {"workloadName": root, "templateName": "root"}}
    whole = {
        "apiVersion": "scheduling.k8s.io/v1alpha3",
        "kind": "CompositePodGroup",
        "metadata": {"name": root, "namespace": "default"},
        "spec": {"schedulingPolicy": {"gang": {"minGroupCount": 2}}, **of},
    }
    parts = [group(name, 10, key=CLIQUE) for name in names]
    for part in parts:
        part["spec"] |= {"parentCompositePodGroupName": root, **of}
    lab.client.create([whole, *parts])
    first, second = (pods_of(name, 10) for name in names)
    lab.client.create(first)
    lab.eventually(lambda: lab.state(root) == "forming")
    assert lab.nodes_of(named(first)) == {}
    lab.client.create(second)
    bound = lab.wait_bound(named([*first, *second]))
    for pods in (first, second):
        assert len(cliques(lab, {name: bound[name] for name in named(pods)})) == 1
    for name in names:
        lab.client.delete(f"{GROUPS}/{name}")
    lab.client.delete(f"/apis/scheduling.k8s.io/v1alpha3/namespaces/default/compositepodgroups/{root}")
