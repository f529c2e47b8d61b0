"""How long gangs wait, told once per start; and the fabric, measured now and then beside the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from scheduler.engine.engine import Engine
from scheduler.engine.states import State
from scheduler.measures import measured, room_of
from scheduler.metrics import Metrics
from scheduler.model import GangKey

LOOK_S = 1.0
MEASURE_S = 10.0


@dataclass(slots=True)
class _Told:
    complete_s: float
    placed: bool = False
    bound: bool = False


class Progress:
    """Reads times that the engine noted, so that looking seldom makes none of them less exact."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine, self._metrics = engine, metrics
        self._told: dict[GangKey, _Told] = {}
        self._generation = -1

    def look(self) -> None:
        """Observe what has become of every start; cost: one look at every gang."""
        gangs = self._engine.gangs
        for key in self._told.keys() - gangs.keys():
            del self._told[key]
        for key, record in gangs.items():
            if record.complete_s is None:
                self._told.pop(key, None)
                continue
            told = self._told.get(key)
            if told is None or told.complete_s != record.complete_s:
                told = self._told[key] = _Told(record.complete_s)
            if record.placed_s is not None and not told.placed:
                told.placed = True
                self._metrics.gang_wait.observe(record.placed_s - record.complete_s)
            if record.state is State.BOUND and not told.bound:
                told.bound = True
                self._metrics.gang_bound.observe(record.since_s - record.complete_s)

    async def measure(self) -> None:
        """Measure the fabric, if anything has changed since; on another thread."""
        world = self._engine.world
        room = room_of(world)  # this may build the fabric first
        if world.ledger.generation == self._generation:
            return
        self._generation = world.ledger.generation
        self._metrics.measured(await asyncio.to_thread(measured, room))

    async def run(self) -> None:
        """Look and measure; until cancelled."""
        rounds = 0
        while True:
            self.look()
            if rounds % round(MEASURE_S / LOOK_S) == 0:
                await self.measure()
            rounds += 1
            await asyncio.sleep(LOOK_S)
