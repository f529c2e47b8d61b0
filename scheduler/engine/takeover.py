"""After a restart or a change of leader: what pods that wait for their nodes carry of an earlier plan."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.engine.adopting import carried_plan
from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import Event, State
from scheduler.model import ANNOTATION_PLAN, Pod


def carriers(gangs: Iterable[GangRecord]) -> tuple[Pod, ...]:
    """Pods without a node that carry a plan: Bindings of an earlier leader may still be on their way."""
    return tuple(
        pod
        for record in gangs
        for pod in record.pods.values()
        if pod.node is None and ANNOTATION_PLAN in pod.annotations
    )


def take_over(engine: Engine, term: str, now_s: float) -> None:
    """Begin a term: take over every plan that pods carry, if it is whole and still right, and only
    then let others be planned. Starts that were broken off come first."""
    engine.term = term
    engine.refresh(now_s)
    waiting = [record for record in engine.gangs.values() if record.state is State.PENDING]
    for record in sorted(waiting, key=lambda record: record.order):
        request = engine.request_of(record, now_s)
        plan = carried_plan(record, request, engine.world.ledger) if request else None
        if plan is not None:
            engine.reserve(record, plan, now_s)


def step_down(engine: Engine, now_s: float) -> None:
    """End a term: nothing is planned or held any more; what pods carry is left to who comes next."""
    engine.term = ""
    engine.refresh(now_s)
    for record in engine.gangs.values():
        record.in_flight.clear()
        engine.release(record)
        if record.state in (State.RESERVED, State.COMMITTING):
            record.apply(Event.BROKEN, now_s)
