"""LeaderWorkerSets as their own controller makes them, placed group by group through the real scheduler."""

from __future__ import annotations

from deploy.local.lab import Lab
from tests.e2e.workloads import domains, lws, lws_pods, phases, pods


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
    wide = lws("wide", size=5)
    wide["spec"]["leaderWorkerTemplate"]["workerTemplate"]["metadata"] = {
        "annotations": {"lockstep.scheduling/required": "gang=nvlink"}
    }
    cluster.client.apply(wide)
    cluster.eventually(lambda: len(pods(cluster)) == 5, what="five pods")
    cluster.eventually(lambda: states(cluster) == {"blocked"}, what="the refusal")
    assert not cluster.nodes_of(pods(cluster))


def states(cluster: Lab) -> set[str]:
    """The states of all gangs."""
    return {gang["state"] for gang in cluster.ask("/v1/gangs")["gangs"]}
