"""A gang has its row as soon as its owner exists, and only until its first pod does."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.engine.facts import PodGone, WorkloadGone, WorkloadSeen
from scheduler.owners import read
from scheduler.workloads.known import Workload
from tests.builders import engine_with, see
from tests.scheduler.test_absent import live, lws

TEMPLATE = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]}}


def job(**more: Any) -> Workload:
    spec = {"parallelism": 4, "completions": 4, "completionMode": "Indexed", "template": TEMPLATE}
    status = more.pop("status", {})
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "torch", "uid": "u"}}
    found = read({**made, "spec": {**spec, **more}, "status": status})
    assert found is not None
    return found


def test_an_owner_has_its_gangs_before_its_first_pod_and_never_again() -> None:
    engine, found = engine_with(), lws(startup="LeaderCreated")
    engine.observe(WorkloadSeen(found.workloads[0]))
    assert [(str(gang), pods) for gang, pods, _ in engine.awaited()] == [("default/m-0", 3)]
    leader = live(found.pods[0])
    see(engine, leader)
    assert engine.awaited() == ()
    engine.observe(PodGone(leader.key))
    engine.observe(WorkloadSeen(found.workloads[0]))
    assert engine.awaited() == ()


def test_pods_that_were_there_first_are_their_own_row() -> None:
    engine, found = engine_with(), lws(startup="LeaderCreated")
    see(engine, live(found.pods[0]))
    engine.observe(WorkloadSeen(found.workloads[0]))
    assert engine.awaited() == ()


def test_a_deleted_owner_has_no_row() -> None:
    engine, owner = engine_with(), job()
    engine.observe(WorkloadSeen(owner))
    assert [pods for _, pods, _ in engine.awaited()] == [4]
    engine.observe(WorkloadGone(owner.key))
    assert engine.awaited() == ()


@pytest.mark.parametrize(
    "more",
    [
        {"suspend": True},
        {"status": {"conditions": [{"type": "Complete", "status": "True"}]}},
        {"parallelism": 0},
        {"parallelism": 1, "completions": 1},
    ],
)
def test_who_will_make_no_gang_has_no_row(more: dict[str, Any]) -> None:
    assert job(**more).gangs == ()
