"""Whom an eviction may name: lower priority only, whole gangs, and nobody who belongs to a node."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from scheduler.classes import BUILT_IN
from scheduler.engine.facts import Fact
from scheduler.evicting import evictable, rank_of
from scheduler.feeds import ClassFeed
from scheduler.kube.objects import Other, WatchEvent
from scheduler.manifests import Document
from scheduler.model import InvalidField, Owner
from scheduler.placement.changes import Occupant
from scheduler.placement.problem import Limits
from scheduler.priorities import classes_of, ranked, unknown_class
from scheduler.whatif import answer_request, plan_document
from scheduler.world import World
from tests.builders import engine_with, node, pod

ONE = np.array([1], dtype=np.int64)


def occupant(kind: str, name: str) -> Occupant:
    return Occupant(kind, name, ((0, ONE),))


OWNERS = {"u1": ("gang", "default/a"), "u2": ("gang", "default/a"), "u3": ("pod", "default/b")}
EVERYONE = [occupant("gang", "default/a"), occupant("pod", "default/b"), occupant("gang", "default/held")]


@pytest.mark.parametrize(
    ("ranks", "priority", "named"),
    [
        ({}, 0, ["default/a", "default/b"]),  # nobody has a priority: all are equal
        ({}, 5, ["default/a", "default/b"]),
        ({"u1": 7}, 5, ["default/b"]),  # a gang is as important as its most important member
        ({"u1": 5, "u2": 5}, 5, ["default/b"]),
        ({"u3": 9}, 0, []),
        ({"u1": -1, "u2": -1}, 0, ["default/a"]),
        ({"u3": None}, 5, ["default/a"]),  # belongs to its node
    ],
)
def test_only_lower_priorities_are_named(
    ranks: dict[str, int | None], priority: int, named: list[str]
) -> None:
    found = evictable(EVERYONE, OWNERS, ranks, running=OWNERS, priority=priority)
    assert [one.name for one in found] == named


def test_the_rank_of_a_pod() -> None:
    one = replace(pod("p"), priority=3)
    assert rank_of(one) == 3
    assert rank_of(replace(one, owner=Owner("apps/v1", "DaemonSet", "d", "u"))) is None


def test_a_manifest_has_the_priority_of_its_class() -> None:
    documents = [
        Document("f", {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}),
        Document("f", {"kind": "PriorityClass", "metadata": {"name": "wrong"}, "value": "x"}),
    ]
    classes = classes_of(documents)
    given = [
        replace(pod("a"), priority_class="high"),
        replace(pod("b"), priority=4),
        replace(pod("c"), priority_class="system-node-critical"),
        replace(pod("d"), priority_class="wrong"),
    ]
    classes = {**BUILT_IN, **classes}
    found = ranked(given, classes)
    assert [one.priority for one in found] == [1000, 4, 2_000_001_000, 0]
    fault = unknown_class(found, classes)
    assert fault is not None
    assert (fault.object, fault.field, fault.value) == ("pod default/d", "spec.priorityClassName", "wrong")


def test_the_default_class_is_for_pods_that_name_none() -> None:
    documents = [
        Document("f", {"kind": "PriorityClass", "metadata": {"name": name}, "value": value, **more})
        for name, value, more in (
            ("usual", 100, {"globalDefault": True}),
            ("polite", 500, {"preemptionPolicy": "Never"}),
        )
    ]
    given = [pod("a"), replace(pod("b"), priority_class="polite"), replace(pod("c"), priority=7)]
    found = ranked(given, classes_of(documents))
    assert [(one.priority, one.preempts) for one in found] == [(100, True), (500, False), (7, True)]


@pytest.mark.parametrize("preempts", [True, False])
def test_a_gang_that_must_not_preempt_names_no_victims_and_says_so(preempts: bool) -> None:
    world = World()
    world.upsert_nodes([node("n1")])
    low = pod("low", on="n1")
    world.ledger.observe_pod(low)
    asked = [replace(pod("w-0", gang="w", size=1), priority=9, preempts=preempts)]
    document = plan_document(world, pods=asked, running=[low], limits=Limits(), evict=True)
    (gang,) = document["gangs"]
    kinds = [fix["kind"] for fix in gang["reason"]["fixes"]]
    assert ("evict" in kinds) == preempts
    assert any("preemptionPolicy Never" in note for note in gang["notes"]) != preempts


def test_a_request_brings_its_own_classes_and_the_cluster_has_others() -> None:
    world = World()
    world.upsert_nodes([node("n1")])
    low = replace(pod("low", on="n1"), priority=50)
    world.ledger.observe_pod(low)
    feed = ClassFeed(receiver := Told())
    list(feed.in_steps((Other(("", "high"), {"metadata": {"name": "high"}, "value": 100}),)))
    odd = Other(("", "odd"), {"metadata": {"name": "odd"}})
    feed.event(WatchEvent("ADDED", odd, key=odd.key))
    engine = engine_with()
    for fact in receiver.facts:
        engine.observe(fact)
    assert "odd" not in engine.world.classes
    world.classes = engine.world.classes
    victims = []
    for name in ("high", "own", "nowhere"):
        own = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "own"}}
        asked = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "w", "namespace": "default"},
            "spec": {
                "priorityClassName": name,
                "containers": [{"name": "c", "resources": {"requests": {"nvidia.com/gpu": "8"}}}],
            },
        }
        body = json.dumps({"kind": "List", "items": [{**own, "value": 60}, asked]}).encode()
        document = answer_request(
            world.clone(), body, jointly=False, limits=Limits(), running=[low], evict=True
        )
        (gang,) = document["gangs"]
        victims.append([fix["kind"] for fix in gang["reason"]["fixes"] if fix["kind"] == "evict"])
        assert any("priorityClassName" in note for note in gang["notes"]) == (name == "nowhere")
    assert victims == [["evict"], ["evict"], []]
    feed.event(WatchEvent("DELETED", key=("", "high")))
    engine.observe(receiver.facts[-1])
    assert "high" not in engine.world.classes
    assert "system-node-critical" in engine.world.classes


class Told:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def wake(self) -> None:
        raise AssertionError("nobody waits for a priority class")

    def unreadable(self, fault: InvalidField) -> None:
        raise AssertionError(fault)
