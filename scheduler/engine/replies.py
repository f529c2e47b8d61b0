"""What the engine says of one member: its place, why it has none, and what its pod must still carry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scheduler.engine.plans import Slot
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.model import ANNOTATION_NODE, ANNOTATION_PLAN, ANNOTATION_TERM, GATE


class Reason(StrEnum):
    """Why the extender says no; constant texts, because a text that changes wakes the pod at once."""

    FORMING = "the gang is not complete yet"
    PENDING = "the gang is being planned"
    BLOCKED = "the gang does not fit now; `lockstep explain` says why"
    INVALID = "the gang is invalid; `lockstep explain` says why"
    ELSEWHERE = "the gang is planned on other nodes"
    HELD = "room here is held for a gang"


_WRITTEN = (ANNOTATION_PLAN, ANNOTATION_NODE, ANNOTATION_TERM)
_REASON_OF = {
    State.FORMING: Reason.FORMING,
    State.DEGRADED: Reason.FORMING,
    State.PENDING: Reason.PENDING,
    State.BLOCKED: Reason.BLOCKED,
    State.INVALID: Reason.INVALID,
}


@dataclass(frozen=True, slots=True)
class Write:
    """What a member's pod must carry before its scheduler may look at it.

    `term` of leadership in which this is said; `version`, `generation` and `seen`: the pod's
    version, generation and the term on it when this was decided; `refused`: it says that it is refused.
    """

    slot: Slot
    plan: str
    gated: bool
    nominate: bool
    term: str = ""
    version: str = ""
    seen: str = ""
    refused: bool = False
    generation: int = 0


def slot_of(record: GangRecord, uid: str) -> Slot | Reason:
    """Where the plan puts a member, or why it has no place."""
    if record.plan is not None and uid in record.plan.slots:
        return record.plan.slots[uid]
    return _REASON_OF.get(record.state, Reason.PENDING)


def writes_of(record: GangRecord, term: str) -> tuple[Write, ...]:
    """What is still missing on the members of a gang, written in this term; nothing without a plan."""
    if record.plan is None:
        return ()
    found = []
    for uid, slot in record.plan.slots.items():
        pod = record.pods.get(uid)
        if pod is None or pod.node is not None:
            continue
        gated = GATE in pod.gates
        current = tuple(pod.annotations.get(key, "") for key in _WRITTEN)
        if gated or current != (record.plan.id, slot.node, term):
            found.append(
                Write(
                    slot,
                    record.plan.id,
                    gated,
                    nominate=pod.pod_group is None,
                    term=term,
                    version=pod.resource_version,
                    seen=current[2],
                    refused=pod.told.startswith("False"),
                    generation=pod.generation,
                )
            )
    return tuple(found)
