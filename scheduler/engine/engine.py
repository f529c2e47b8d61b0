"""The decision path: facts in, gangs planned and held, answers for the extender out.

No clock, no I/O, no lock: time comes as an argument, everything runs on one thread. Planning itself
(`place`) is called by whoever drives the engine, with a `Request` that is immutable: it may run beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from scheduler.engine.apart import Apart
from scheduler.engine.arrivals import adopt
from scheduler.engine.facts import (
    ClassesSeen,
    FabricSeen,
    Fact,
    GroupGone,
    GroupSeen,
    NodeGone,
    NodesSeen,
    PodGone,
    PodSeen,
    PodUnreadable,
    WorkloadGone,
    WorkloadSeen,
)
from scheduler.engine.guard import give_up_endangered, violated
from scheduler.engine.halves import note_start
from scheduler.engine.heirs import Heirs
from scheduler.engine.members import Members
from scheduler.engine.plans import Plan, Request, Slot, line_of, plan_of
from scheduler.engine.replies import Reason, Write, slot_of, writes_of
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import Event, State
from scheduler.holds import Hold
from scheduler.model import GangKey, InvalidInput, NodeName, Pod
from scheduler.placement.check import Violation
from scheduler.placement.formulate import formulate
from scheduler.placement.problem import Assignment, Rejection
from scheduler.report import invalid_report, placed_report, refused_report
from scheduler.world import World

LEASE_S = 60.0


class Engine:
    """Every gang of a cluster on its way from its first pod to its last Binding."""

    def __init__(self, world: World | None = None, *, lease_s: float = LEASE_S) -> None:
        self.world = World() if world is None else world
        self.gangs: dict[GangKey, GangRecord] = {}
        self._lease_s = lease_s
        self._apart = Apart(self.gangs)
        self._heirs = Heirs(self.gangs, lease_s=lease_s)
        self._members = Members()
        self.heard, self.awaited = self._members.heard, self._members.awaited
        self._dirty: dict[GangKey, None] = {}
        self._room = 0
        self.term = ""

    # -- facts ---------------------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        """Take over one fact; `refresh` draws the conclusions."""
        match fact:
            case NodesSeen(nodes):
                if self.world.upsert_nodes(nodes):
                    self._nodes_changed({node.name for node in nodes})
            case NodeGone(name):
                if self.world.remove_node(name):
                    self._nodes_changed({name})
            case FabricSeen(objects):
                self.world.sources_changed(objects)
                self._nodes_changed(set())
            case ClassesSeen(classes):
                self.world.classes = classes
            case PodSeen(pod):
                self._pod_seen(pod)
            case PodGone(key):
                self._pod_gone(self._members.uid_of(key))
            case PodUnreadable(key, faults):
                self._members.unreadable(key, faults)
            case GroupSeen(group):
                self._again(self._members.group_seen(group))
            case GroupGone(namespace, name):
                self._again(self._members.group_gone(GangKey(namespace, name)))
            case WorkloadSeen() | WorkloadGone():
                self._again(self._members.owner_fact(fact))
            case _:
                assert_never(fact)

    def _pod_seen(self, pod: Pod) -> None:
        known = self._members.uid_of(pod.key)
        if known is not None and known != pod.uid:
            self._pod_gone(known)  # another pod under the same name
        placed = self.world.ledger.node_of(pod.uid)
        if pod.node is None and placed is not None and not pod.finished:
            pod = replace(pod, node=placed)  # an older view: a node is never taken away
        if self.world.ledger.observe_pod(pod):
            self._room = self.world.ledger.generation
        if pod.node is not None:
            self._check_holds({pod.node})
        self._enrol(pod)

    def _enrol(self, pod: Pod) -> None:
        before = self._members.gang_of(pod.uid)
        key, membership, faults = self._members.seen(pod)
        if before is not None and before != key and before in self.gangs:
            self.gangs[before].drop(pod.uid, succeeded=False)
            self._dirty[before] = None
        if key is None:
            return
        record = self.gangs.get(key)
        if record is None:
            if pod.finished:
                return
            record = self.gangs[key] = GangRecord(key, (pod.created, len(self.gangs)))
        if pod.finished or pod.deleting:
            record.drop(pod.uid, succeeded=pod.phase == "Succeeded")
        else:
            record.put(pod, membership, faults)
        self._dirty[key] = None

    def _pod_gone(self, uid: str | None) -> None:
        if uid is None:
            return
        self._heirs.gone(self._members.pod(uid))
        if self.world.ledger.forget_pod(uid):
            self._room = self.world.ledger.generation
        key = self._members.gone(uid)
        if key is not None and key in self.gangs:
            self.gangs[key].drop(uid, succeeded=False)
            self._dirty[key] = None

    def _again(self, pods: list[Pod]) -> None:
        for pod in pods:
            self._enrol(pod)

    def _nodes_changed(self, names: set[NodeName]) -> None:
        self._room = self.world.ledger.generation
        self._check_holds(names)
        for record in self.gangs.values():
            if record.state is State.INVALID:
                self._dirty[record.key] = None  # a level that was unknown may be known now

    def _check_holds(self, changed: set[NodeName]) -> None:
        given_up = give_up_endangered(self.world.ledger, self.gangs, changed)
        if given_up:
            self._room = self.world.ledger.generation
            self._dirty |= given_up

    # -- conclusions ---------------------------------------------------------------------

    def refresh(self, now_s: float) -> None:
        """Bring every touched gang into the state that its members and the cluster give it."""
        for record in [self.gangs[key] for key in self._dirty if key in self.gangs]:
            self._settle_members(record, now_s)
        self._dirty.clear()
        self._room = self._heirs.keep(self.world.ledger, now_s) or self._room
        for record in self.gangs.values():
            if record.state is State.BLOCKED and record.tried[1] < self._room:
                record.apply(Event.ROOM, now_s)

    def _settle_members(self, record: GangRecord, now_s: float) -> None:
        self._apart.note(record)
        if not record.pods:
            self.release(record)
            del self.gangs[record.key]
            return
        awaited = record.expect(() if record.faults else self._members.followers(record.pods))
        adopt(record, awaited, self.world.ledger)
        note_start(record)
        event = self._member_event(record)
        if event is Event.COMPLETE and record.state in (State.RESERVED, State.COMMITTING):
            if record.plan_holds():
                return
            event = Event.BROKEN
        elif event is Event.COMPLETE and record.state is State.BLOCKED:
            if record.tried[0] == record.version:
                return
            event = Event.BROKEN
        elif event is Event.COMPLETE and record.state is State.PENDING:
            return
        if record.bound and record.absent:
            record.plan = None  # what is held stays held for those that are still to come
        elif event is not Event.ALL_BOUND:
            self.release(record)
        if event is Event.ALL_BOUND:
            record.rejection, record.whole, record.begun = None, True, ""
        record.apply(event, now_s)

    def _member_event(self, record: GangRecord) -> Event:
        if record.faults:
            return self._faulty(record, tuple(f for faults in record.faults.values() for f in faults))
        bound = record.bound
        if len(record.pods) + len(record.absent) < record.size:
            return Event.LOST if bound else Event.INCOMPLETE
        if bound == len(record.pods) and not record.absent:
            return Event.ALL_BOUND
        try:
            if record.state not in (State.PENDING, State.RESERVED, State.COMMITTING):
                record.assembled()
        except InvalidInput as error:
            return self._faulty(record, error.faults)
        return Event.COMPLETE

    def _faulty(self, record: GangRecord, faults: tuple[object, ...]) -> Event:
        record.invalid = faults  # type: ignore[assignment]
        record.report = invalid_report(record.key, record.invalid)
        return Event.FAULTY

    def release(self, record: GangRecord) -> None:
        """Give a plan up; room stays held where a Binding is on its way."""
        record.plan = None
        record.in_flight &= record.pods.keys()
        if self.world.ledger.release(record.key, keep=record.in_flight):
            self._room = self.world.ledger.generation

    def expire(self, now_s: float) -> tuple[GangKey, ...]:
        """Release what has outlived its lease; those gangs wait for their next turn behind the others."""
        ended = []
        for key in self.world.ledger.expired(now_s):
            record = self.gangs[key]
            held = record.in_flight or (record.bound and record.absent)
            if record.state is State.COMMITTING or held:
                self.renew(key, now_s)
                continue
            self.release(record)
            record.turns += 1
            record.apply(Event.BROKEN, now_s)
            ended.append(key)
        return tuple(ended)

    # -- planning ------------------------------------------------------------------------

    def next_request(self, now_s: float) -> Request | None:
        """The next gang to place, as a problem on the present cluster; None when nobody waits."""
        return next(iter(self.next_requests(now_s, most=1)), None)

    def next_requests(self, now_s: float, *, most: int) -> list[Request]:
        """The next gangs to place, first come first, as problems on one and the same state of the cluster."""
        self.refresh(now_s)
        waiting = [record for record in self.gangs.values() if record.state is State.PENDING]
        found: list[Request] = []
        for record in sorted(waiting, key=lambda record: record.order):
            free = len(found) < most and not record.in_flight
            request = self.request_of(record, now_s) if free else None
            if request is not None:
                found.append(request)
        return [one for one in found if one.generation == found[-1].generation]

    def request_of(self, record: GangRecord, now_s: float) -> Request | None:
        """None when the gang needs no solving: it is invalid."""
        try:
            gang = record.assembled()
            problem = formulate(gang, self._apart.view(self.world, record))
        except InvalidInput as error:
            record.apply(self._faulty(record, error.faults), now_s)
            return None
        return Request(gang, problem, record.version, self.world.ledger.generation)

    def settle(
        self, request: Request, answer: Assignment | Rejection, *, now_s: float, time_ms: float
    ) -> Plan | None:
        """Reserve what was found, if the cluster still allows it; else the gang stays in the queue."""
        record = self.gangs.get(request.gang.key)
        if record is None or record.version != request.version or record.state is not State.PENDING:
            return None
        match answer:
            case Rejection():
                record.rejection, record.tried = answer, (request.version, request.generation)
                record.report = refused_report(request.gang, request.problem, answer, time_ms=time_ms)
                record.apply(Event.REFUSED, now_s)
                return None
            case Assignment():
                problem = request.problem
                plan = plan_of(request.gang, problem.cluster.names, answer.nodes, answer, problem.notes)
                if record.begun:
                    plan = replace(plan, id=f"{record.begun}-{plan.id}")
                if request.generation != self.world.ledger.generation and self._violated(record, plan):
                    return None
                record.report = placed_report(request.gang, request.problem, answer, time_ms=time_ms)
                self.reserve(record, plan, now_s)
                return plan
            case _:
                assert_never(answer)

    def _violated(self, record: GangRecord, plan: Plan) -> tuple[Violation, ...]:
        return violated(self.world.ledger, self._apart.view(self.world, record), record, plan)

    def reserve(self, record: GangRecord, plan: Plan, now_s: float) -> None:
        """Hold the room of a plan that holds now, in one step."""
        pods = {uid: (slot.node, record.shape_of(uid)) for uid, slot in plan.slots.items() if not slot.bound}
        self.world.ledger.hold(Hold(record.key, plan.id, now_s + self._lease_s, pods))
        record.plan, record.rejection = plan, None
        record.apply(Event.PLANNED, now_s)

    def renew(self, key: GangKey, now_s: float) -> None:
        """A member was seen at filter or bind: the gang moves."""
        self.world.ledger.renew(key, now_s + self._lease_s)

    # -- what the shell carries out and asks -------------------------------------------------

    def writes(self, key: GangKey) -> tuple[Write, ...]:
        """What is still missing on the members of a planned gang."""
        record = self.gangs.get(key)
        return writes_of(record, self.term) if record else ()

    def planned(self) -> tuple[tuple[GangKey, str], ...]:
        """Gangs on their way from plan to Binding, and the ids of their plans."""
        return tuple(
            (key, record.plan.id)
            for key, record in self.gangs.items()
            if record.plan is not None and record.state in (State.RESERVED, State.COMMITTING)
        )

    def pod(self, uid: str) -> Pod | None:
        """A pod that waits or belongs to a gang."""
        return self._members.pod(uid)

    def gang_of(self, uid: str, unseen: Pod | None = None) -> GangKey | None:
        """The gang of a pod, None for a pod without one; or of one `unseen`, which changes nothing."""
        return self._members.gang_of(uid) if unseen is None else self._members.would_say(unseen)

    def owners(self) -> Callable[[], dict[str, tuple[str, str]]]:
        """Who every running pod belongs to now, by uid: a gang or itself; the call may be made elsewhere."""
        return self._members.owners(self.world.ledger.running())

    def ranks(self) -> dict[str, int | None]:
        """The priority of every pod that has one, by uid; None for a pod that belongs to its node."""
        return self._members.ranks

    def slot(self, uid: str) -> Slot | Reason:
        """Where the gang's plan puts this member, or why it has no place."""
        key = self._members.gang_of(uid)
        record = self.gangs.get(key) if key else None
        return slot_of(record, uid) if record else Reason.FORMING

    def begin_commit(self, key: GangKey, now_s: float) -> tuple[Violation, ...]:
        """Look at every target once more; empty when the Bindings may be written, and only then."""
        self.refresh(now_s)
        record = self.gangs.get(key)
        if record is None or record.plan is None:
            return (Violation("plan", "the plan was given up"),)
        if record.state not in (State.RESERVED, State.COMMITTING):
            return (Violation("plan", f"the gang is {record.state}"),)
        wrong = self._violated(record, record.plan)
        if wrong:
            self.release(record)
            record.apply(Event.BROKEN, now_s)
        elif record.state is State.RESERVED:
            record.begun = line_of(record.plan.id) if not record.whole else ""
            record.apply(Event.COMMIT, now_s)
        return wrong

    def writing(self, uid: str) -> None:
        """A member's Binding is about to be written: its room stays held until the outcome is known."""
        key = self._members.gang_of(uid)
        if key is not None and key in self.gangs:
            self.gangs[key].in_flight.add(uid)

    def bound(self, uid: str, node: NodeName) -> None:
        """A Binding was accepted: believed before the watch shows it. `refresh` draws the conclusions."""
        self._landed(uid)
        pod = self._members.pod(uid)
        if pod is not None:
            self.observe(PodSeen(replace(pod, node=node)))

    def not_bound(self, uid: str) -> None:
        """A member's Binding was refused for certain: its room is no longer held for a plan given up."""
        record = self._landed(uid)
        if record is not None and record.plan is None and self.world.ledger.give_back(uid):
            self._room = self.world.ledger.generation

    def _landed(self, uid: str) -> GangRecord | None:
        key = self._members.gang_of(uid)
        record = self.gangs.get(key) if key else None
        if record is not None and uid in record.in_flight:
            record.in_flight.discard(uid)
            self._dirty[record.key] = None
        return record

    def unbound(self, uid: str) -> None:
        """A pod without a gang was counted on a node before its Binding, which then failed."""
        pod = self._members.pod(uid)
        if self.world.ledger.forget_pod(uid):
            self._room = self.world.ledger.generation
        if pod is not None:
            self._members.seen(replace(pod, node=None))

    def give_up(self, key: GangKey, now_s: float) -> None:
        """The plan cannot be carried out: what is bound stays, the rest is planned again around it."""
        record = self.gangs.get(key)
        if record is not None and record.state in (State.RESERVED, State.COMMITTING):
            self.release(record)
            record.apply(Event.BROKEN, now_s)
