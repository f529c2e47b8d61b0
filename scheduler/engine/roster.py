"""One gang as the engine knows it: its pods, what they say of it, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scheduler.engine.plans import Plan
from scheduler.engine.states import Event, State, after
from scheduler.model import Gang, GangKey, InvalidField, Membership, Pod, PodShape
from scheduler.placement.problem import Rejection
from scheduler.workloads.gangs import assemble


@dataclass(slots=True)
class GangRecord:
    """The engine's own notes on a gang; only the engine writes them.

    `pods`, `memberships` and `faults` by uid, unfinished members only;
    `succeeded`: uids of members that ended well; `version` rises with every
    change of the members; `tried`: version and ledger generation of the last refusal;
    `turns`: times that a lease ended, each putting the gang further back;
    `report`: the last decision in the form that is shown to people; `bound`: members with a node;
    `absent`: members that will be made once those that exist run, placed with them and held;
    `whole`: all its members had nodes at one moment; `begun`: the line of plans whose Bindings were
    begun and not ended; `in_flight`: members whose Bindings are being written, outcome unknown;
    `complete_s`, `placed_s`: when this start had all its members, and its first plan.
    """

    key: GangKey
    arrived: tuple[str, int]
    pods: dict[str, Pod] = field(default_factory=dict)
    memberships: dict[str, Membership] = field(default_factory=dict)
    faults: dict[str, tuple[InvalidField, ...]] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    state: State = State.FORMING
    since_s: float = 0.0
    version: int = 0
    tried: tuple[int, int] = (-1, -1)
    turns: int = 0
    plan: Plan | None = None
    rejection: Rejection | None = None
    invalid: tuple[InvalidField, ...] = ()
    report: dict[str, Any] | None = None
    bound: int = 0
    absent: tuple[tuple[Pod, Membership], ...] = ()
    whole: bool = False
    begun: str = ""
    in_flight: set[str] = field(default_factory=set)
    complete_s: float | None = None
    placed_s: float | None = None
    _stated: tuple[int, int] = (-1, 0)
    _gang: Gang | None = None

    def put(self, pod: Pod, membership: Membership | None, faults: tuple[InvalidField, ...]) -> None:
        """Take over a member as it is now; news that do not matter to planning leave `version` alone."""
        before = self.pods.get(pod.uid)
        same = before is not None and (before.node, before.shape) == (pod.node, pod.shape)
        if not same or self.memberships.get(pod.uid) != membership or self.faults.get(pod.uid, ()) != faults:
            self.version += 1
        self._gang = None
        self.pods[pod.uid] = pod
        self.bound += (pod.node is not None) - (before is not None and before.node is not None)
        self.memberships.pop(pod.uid, None)
        self.faults.pop(pod.uid, None)
        if membership is not None:
            self.memberships[pod.uid] = membership
        if faults:
            self.faults[pod.uid] = faults

    def drop(self, uid: str, *, succeeded: bool) -> None:
        """A member is gone, failed, or has done its work."""
        self.version += 1
        self._gang = None
        before = self.pods.pop(uid, None)
        self.bound -= before is not None and before.node is not None
        self.memberships.pop(uid, None)
        self.faults.pop(uid, None)
        if succeeded:
            self.succeeded.add(uid)

    def expect(self, absent: tuple[tuple[Pod, Membership], ...]) -> tuple[tuple[Pod, Membership], ...]:
        """Take over which members are still to be made; those of before."""
        before = self.absent
        if absent != before:
            self.version += 1
            self.absent, self._gang = absent, None
        return before

    def shape_of(self, uid: str) -> PodShape:
        """The shape of a member, also of one that does not exist yet."""
        found = self.pods.get(uid)
        return found.shape if found else next(pod.shape for pod, _ in self.absent if pod.uid == uid)

    def apply(self, event: Event, now_s: float) -> None:
        """Go where the transition table says; raises InvalidTransition and changes nothing otherwise."""
        state = after(self.state, event)
        if state is self.state:
            self.since_s = self.since_s or now_s  # seen for the first time
            return
        if self.state is State.BOUND or state in (State.FORMING, State.DEGRADED, State.INVALID):
            self.complete_s = self.placed_s = None
        if state is State.PENDING and self.complete_s is None:
            self.complete_s = now_s
        if state is State.RESERVED and self.placed_s is None:
            self.placed_s = now_s
        self.state, self.since_s = state, now_s

    @property
    def size(self) -> int:
        """Members that the gang asks for, as far as any of them says; those that ended well are done."""
        if self._stated[0] != self.version:
            self._stated = self.version, max((m.size or 0 for m in self.memberships.values()), default=0)
        stated = self._stated[1]
        return max(stated - len(self.succeeded), 1 if stated else len(self.pods) + 1)

    @property
    def size_known(self) -> bool:
        """Whether any member, or its owner, says how many members there will be."""
        return any(m.size is not None for m in self.memberships.values())

    @property
    def source(self) -> str:
        """The family that speaks for the gang, as far as one does."""
        return next((f"the {m.source}" for m in self.memberships.values()), "nothing")

    @property
    def priority(self) -> int:
        return max((pod.priority for pod in self.pods.values()), default=0)

    @property
    def order(self) -> tuple[bool, int, int, tuple[str, int], GangKey]:
        """Who is planned first: who has begun, priority, who has not had a turn, who came first."""
        return not self.begun, -self.priority, self.turns, self.arrived, self.key

    def assembled(self) -> Gang:
        """The gang as its members describe it together; raises InvalidInput."""
        if self._gang is None:
            here = [(pod, self.memberships[uid]) for uid, pod in self.pods.items()]
            self._gang = assemble([*here, *self.absent])
        return self._gang

    def plan_holds(self) -> bool:
        """Whether the plan is about exactly these members, and those that run are where it says."""
        if self.plan is None:
            return False
        slots = self.plan.slots
        here = all(
            uid in slots and (pod.node is None or pod.node == slots[uid].node)
            for uid, pod in self.pods.items()
        )
        known = {*self.pods, *self.succeeded, *(pod.uid for pod, _ in self.absent)}
        return here and all(uid in known for uid in slots)
