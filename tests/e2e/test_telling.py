"""Events and conditions on the real API server, under the chart's own rights; the metrics of a real run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from deploy.local.lab import PODS, Lab
from deploy.local.objects import gang_pods, named
from tests.collector import Collector, collecting
from topology.synthetic import nvl72

EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
CONDITION = "lockstep.scheduling/GangPlaced"
VISIBLE_S = 5.0
"""How long after what decides it a reason may become visible, by the objectives."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the service sends its spans."""
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def telling(collector: Collector) -> Iterator[Lab]:
    """One rack of 18 nodes with 4 GPUs; conditions on, the safety properties asserted."""
    service = {"paranoid": True, "tell": "conditions", "brokenStart": "5s", "tracing": collector.url}
    with Lab(config={"service": service}) as lab:
        lab.add_nodes(nvl72(1))
        lab.start()
        yield lab


def told(lab: Lab, gang: str) -> dict[str, str]:
    """Text by reason of the Events about a gang."""
    return {
        event["reason"]: event["note"]
        for event in lab.client.get(EVENTS)["items"]
        if event["reportingController"] == "lockstep"
        and event["metadata"]["annotations"]["lockstep.scheduling/gang"] == gang
    }


def conditions(lab: Lab, names: set[str], kind: str = CONDITION) -> dict[str, tuple[str, str]]:
    """Status and reason by pod, of those that carry the condition."""
    return {
        pod["metadata"]["name"]: (one["status"], one["reason"])
        for pod in lab.client.get(PODS)["items"]
        if pod["metadata"]["name"] in names
        for one in pod["status"].get("conditions", [])
        if one["type"] == kind
    }


def blocked(lab: Lab, gang: str) -> bool:
    return lab.state(gang) == "blocked"


def test_why_a_gang_waits_is_visible_soon_and_gone_once_it_runs(telling: Lab) -> None:
    lab = telling
    first, second = gang_pods("first", 10, gpus=4), gang_pods("second", 12, gpus=4)
    lab.client.create(first)
    lab.wait_bound(named(first))
    lab.client.create(second)
    lab.eventually(lambda: blocked(lab, "second"))
    lab.eventually(
        lambda: (
            conditions(lab, named(second)) == dict.fromkeys(named(second), ("False", "NotEnoughCapacity"))
        ),
        timeout_s=VISIBLE_S,
        what="the condition on every member",
    )
    lab.eventually(lambda: "NotEnoughCapacity" in told(lab, "second"), timeout_s=VISIBLE_S)
    note = told(lab, "second")["NotEnoughCapacity"]
    assert note.startswith("blocked: ") and "first" not in note
    # What autoscalers look for is kube-scheduler's to write: gated, so far.
    assert set(conditions(lab, named(second), "PodScheduled").values()) == {("False", "SchedulingGated")}
    lab.client.delete(PODS, labelSelector="", gracePeriodSeconds="0", fieldSelector="spec.nodeName!=")
    lab.wait_bound(named(second))
    lab.eventually(
        lambda: set(conditions(lab, named(second)).values()) == {("True", "Placed")},
        timeout_s=VISIBLE_S,
        what="no condition to be stale",
    )
    lab.eventually(lambda: told(lab, "second").get("Placed", "").startswith("placed: 12 pods on "))
    assert conditions(lab, named(first)) == {}


def test_one_event_tells_of_a_whole_gang_and_another_of_its_release(telling: Lab) -> None:
    lab = telling
    lab.client.delete(PODS, gracePeriodSeconds="0")
    lab.eventually(lambda: not lab.ask("/v1/gangs")["gangs"])
    lab.plane.stop_scheduler()
    pods = gang_pods("third", 8, gpus=4)
    lab.client.create(pods)
    lab.eventually(lambda: lab.state("third") == "reserved")
    lab.eventually(lambda: set(told(lab, "third")) == {"Placed"})
    mine = [e for e in lab.client.get(EVENTS)["items"] if e["regarding"]["name"].startswith("third-")]
    assert [event["regarding"]["name"] for event in mine] == ["third-0"]
    lab.client.delete(f"{PODS}/third-7", gracePeriodSeconds="0")
    lab.eventually(
        lambda: {"Placed", "Released", "WaitingForMembers"} <= set(told(lab, "third")), timeout_s=15
    )
    assert told(lab, "third")["WaitingForMembers"] == "waiting: 7 of 8 pods exist"
    lab.start_scheduler()


def test_a_gang_that_contradicts_itself_is_told_its_fault(telling: Lab) -> None:
    lab = telling
    pods = gang_pods("wrong", 4, gpus=4, annotations={"tensor-parallel": "12"})
    lab.client.create(pods)
    lab.eventually(lambda: "InvalidGang" in told(lab, "wrong"), timeout_s=VISIBLE_S)
    assert "12" in told(lab, "wrong")["InvalidGang"]


def test_filter_plan_and_bind_are_traced(telling: Lab, collector: Collector) -> None:
    """Spans are sent every few seconds; gangs of 10 and 12 were bound above."""
    telling.eventually(lambda: len(collector.named("lockstep.bind")) >= 22, timeout_s=20)
    assert len(collector.named("lockstep.filter")) >= 22
    assert {s.attributes["gang"] for s in collector.named("lockstep.gang")} >= {"default/first"}
    assert all(span.took_s > 0 for span in collector.named("lockstep.plan"))
    assert all(span.attributes["bound"] for span in collector.named("lockstep.bind"))


def samples(lab: Lab) -> dict[str, float]:
    with urlopen(f"{lab.url}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }


def test_the_metrics_of_this_run(telling: Lab) -> None:
    """Last: gangs were placed, refused and released above."""
    lab = telling

    def measured() -> bool:
        found = samples(lab)
        largest = found.get('lockstep_largest_gang_gpus{level="cluster",product="NVIDIA-GB200"}', 0)
        return largest > 0 and found["lockstep_gang_bound_seconds_count"] >= 2

    lab.eventually(measured, what="the fabric to be measured", timeout_s=15)
    found: dict[str, Any] = samples(lab)
    assert found["lockstep_gang_bound_seconds_count"] >= 2
    assert found["lockstep_communication_cost_ratio_count"] >= 3
    assert found['lockstep_gangs{reason="InvalidGang",state="invalid"}'] == 1
    assert found['lockstep_placeable_slots{gpus="4",level="node"}'] > 0
    assert 0 <= found['lockstep_fragmentation_ratio{level="node"}'] <= 1
    assert found["lockstep_leader"] == found["lockstep_ready"] == 1
    assert 0 <= found['lockstep_watch_age_seconds{kind="Pod"}'] < 30
    assert found['lockstep_degraded{cause="stale"}'] == found['lockstep_degraded{cause="rights"}'] == 0
    assert found.get('lockstep_told_total{kind="event",outcome="failed"}', 0) == 0
    assert not [name for name in found if name.startswith("lockstep_broken_promises_total{")]
