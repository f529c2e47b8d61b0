"""Starts that were broken off: some members have their nodes, and the gang never was whole.

A gang that was whole and lost members is another matter: it runs, and nobody but its owner ends it.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.engine.plans import line_of
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.model import ANNOTATION_PLAN, GangKey, Pod

_STUCK = (State.FORMING, State.DEGRADED, State.BLOCKED, State.INVALID, State.PENDING)
"""States of a gang that has no plan: nothing is under way that would complete it."""


def note_start(record: GangRecord) -> None:
    """Find a start that was broken off in an earlier run: waiting members carry the plan of bound ones.

    With no member bound any more there is nothing half left.
    """
    if record.bound == 0:
        if record.state is not State.COMMITTING:
            record.begun = ""
        return
    if record.begun or record.whole or record.bound == len(record.pods):
        return
    lines: dict[bool, set[str]] = {True: set(), False: set()}
    for pod in record.pods.values():
        lines[pod.node is not None].add(line_of(pod.annotations.get(ANNOTATION_PLAN, "")))
    record.begun = min((lines[True] & lines[False]) - {""}, default="")


class Halves:
    """Since when each broken start has been stuck, in monotonic seconds."""

    def __init__(self) -> None:
        self._since: dict[GangKey, float] = {}

    def overdue(
        self, gangs: Mapping[GangKey, GangRecord], now_s: float, *, window_s: float
    ) -> list[tuple[GangKey, tuple[Pod, ...]]]:
        """Gangs that have been stuck for longer than the window, each with its members that have nodes."""
        stuck = {key for key, record in gangs.items() if _stuck(record)}
        self._since = {key: self._since.get(key, now_s) for key in sorted(stuck)}
        return [
            (key, tuple(pod for pod in gangs[key].pods.values() if pod.node is not None))
            for key, since in self._since.items()
            if now_s - since >= window_s
        ]


def _stuck(record: GangRecord) -> bool:
    half = record.bound > 0 and (record.bound < len(record.pods) or len(record.pods) < record.size)
    if record.absent or record.in_flight or not record.begun:
        return False  # its followers are still to be made, a Binding is being written, or it once was whole
    return half and record.state in _STUCK
