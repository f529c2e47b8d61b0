"""Random histories: whatever happens, nothing is promised twice and no gang is held in part."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduler.engine.engine import Engine
from scheduler.engine.facts import NodeGone, NodesSeen, PodGone, PodSeen
from scheduler.engine.plans import Slot
from scheduler.engine.states import State
from scheduler.model import GangKey, NodeName, Pod
from scheduler.placement.place import place
from tests.builders import engine_with, members, node, pod, two_leaves

NODES = {str(one.name): one for one in two_leaves(3)}
GANGS = {name: members(name, size, gpus=gpus) for name, size, gpus in (("a", 2, 8), ("b", 3, 4), ("c", 5, 8))}
NAMES = st.sampled_from(sorted(NODES))
MEMBERS = st.sampled_from([one for pods in GANGS.values() for one in pods])


class History(RuleBasedStateMachine):
    """Facts in any order, late, twice, and contradicting each other."""

    def __init__(self) -> None:
        super().__init__()
        self.engine: Engine = engine_with(*NODES.values())
        self.now_s = 0.0
        self.alive: dict[str, Pod] = {}
        self.generation = 0
        self.on_their_way: list[tuple[Pod, GangKey, NodeName]] = []

    @rule(one=MEMBERS)
    def pod_appears(self, one: Pod) -> None:
        self.generation += 1
        made = self.alive.setdefault(str(one.key), replace(one, uid=f"{one.uid}-{self.generation}"))
        self.engine.observe(PodSeen(made))

    @rule(one=MEMBERS)
    def pod_goes(self, one: Pod) -> None:
        self.alive.pop(str(one.key), None)
        self.engine.observe(PodGone(one.key))

    @rule(one=MEMBERS, phase=st.sampled_from(["Succeeded", "Failed"]))
    def pod_ends(self, one: Pod, phase: str) -> None:
        made = self.alive.pop(str(one.key), None)
        if made is not None:
            self.engine.observe(PodSeen(replace(made, phase=phase)))

    @rule(name=NAMES, ready=st.booleans(), cordoned=st.booleans())
    def node_changes(self, name: str, ready: bool, cordoned: bool) -> None:
        self.engine.observe(NodesSeen((replace(NODES[name], ready=ready, unschedulable=cordoned),)))

    @rule(name=NAMES)
    def node_goes(self, name: str) -> None:
        self.engine.observe(NodeGone(NodeName(name)))

    @rule(name=NAMES, gpus=st.integers(1, 8))
    def stranger_comes(self, name: str, gpus: int) -> None:
        if str(name) in self.engine.world.ledger.nodes:
            at = self.engine.world.ledger.index(NodeName(name))
            row = self.engine.world.ledger.resources.index("nvidia.com/gpu")
            used, _ = self.engine.world.ledger.sums()
            if self.engine.world.ledger.total[row, at] - used[row, at] < gpus:
                return  # kube-scheduler would not put it there
        self.engine.observe(PodSeen(pod(f"stranger-{name}", gpus=gpus, on=name)))

    @rule(name=NAMES)
    def stranger_goes(self, name: str) -> None:
        self.engine.observe(PodGone(pod(f"stranger-{name}").key))

    @rule()
    def plan_one(self) -> None:
        request = self.engine.next_request(self.now_s)
        if request is not None:
            self.engine.settle(request, place(request.problem), now_s=self.now_s, time_ms=0.0)

    @rule(late=MEMBERS)
    def plan_while_something_changes(self, late: Pod) -> None:
        request = self.engine.next_request(self.now_s)
        if request is not None:
            answer = place(request.problem)
            self.pod_goes(late)
            self.engine.settle(request, answer, now_s=self.now_s, time_ms=0.0)

    @rule(one=MEMBERS, lost=st.none() | st.booleans())
    def bind(self, one: Pod, lost: bool | None) -> None:
        """A Binding is written; None: its outcome comes later."""
        made = self.alive.get(str(one.key))
        key = self.engine.gang_of(made.uid) if made else None
        if made is None or key is None or self.engine.begin_commit(key, self.now_s):
            return
        slot = self.engine.slot(made.uid)
        assert isinstance(slot, Slot)
        if made.node is None and all(made.uid != pod.uid for pod, _, _ in self.on_their_way):
            self.engine.writing(made.uid)
            self.on_their_way.append((made, key, slot.node))
            if lost is not None:
                self._outcome(len(self.on_their_way) - 1, lost)

    @precondition(lambda self: self.on_their_way)
    @rule(lost=st.booleans(), which=st.integers(0, 4))
    def outcome_is_known(self, lost: bool, which: int) -> None:
        self._outcome(which % len(self.on_their_way), lost)

    def _outcome(self, which: int, lost: bool) -> None:
        pod, key, where = self.on_their_way.pop(which)
        there = self.alive.get(str(pod.key))
        if lost or there is None or there.uid != pod.uid:  # refused, or the pod is gone
            self.engine.give_up(key, self.now_s)
            self.engine.not_bound(pod.uid)
        else:
            self.engine.bound(pod.uid, where)
            self.alive[str(pod.key)] = replace(there, node=where)

    @rule(seconds=st.floats(1, 100))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.engine.refresh(self.now_s)
        self.engine.expire(self.now_s)

    @invariant()
    def sums_match_the_records(self) -> None:
        ledger = self.engine.world.ledger
        for kept, counted in zip(ledger.sums(), ledger.audit(), strict=True):
            assert np.array_equal(kept, counted)

    @invariant()
    def what_is_kept_is_what_would_be_found_anew(self) -> None:
        ledger = self.engine.world.ledger
        owners: dict[NodeName, set[GangKey]] = defaultdict(set)
        for owner, hold in ledger.holds.items():
            for name, _ in hold.pods.values():
                owners[name].add(owner)
        for name in {*ledger.nodes, *owners}:
            assert set(ledger.holders(name)) == owners[name]
        for record in self.engine.gangs.values():
            if record.pods:
                assert record.assembled() == replace(record, _gang=None).assembled()

    @invariant()
    def gangs_are_held_whole(self) -> None:
        self.engine.refresh(self.now_s)
        ledger = self.engine.world.ledger
        for key, hold in ledger.holds.items():
            record = self.engine.gangs[key]
            waiting = {uid for uid, one in record.pods.items() if one.node is None}
            if record.state in (State.RESERVED, State.COMMITTING):
                assert waiting <= set(hold.pods), f"{key} is held in part"
        for record in self.engine.gangs.values():
            if record.state in (State.RESERVED, State.COMMITTING):
                assert record.plan is not None
                assert record.key in ledger.holds or record.bound == len(record.pods)
            else:
                held = ledger.holds[record.key].pods if record.key in ledger.holds else {}
                assert held.keys() <= record.in_flight, f"{record.key} is {record.state} and holds"

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        """But where a Binding is on its way: somebody else's on the same node cannot be prevented."""
        self.engine.refresh(self.now_s)
        assert {*self.engine.world.ledger.promised_twice()} <= {node for _, _, node in self.on_their_way}

    @invariant()
    def a_new_engine_comes_to_the_same_capacity(self) -> None:
        ledger = self.engine.world.ledger
        again = Engine()
        again.observe(NodesSeen(tuple(ledger.nodes.values())))
        for key, one in self.alive.items():
            if one.node is not None:
                assert key
                again.observe(PodSeen(one))
        for name in NODES:
            stranger = ledger.node_of(pod(f"stranger-{name}").uid)
            if stranger is not None:
                shape = ledger._running[pod(f"stranger-{name}").uid][1]
                again.observe(PodSeen(replace(pod(f"stranger-{name}", on=name), shape=shape)))
        fresh = again.world.ledger
        for at, name in enumerate(ledger.resources):
            kept = ledger.sums()[0][at]
            if name in fresh.resources:  # a resource may have gone with its last node
                assert np.array_equal(fresh.sums()[0][fresh.resources.index(name)], kept)
            else:
                assert not kept.any()


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_the_histories_reach_every_state() -> None:
    """The rules above must be able to bring gangs all the way, or they prove nothing."""
    engine = engine_with(*NODES.values(), node("n9"))
    for one in GANGS["a"]:
        engine.observe(PodSeen(one))
    request = engine.next_request(0.0)
    assert request is not None
    assert engine.settle(request, place(request.problem), now_s=0.0, time_ms=0.0) is not None
