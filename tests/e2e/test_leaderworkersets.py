"""LeaderWorkerSets as their own controller makes them, placed group by group through the real scheduler."""

from __future__ import annotations

from deploy.local.lab import PODS, Lab
from deploy.local.objects import gang_pods, named
from tests.e2e.workloads import (
    CLIQUE,
    LWS,
    MERGE,
    WORKLOADS,
    domains,
    fill,
    kubelet,
    lws,
    lws_pods,
    phases,
    pod_spec,
    pods,
    templated,
    uids,
)


def test_two_groups_are_placed_whole_and_run(cluster: Lab) -> None:
    cluster.client.apply(lws("two", size=4, replicas=2))
    groups = [lws_pods("two", size=4, group=group) for group in range(2)]
    nodes = cluster.wait_bound([*groups[0], *groups[1]])
    for group in groups:
        assert len(domains(cluster, (nodes[pod] for pod in group))) == 1
        cluster.eventually(
            lambda group=group: phases(cluster, group) == {"Running": 4}, what="four running pods"
        )


def test_a_group_that_no_domain_has_room_for_is_refused_whole(cluster: Lab) -> None:
    cluster.client.apply(lws("wide", size=5, template=templated(pod_spec(), required="gang=nvlink")))
    cluster.eventually(lambda: len(pods(cluster)) == 5, what="five pods")
    cluster.eventually(lambda: states(cluster) == {"blocked"}, what="the refusal")
    assert not cluster.nodes_of(pods(cluster))


EXCLUSIVE = {LWS + "exclusive-topology": CLIQUE}


def test_exclusive_groups_get_a_domain_each_and_workers_that_come_later_find_their_room(cluster: Lab) -> None:
    """The workers are made when the leader has its node, with its domain as their node selector."""
    cluster.client.apply(lws("ex", size=4, replicas=3, annotations=EXCLUSIVE))
    groups = [lws_pods("ex", size=4, group=group) for group in range(3)]
    nodes = cluster.wait_bound(name for group in groups for name in group)
    found = [set(domains(cluster, (nodes[pod] for pod in group))) for group in groups]
    assert [len(one) for one in found] == [1, 1, 1]
    assert len(set.union(*found)) == 3


def test_where_the_controller_alone_wedges_the_group_is_refused_whole(cluster: Lab) -> None:
    """Two nodes are free in every domain, the group needs three of one. kube-scheduler alone binds the
    leader, and its workers may run nowhere else; with Lockstep the leader waits too, until there is room."""
    fill(cluster, left=2)
    names = lws_pods("wedge", size=3)
    alone = templated(pod_spec(), mode="compat")  # not gated
    cluster.plane.start_scheduler()
    try:
        cluster.client.apply(lws("wedge", size=3, annotations=EXCLUSIVE, template=alone))
        cluster.eventually(lambda: len(cluster.nodes_of(names)) == 2, what="the leader and one worker")
        cluster.eventually(lambda: unschedulable(cluster, names) == 1, what="the verdict on the other")
        cluster.client.delete(f"{WORKLOADS[0]}/wedge")
        cluster.eventually(lambda: not uids(cluster, names), what="the group to be gone")
    finally:
        cluster.start_scheduler()
    cluster.client.apply(lws("wedge", size=3, annotations=EXCLUSIVE))
    cluster.eventually(lambda: states(cluster) == {"blocked"}, what="the refusal")
    assert not cluster.nodes_of(names)
    cluster.client.delete(f"{PODS}/fill-nvl-2-01")
    nodes = cluster.wait_bound(names)
    assert {node.rpartition("-")[0] for node in nodes.values()} == {"nvl-2"}


def test_sub_groups_are_each_in_one_domain(cluster: Lab) -> None:
    """Eight GPUs are free in every domain: a group of five pods spans two, its sub-groups do not."""
    fill(cluster, left=2)
    sub_groups = {"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"}
    worker = templated(pod_spec(), required="group=nvlink")
    cluster.client.apply(
        lws("sub", size=5, leader=pod_spec(gpus=0), template={"subGroupPolicy": sub_groups, **worker})
    )
    nodes = cluster.wait_bound(lws_pods("sub", size=5))
    for pair in (("sub-0-1", "sub-0-2"), ("sub-0-3", "sub-0-4")):
        assert len(domains(cluster, (nodes[pod] for pod in pair))) == 1


def test_sub_groups_with_exclusive_topology_take_a_domain_each(cluster: Lab) -> None:
    """The controller's anti-affinity keeps the sub-groups apart: a plan that packed them would be refused."""
    sub_groups = {"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"}
    cluster.client.apply(
        lws(
            "apart",
            size=5,
            leader=pod_spec(gpus=0),
            template={"subGroupPolicy": sub_groups},
            annotations={LWS + "subgroup-exclusive-topology": CLIQUE},
        )
    )
    nodes = cluster.wait_bound(lws_pods("apart", size=5))
    pairs = (("apart-0-1", "apart-0-2"), ("apart-0-3", "apart-0-4"))
    found = [set(domains(cluster, (nodes[pod] for pod in pair))) for pair in pairs]
    assert [len(one) for one in found] == [1, 1]
    assert found[0] != found[1]


def test_a_rolling_update_with_surge_replaces_group_by_group(cluster: Lab) -> None:
    """Three groups are the whole cluster: the surge takes the third domain, and gives it back."""
    rollout = {"rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"}
    given = templated(pod_spec(), required="gang=nvlink")
    cluster.client.apply(lws("roll", size=4, replicas=2, template=given, rolloutStrategy=rollout))
    names = [*lws_pods("roll", size=4), *lws_pods("roll", size=4, group=1)]
    cluster.wait_bound(names)
    cluster.eventually(lambda: phases(cluster, names) == {"Running": 8}, what="eight running pods")
    before = uids(cluster, names)
    given = templated(pod_spec(hostname="new"), required="gang=nvlink")
    cluster.client.apply(lws("roll", size=4, replicas=2, template=given, rolloutStrategy=rollout))

    def replaced() -> bool:
        now = uids(cluster, names)
        return len(now) == 8 and not before & now and phases(cluster, names) == {"Running": 8}

    cluster.eventually(replaced, what="all pods to be replaced", timeout_s=60)
    nodes = cluster.nodes_of(names)
    for group in range(2):
        assert len(domains(cluster, (nodes[pod] for pod in lws_pods("roll", size=4, group=group)))) == 1


def test_a_rolling_update_in_a_full_cluster_keeps_its_room_from_who_waits_longer(cluster: Lab) -> None:
    """Without a surge the old group ends first: its room is its successor's."""
    given = templated(pod_spec(), required="gang=nvlink")
    cluster.client.apply(lws("full", size=4, replicas=3, template=given))
    names = [name for group in range(3) for name in lws_pods("full", size=4, group=group)]
    cluster.wait_bound(names)
    waiting = gang_pods("waiting", 4, gpus=4, annotations={"required": "gang=nvlink"})
    cluster.client.create(waiting)
    cluster.eventually(lambda: cluster.state("waiting") == "blocked", what="the refusal")
    before = uids(cluster, names)
    given = templated(pod_spec(hostname="new"), required="gang=nvlink")
    cluster.client.apply(lws("full", size=4, replicas=3, template=given))
    cluster.eventually(
        lambda: not before & (now := uids(cluster, names)) and len(now) == len(cluster.nodes_of(names)) == 12,
        what="all groups to be replaced",
        timeout_s=60,
    )
    assert cluster.state("waiting") == "blocked"
    cluster.client.delete(f"{WORKLOADS[0]}/full")
    cluster.wait_bound(named(waiting))


def test_a_deleted_worker_brings_the_whole_group_anew(cluster: Lab) -> None:
    names = lws_pods("restart", size=4)
    cluster.client.apply(lws("restart", size=4, template=templated(pod_spec(), required="gang=nvlink")))
    cluster.wait_bound(names)
    cluster.eventually(lambda: phases(cluster, names) == {"Running": 4}, what="four running pods")
    before = uids(cluster, names)
    cluster.client.delete(f"{PODS}/restart-0-2", gracePeriodSeconds="5")  # else it may not be seen going
    cluster.eventually(lambda: not before & uids(cluster, names), what="new pods")
    nodes = cluster.wait_bound(names)
    assert len(domains(cluster, nodes.values())) == 1


def test_a_group_moves_whole_when_a_node_is_lost(cluster: Lab) -> None:
    """The kubelet of one node dies: NotReady after 16 s, evicted 2 s later, and no node is left there
    for a fourth pod, so the group goes to another domain."""
    names = lws_pods("lost", size=4)
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    soon = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2} for key in keys]
    given = templated(pod_spec(tolerations=soon), required="gang=nvlink")
    cluster.client.apply(lws("lost", size=4, template=given))
    before = cluster.wait_bound(names)
    node = before["lost-0"]  # of a worker that goes without a grace period the controller may not hear
    kubelet(cluster, node, alive=False)
    try:
        cluster.eventually(
            lambda: (
                (now := cluster.nodes_of(names)).keys() == before.keys()
                and not set(now.values()) & set(before.values())
            ),
            what="the group to move",
            timeout_s=90,
        )
        assert len(domains(cluster, cluster.nodes_of(names).values())) == 1
    finally:
        kubelet(cluster, node, alive=True)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        cluster.client.request("PATCH", f"/api/v1/nodes/{node}/status", {"status": ready}, content_type=MERGE)
        cluster.eventually(
            lambda: not cluster.client.get(f"/api/v1/nodes/{node}")["spec"].get("taints"),
            what="the node to be back",
        )


def unschedulable(cluster: Lab, names: list[str]) -> int:
    """How many of the pods the scheduler has found no node for."""
    there = pods(cluster)
    conditions = [
        one for name in names if name in there for one in there[name]["status"].get("conditions", [])
    ]
    return sum(one["type"] == "PodScheduled" and one["status"] == "False" for one in conditions)


def states(cluster: Lab) -> set[str]:
    """The states of all gangs."""
    return {gang["state"] for gang in cluster.ask("/v1/gangs")["gangs"]}
