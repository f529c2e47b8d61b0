"""What a gang's owner reads in the cluster: the right words, once, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler.engine.engine import Engine
from scheduler.engine.facts import NodesSeen, PodGone, PodSeen
from scheduler.kube import telling, writes
from scheduler.kube.client import Reply
from scheduler.kube.objects import pod_from_bytes
from scheduler.kube.outcomes import Outcome
from scheduler.kube.telling import Note
from scheduler.metrics import Metrics
from scheduler.model import CONDITION, NodeName, Pod, PodKey
from scheduler.telling import AGAIN_S, PATIENCE_S, Teller
from tests.builders import members, plan_all, two_leaves


@dataclass
class Ear:
    """Writes down what it is told."""

    events: list[tuple[str, str, int]] = field(default_factory=list)
    conditions: list[tuple[str, str, str]] = field(default_factory=list)
    leads: str = "t1"

    def term(self) -> str:
        return self.leads

    async def tell(self, note: Note, count: int) -> Outcome:
        self.events.append((note.reason, note.text, count))
        return Outcome(True)

    async def say(self, pod: Pod, *, status: str, reason: str, text: str) -> Outcome:
        self.conditions.append((pod.key.name, status, reason))
        return Outcome(True)

    def heard(self) -> list[str]:
        return [reason for reason, _, _ in self.events]


class Scene:
    """An engine, a teller, and the time."""

    def __init__(self, *pods: Pod, conditions: bool = True) -> None:
        self.engine, self.ear, self.now_s = Engine(), Ear(), 100.0
        self.engine.term = "t1"
        self.engine.observe(NodesSeen(two_leaves()))
        self.teller = Teller(
            self.engine,
            self.ear,
            Metrics(),
            domains=lambda: {"leaf": 2},
            clock=lambda: self.now_s,
            conditions=conditions,
        )
        self.look()
        self.see(*pods)

    def see(self, *pods: Pod) -> None:
        for pod in pods:
            self.engine.observe(PodSeen(pod))
        self.plan()

    def plan(self) -> None:
        self.engine.refresh(self.now_s)
        plan_all(self.engine, self.now_s)

    def look(self, *, after_s: float = 1.0) -> None:
        self.now_s += after_s

        async def write() -> None:
            for works in list(self.teller.look()):
                for _, work in works:
                    await work()

        asyncio.run(write())

    def remember(self) -> None:
        """The watch brings the conditions that were written."""
        told = {name: f"{status}/{reason}" for name, status, reason in self.ear.conditions}
        for record in list(self.engine.gangs.values()):
            for pod in list(record.pods.values()):
                if pod.key.name in told:
                    self.engine.observe(PodSeen(replace(pod, told=told[pod.key.name])))


def too_large(name: str = "g") -> list[Pod]:
    """Five nodes where a leaf has four."""
    return members(name, 5, required="gang=leaf")


def test_a_refused_gang_is_told_once_and_its_members_say_so() -> None:
    scene = Scene(*too_large())
    for _ in range(3):
        scene.look()
        scene.remember()
    ((reason, text, count),) = scene.ear.events
    assert (reason, count) == ("NoDomainLargeEnough", 1)
    assert text.startswith("impossible: ")
    assert scene.ear.conditions == [(f"g-{at}", "False", reason) for at in range(5)]


def test_no_text_names_a_node_or_anothers_pod() -> None:
    scene = Scene(*members("tenant", 3), *members("g", 6))
    scene.look()
    (text,) = (text for reason, text, _ in scene.ear.events if reason != "Placed")
    assert "tenant" not in text
    assert not any(f"n{at}" in text.replace("nodes", "") for at in range(1, 9))


def test_a_gang_that_goes_straight_to_its_nodes_is_one_event_and_no_condition() -> None:
    scene = Scene(*members("g", 4))
    scene.look()
    (record,) = scene.engine.gangs.values()
    scene.engine.begin_commit(record.key, scene.now_s)
    assert record.plan is not None
    for uid, slot in record.plan.slots.items():
        scene.engine.bound(uid, slot.node)
    scene.engine.refresh(scene.now_s)
    scene.look(after_s=100)
    assert scene.ear.heard() == ["Placed"]
    assert scene.ear.events[0][1].startswith("placed: 4 pods on ")
    assert scene.ear.conditions == []


def test_a_refused_gang_that_is_placed_turns_its_condition_and_none_stays_stale() -> None:
    scene = Scene(*members("first", 5), *members("g", 6))
    scene.look()
    scene.remember()
    for pod in members("first", 5):
        scene.engine.observe(PodGone(pod.key))
    scene.plan()
    record = next(one for one in scene.engine.gangs.values() if one.key.name == "g")
    # The plan's own write turns the condition of a pod that waits ...
    assert {write.refused for write in scene.engine.writes(record.key)} == {True}
    assert record.plan is not None
    scene.engine.begin_commit(record.key, scene.now_s)
    for uid, slot in record.plan.slots.items():
        scene.engine.bound(uid, slot.node)
    scene.engine.refresh(scene.now_s)
    scene.ear.conditions.clear()
    scene.look()
    # ... and what was written without one is turned once the gang runs.
    assert scene.ear.conditions == [(f"g-{at}", "True", "Placed") for at in range(6)]
    assert scene.ear.heard() == ["Placed", "NotEnoughCapacity", "Placed"]


def test_a_plan_that_is_given_up_is_told() -> None:
    scene = Scene(*members("g", 4))
    scene.look()
    (record,) = scene.engine.gangs.values()
    scene.engine.give_up(record.key, scene.now_s)
    scene.look()
    assert scene.ear.heard() == ["Placed", "Released"]
    scene.plan()
    scene.look()
    assert scene.ear.heard() == ["Placed", "Released", "Placed"]
    assert scene.ear.events[-1][2] == 2  # the same words: one Event, seen twice


def test_a_gang_whose_pods_are_all_gone_is_told_of_to_nobody() -> None:
    """Its owner keeps its row: the next pods are another start."""
    scene = Scene(*members("g", 4))
    scene.look()
    (record,) = scene.engine.gangs.values()
    scene.engine.give_up(record.key, scene.now_s)
    record.pods.clear()
    scene.look()
    assert scene.ear.heard() == ["Placed"]


def test_missing_members_are_told_after_some_patience_and_then_seldom() -> None:
    scene = Scene(*members("g", 4)[:2])
    scene.look()
    assert scene.ear.events == []
    scene.look(after_s=PATIENCE_S)
    scene.see(members("g", 4)[2])
    scene.look()
    assert [text for _, text, _ in scene.ear.events] == ["waiting: 2 of 4 pods exist"]
    scene.look(after_s=AGAIN_S)
    assert [text for _, text, _ in scene.ear.events][1:] == ["waiting: 3 of 4 pods exist"]
    assert scene.ear.conditions == []


def test_who_does_not_lead_says_nothing_and_who_takes_over_does_not_repeat_what_is_placed() -> None:
    scene = Scene(*members("g", 4))
    scene.ear.leads = ""
    scene.look()
    assert scene.ear.events == []
    scene.ear.leads = scene.engine.term = "t2"
    scene.look()
    scene.look()
    assert scene.ear.events == []


def test_hostile_names_are_escaped_and_long_faults_cut() -> None:
    evil = "x\x1b]0;owned\x07\n" + "y" * 3000
    scene = Scene(*members("g", 2, tensor_parallel=evil))
    scene.look()
    ((reason, text, _),) = scene.ear.events
    assert reason == "InvalidGang"
    assert text.isprintable()
    assert len(text.encode()) <= 1000


# What goes over the wire.


class Client:
    """Notes requests, answers as scripted."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.sent = list(statuses), list[tuple[str, str, Any]]()

    async def request(self, method: str, path: str, *, body: bytes | None = None, **_: Any) -> Reply:
        self.sent.append((method, path, json.loads(body or b"null")))
        return Reply(self.statuses.pop(0), b"{}")


POD = replace(members("g", 1)[0], resource_version="7", generation=3)
NOTE = Note("g-0.abc", POD, "Fragmented", "blocked: so", True, (("lockstep.scheduling/generation", "12"),))


def sent(work: Any, client: Client) -> tuple[Outcome, list[tuple[str, str, Any]]]:
    async def run() -> Outcome:
        found: Awaitable[Outcome] = work(client)
        return await found

    return asyncio.run(run()), client.sent


def test_an_event_is_written_once_and_then_lengthened() -> None:
    outcome, ((method, path, body),) = sent(lambda c: telling.tell(c, NOTE, instance="a"), Client(201))
    assert outcome.done
    assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/default/events")
    assert body["regarding"]["name"] == "g-0"
    assert (body["reason"], body["type"], body["note"]) == ("Fragmented", "Warning", "blocked: so")
    assert sent(lambda c: telling.tell(c, NOTE, instance="a"), Client(409))[0].done
    again, ((method, path, body),) = sent(
        lambda c: telling.tell_again(c, NOTE, count=3, instance="a"), Client(200)
    )
    assert (again.done, method, body["series"]["count"]) == (True, "PATCH", 3)


def test_an_event_that_has_expired_is_written_anew() -> None:
    outcome, requests = sent(lambda c: telling.tell_again(c, NOTE, count=2, instance="a"), Client(404, 201))
    assert outcome.done
    assert [method for method, _, _ in requests] == ["PATCH", "POST"]


def test_a_condition_is_written_on_the_pod_as_it_was_seen() -> None:
    _, ((method, path, body),) = sent(
        lambda c: telling.say(c, POD, status="False", reason="Fragmented", text="so"), Client(200)
    )
    assert (method, path) == ("PATCH", "/api/v1/namespaces/default/pods/g-0/status")
    assert body["metadata"] == {"uid": POD.uid, "resourceVersion": "7"}
    (one,) = body["status"]["conditions"]
    assert (one["type"], one["status"], one["observedGeneration"]) == (CONDITION, "False", 3)


def test_the_nomination_turns_the_condition_in_the_same_write() -> None:
    place = writes.Place(PodKey("default", "g-0"), POD.uid, NodeName("n1"), "p", 0)
    said = telling.condition("True", "Placed", "so", 3)
    _, requests = sent(
        lambda c: writes.let_through(c, place, gated=True, nominate=True, said=said), Client(200, 200)
    )
    assert requests[0][2]["status"]["nominatedNodeName"] == "n1"
    assert [one["status"] for one in requests[0][2]["status"]["conditions"]] == ["True"]


def test_our_condition_is_read_back_and_no_other() -> None:
    conditions = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        {"type": CONDITION, "status": "False", "reason": "Fragmented"},
    ]
    raw = {"metadata": {"name": "p", "generation": 2}, "status": {"conditions": conditions}}
    found = pod_from_bytes(json.dumps(raw).encode())
    assert (found.told, found.generation) == ("False/Fragmented", 2)
