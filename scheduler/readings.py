"""What people are told of gangs, the fabric and decisions: readings of the engine, and what-if questions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from scheduler.decisions import Decisions
from scheduler.engine.engine import Engine
from scheduler.engine.states import State
from scheduler.journal import Journal
from scheduler.model import GangKey
from scheduler.placement.problem import Limits
from scheduler.questions import Questions
from scheduler.recorder import document_of
from scheduler.show import (
    awaited_detail,
    awaited_row,
    gang_detail,
    gang_row,
    snapshot_summary,
    topology_document,
)
from scheduler.version import version


class Readings:
    """The answers of a service that change nothing."""

    def __init__(
        self, engine: Engine, decisions: Decisions, *, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self.engine, self.limits = engine, limits
        self._decisions, self._clock = decisions, clock
        self._questions = Questions(engine)
        self._journal = Journal(first=time.time_ns() // 1000)

    def gangs(self) -> list[dict[str, Any]]:
        now_s = self._clock()
        fabric = self.engine.world.fabric
        rows = {key: gang_row(record, fabric, now_s=now_s) for key, record in self.engine.gangs.items()}
        awaited = {one.gang: awaited_row(one) for one in self.engine.awaited()}
        return [row for _, row in sorted((awaited | rows).items())]

    def journal(self) -> Journal:
        """The list of gangs as changes, up to now."""
        self._journal.refresh(self.engine, self._clock())
        return self._journal

    async def gang(self, key: GangKey, limits: Limits | None = None) -> dict[str, Any] | None:
        record = self.engine.gangs.get(key)
        if record is None:
            awaited = next((one for one in self.engine.awaited() if one.gang == key), None)
            return awaited_detail(awaited) if awaited is not None else None
        found = gang_detail(record, self.engine.world.fabric, now_s=self._clock())
        if record.state is State.BLOCKED and record.rejection is not None:
            found["decision"] = await self._questions.explained(
                record, record.rejection, limits=limits or self.limits
            )
        return found

    def topology(self) -> dict[str, Any]:
        return topology_document(self.engine.world)

    def decision(self, key: GangKey) -> dict[str, Any] | None:
        """The record of the last decision about a gang, redacted; None when it is not known any more."""
        found = self._decisions.recorder.last_of(str(key))
        return document_of(found) if found else None

    def domains(self) -> dict[str, int]:
        """How many domains there are, by level."""
        return {part.name: len(part.names) for part in self.engine.world.fabric.arrays().partitions}

    def summary(self) -> dict[str, int]:
        return snapshot_summary(self.engine.world)

    async def plan(
        self,
        body: bytes,
        *,
        jointly: bool,
        limits: Limits | None = None,
        evict: bool = False,
        defragment: bool = False,
    ) -> dict[str, Any]:
        return await self._questions.plan(
            body, jointly=jointly, limits=limits or self.limits, evict=evict, moves=defragment
        )

    def version(self) -> dict[str, str]:
        return {"version": version()}
