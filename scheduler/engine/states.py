"""The states of a gang and every allowed change between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a gang is on its way.

    forming: members are missing; pending: complete and waiting for a plan; blocked: planned
    and refused, until something changes; invalid: its own description contradicts itself;
    reserved: planned, room held, members being let through; committing: Bindings are written;
    bound: every member has its node; degraded: some members run and others are missing.
    """

    FORMING = "forming"
    PENDING = "pending"
    BLOCKED = "blocked"
    INVALID = "invalid"
    RESERVED = "reserved"
    COMMITTING = "committing"
    BOUND = "bound"
    DEGRADED = "degraded"


class Event(StrEnum):
    """What can happen to a gang."""

    INCOMPLETE = "members are missing, none runs"
    COMPLETE = "all members exist and some wait for a node"
    LOST = "members are missing, others run"
    FAULTY = "its description is invalid"
    PLANNED = "a plan was found and its room is held"
    REFUSED = "no plan exists now"
    ROOM = "capacity or eligibility changed"
    BROKEN = "the plan cannot be carried out any more"
    COMMIT = "the first Binding is about to be written"
    ALL_BOUND = "every member has its node"


class InvalidTransition(RuntimeError):
    """An event that its gang's state does not know: a bug of ours. Nothing was changed."""


_ANYWHERE = {
    Event.INCOMPLETE: State.FORMING,
    Event.LOST: State.DEGRADED,
    Event.FAULTY: State.INVALID,
    Event.ALL_BOUND: State.BOUND,
}
"""Facts about the members themselves: true in whatever state the gang was."""

TRANSITIONS: dict[tuple[State, Event], State] = {
    **{(state, event): after for state in State for event, after in _ANYWHERE.items()},
    (State.FORMING, Event.COMPLETE): State.PENDING,
    (State.INVALID, Event.COMPLETE): State.PENDING,
    (State.DEGRADED, Event.COMPLETE): State.PENDING,
    (State.BOUND, Event.COMPLETE): State.PENDING,
    (State.PENDING, Event.PLANNED): State.RESERVED,
    (State.PENDING, Event.REFUSED): State.BLOCKED,
    (State.BLOCKED, Event.ROOM): State.PENDING,
    (State.BLOCKED, Event.BROKEN): State.PENDING,
    (State.RESERVED, Event.BROKEN): State.PENDING,
    (State.RESERVED, Event.COMMIT): State.COMMITTING,
    (State.COMMITTING, Event.BROKEN): State.PENDING,
}


def after(state: State, event: Event) -> State:
    """The state that follows; raises InvalidTransition for a pair that is not listed."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(f"a gang that is {state.value} cannot take: {event.value}") from None
