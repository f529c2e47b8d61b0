"""The safety properties as assertions on the running engine: on when `service.paranoid` is.

S1 nothing promised twice; S2 no start left half; S3 no constraint broken; S4 ranks in order; S6 the
same question, the same answer; S7 no node invented; S8 every hold has an owner, a plan and a lease.
S10 a reason that is shown is that of the gang as it is. (S5, one leader's writes, is asserted where they
are written.) A broken one is told and counted; the service goes on, because stopping half way would
break more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence

from scheduler.decide import decide
from scheduler.engine.engine import Engine
from scheduler.engine.plans import Request
from scheduler.engine.states import State
from scheduler.metrics import Metrics
from scheduler.placement.batch import BatchAnswer
from scheduler.placement.check import violations
from scheduler.placement.problem import Assignment, Limits

log = logging.getLogger(__name__)


class Trusting:
    """Asserts nothing."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine, self._metrics = engine, metrics

    def look(self, now_s: float) -> None:
        """Check the engine as it is between two steps."""

    def decide(self, requests: Sequence[Request], limits: Limits) -> BatchAnswer:
        """Decide; called beside the event loop."""
        return decide(requests, limits)

    def filtered(self, asked: bytes, answered: bytes) -> None:
        """Check an answer of filter against its question."""


_LASTING_S = 1.0
"""How long a hold may outlive its reason: longer than one event takes."""


class Paranoid(Trusting):
    """Looks, tells and counts; never changes anything."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        super().__init__(engine, metrics)
        self.broken: list[str] = []
        self._since_s: dict[str, float] = {}

    def look(self, now_s: float) -> None:
        self._engine.refresh(now_s)
        for fault in (*self._promises(), *self._lasting(self._holds(now_s), now_s), *self._reasons()):
            self._tell(fault)

    def _lasting(self, faults: Iterator[str], now_s: float) -> Iterator[str]:
        """Holds end one event after their reason does: those that stay are faults."""
        self._since_s = {fault: self._since_s.get(fault, now_s) for fault in faults}
        return (fault for fault, since_s in self._since_s.items() if now_s - since_s >= _LASTING_S)

    def decide(self, requests: Sequence[Request], limits: Limits) -> BatchAnswer:
        """S3 and S6: the referee accepts every answer, and a second answer is the same."""
        once, again = decide(requests, limits), decide(requests, limits)
        for request, answer, other in zip(requests, once.answers, again.answers, strict=False):
            if isinstance(answer, Assignment):
                wrong = violations(request.problem, answer.nodes)
                if wrong and len(requests) == 1:
                    self._tell(f"S3: gang {request.gang.key}: {wrong[0].message}")
                if not isinstance(other, Assignment) or other.nodes.tolist() != answer.nodes.tolist():
                    self._tell(f"S6: gang {request.gang.key} was answered in two ways")
        return once

    def filtered(self, asked: bytes, answered: bytes) -> None:
        """S7: every node that is answered was asked about."""
        request, reply = json.loads(asked), json.loads(answered)
        if request.get("NodeNames") is not None:
            invented = set(reply.get("NodeNames") or ()) - set(request["NodeNames"])
            if invented:
                self._tell(f"S7: filter invented {sorted(invented)[0]}")

    def _promises(self) -> Iterator[str]:
        """S1, and the books of it."""
        ledger = self._engine.world.ledger
        (used, held), (used_again, held_again) = ledger.sums(), ledger.audit()
        if (used != used_again).any() or (held != held_again).any():
            yield "S1: the sums of the ledger are not those of its records"
        begun = {
            hold.pods[uid][0]
            for hold in ledger.holds.values()
            if (record := self._engine.gangs.get(hold.owner)) is not None
            for uid in record.in_flight & hold.pods.keys()
        }  # capacity may shrink under what is already being bound
        for name in ledger.promised_twice():
            if name not in begun:
                yield f"S1: node {name} is promised twice"

    def _holds(self, now_s: float) -> Iterator[str]:
        """S2 and S8: whoever holds has an owner, and holds for all who wait, or for what is on its way."""
        for key, hold in self._engine.world.ledger.holds.items():
            record = self._engine.gangs.get(key)
            if record is None:
                if hold.plan:  # without one it is room that is kept for a successor, for a time
                    yield f"S8: {key} holds room and is not known"
                continue
            if hold.expires_s == float("inf") and not record.absent:  # who is still to come ends it by that
                yield f"S8: the hold of {key} never ends"
            waiting = {uid for uid, pod in record.pods.items() if pod.node is None}
            planned = record.state in (State.RESERVED, State.COMMITTING)
            if planned and not waiting <= hold.pods.keys():
                yield f"S2: {key} is held in part"
            if not planned and not record.absent and not hold.pods.keys() <= record.in_flight:
                yield f"S8: {key} is {record.state} and holds room"

    def _reasons(self) -> Iterator[str]:
        """S10: a refused gang shows the reason of these members, and a placed one none."""
        for key, record in self._engine.gangs.items():
            shown = (record.report or {}).get("reason", {}).get("code", "")
            if record.state is State.BLOCKED:
                refused = record.rejection is not None and record.tried[0] == record.version
                if not refused or record.rejection is None or shown != str(record.rejection.code):
                    yield f"S10: {key} shows a reason ({shown}) that is not that of its refusal"
            elif record.state in (State.RESERVED, State.COMMITTING) and record.rejection is not None:
                yield f"S10: {key} is {record.state} and shows why it is refused"

    def _tell(self, fault: str) -> None:
        self.broken.append(fault)
        self._metrics.broken_promises.labels(fault.partition(":")[0]).inc()
        log.critical("broken promise: %s", fault)
