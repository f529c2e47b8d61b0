"""The list of gangs as numbered changes, for whoever follows it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.model import GangKey
from scheduler.show import gang_row

Row = dict[str, Any]
Mark = tuple[float, *tuple[object, ...]]

KEPT = 4096
"""Changes that are kept for those who lag behind or come back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One gang that came, changed or went; `row` as it is now, or as it was last.

    `version` is that of the whole list once the change is taken over.
    """

    version: int
    kind: Literal["added", "changed", "deleted"]
    row: Row


class Journal:
    """What `refresh` finds different each time. Changes between two refreshes are one.

    Versions go up by one per change, from `first` on; with a `first` that is larger than every
    version of an earlier run (the time does), its versions are never mistaken for ours.
    """

    def __init__(self, *, first: int, kept: int = KEPT) -> None:
        self.version = first
        self._changes: deque[Change] = deque(maxlen=kept)
        self._rows: dict[GangKey, tuple[Mark, Row]] = {}
        self._fabric: object = None

    def refresh(self, engine: Engine, now_s: float) -> None:
        """Note what has changed; costs a comparison per gang, and a row per gang that changed."""
        fabric = engine.world.fabric
        arrays = fabric.arrays()
        moved, self._fabric = arrays is not self._fabric, arrays  # then `where` may read differently
        for key in sorted(self._rows.keys() - engine.gangs.keys()):
            self._note("deleted", self._rows.pop(key)[1])
        for key, record in sorted(engine.gangs.items()):
            old, mark = self._rows.get(key), _mark(record)
            if old is not None and old[0] == mark and not moved:
                continue
            row = gang_row(record, fabric, now_s=now_s)
            if old is None:
                self._note("added", row)
            elif _lasting(old) != _lasting((mark, row)):
                self._note("changed", row)
            self._rows[key] = mark, row

    def since(self, version: int) -> tuple[Change, ...] | None:
        """The changes after a version, oldest first; None when they are not known, or no longer."""
        oldest = self._changes[0].version - 1 if self._changes else self.version
        if not oldest <= version <= self.version:
            return None
        later = takewhile(lambda change: change.version > version, reversed(self._changes))
        return tuple(later)[::-1]

    def _note(self, kind: Literal["added", "changed", "deleted"], row: Row) -> None:
        self.version += 1
        self._changes.append(Change(self.version, kind, row))


def _lasting(noted: tuple[Mark, Row]) -> tuple[float, Row]:
    """A row with the moment in place of the seconds since then."""
    return noted[0][0], {**noted[1], "since_s": 0}


def _mark(record: GangRecord) -> Mark:
    """What a gang's row is made of; equal marks give equal rows, but for the time that passes."""
    return (
        record.since_s,
        record.arrived,
        record.version,
        record.state,
        record.plan.id if record.plan else "",
        record.rejection.message if record.rejection else "",
        record.invalid,
    )
