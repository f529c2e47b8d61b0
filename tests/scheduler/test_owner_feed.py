"""Owners as the watch shows them: read once per generation, bounded, a bad one costs only itself."""

from __future__ import annotations

import json
from typing import Any

from scheduler.engine.facts import Fact, WorkloadGone, WorkloadSeen
from scheduler.feeds import WorkloadFeed
from scheduler.kube.objects import decode_event, decode_list
from scheduler.model import InvalidField
from scheduler.workloads.kinds import kind_of

JOBSET = kind_of("jobset.x-k8s.io/v1alpha2", "JobSet")


class Told:
    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.faults: list[InvalidField] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def wake(self) -> None: ...

    def unreadable(self, fault: InvalidField) -> None:
        self.faults.append(fault)


def jobset(name: str, *, pods: Any = 2, generation: int = 1) -> dict[str, Any]:
    inner = {"template": {"spec": {"parallelism": pods, "template": {"spec": {"containers": []}}}}}
    return {
        "metadata": {"name": name, "namespace": "ml", "uid": f"u-{name}", "generation": generation},
        "spec": {"replicatedJobs": [{"name": "w", "replicas": 2, **inner}]},
    }


def listed(*objects: dict[str, Any]) -> Any:
    return decode_list(json.dumps({"items": objects}).encode(), "Other").items


def event(kind: str, obj: dict[str, Any]) -> Any:
    return decode_event(json.dumps({"type": kind, "object": obj}).encode(), "Other")


def feed(told: Told, most: int = 10) -> WorkloadFeed:
    assert JOBSET is not None
    return WorkloadFeed(told, JOBSET, most=most)


def test_an_owner_says_the_size_of_its_gang() -> None:
    told = Told()
    feed(told).replace(listed(jobset("a")))
    (fact,) = told.facts
    assert isinstance(fact, WorkloadSeen)
    assert (str(fact.workload.key), fact.workload.size) == ("JobSet ml/a", 4)


def test_a_change_of_status_is_no_news_and_a_scale_up_is() -> None:
    told = Told()
    one = feed(told)
    one.event(event("ADDED", jobset("a")))
    one.event(event("MODIFIED", jobset("a") | {"status": {"restarts": 1}}))
    one.event(event("MODIFIED", jobset("a", pods=3, generation=2)))
    assert [fact.workload.size for fact in told.facts if isinstance(fact, WorkloadSeen)] == [4, 6]


def test_who_is_gone_is_told_and_may_come_again() -> None:
    told = Told()
    one = feed(told)
    one.event(event("ADDED", jobset("a")))
    one.event(event("DELETED", jobset("a")))
    one.event(event("ADDED", jobset("a")))
    one.replace(())
    assert [type(fact) for fact in told.facts] == [WorkloadSeen, WorkloadGone, WorkloadSeen, WorkloadGone]


def test_a_bad_owner_is_named_and_the_others_are_read() -> None:
    told = Told()
    feed(told).replace(listed(jobset("bad", pods="many"), jobset("good")))
    assert [fault.object for fault in told.faults] == ["jobset ml/bad"]
    assert len(told.facts) == 1


def test_the_number_of_owners_is_bounded() -> None:
    told = Told()
    feed(told, most=2).replace(listed(*(jobset(f"n{at}") for at in range(5))))
    assert len(told.facts) == 2
