"""What people ask of a running service, answered beside the event loop, one question at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.model import GangKey, InvalidInput
from scheduler.placement.explain import explain
from scheduler.placement.formulate import formulate
from scheduler.placement.problem import Limits, Rejection
from scheduler.report import refused_report
from scheduler.surroundings import surroundings
from scheduler.whatif import answer_request

Report = dict[str, Any]
State = tuple[int, int, float]
T = TypeVar("T")


class Questions:
    """Explanations and what-ifs on the present state of an engine.

    A question whose asker is cancelled gives up its turn, or its work before the next solve.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="what-if")
        self._turn = asyncio.Lock()
        self._kept: dict[GangKey, tuple[State, Report]] = {}

    def close(self) -> None:
        """Answer nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def plan(self, body: bytes, *, jointly: bool, limits: Limits) -> Report:
        """Where the gangs of a plan request would go now; raises InvalidInput."""
        async with self._turn:
            engine = self._engine
            gangs = engine.gangs.values()
            answer = partial(
                answer_request,
                engine.world.clone(),
                body,
                jointly=jointly,
                running=[pod for gang in gangs for pod in gang.pods.values() if pod.node is not None],
                owners=engine.owners(),
            )
            return await self._beside(answer, limits=limits)

    async def explained(self, record: GangRecord, refusal: Rejection, *, limits: Limits) -> Report | None:
        """A refusal with what blocks and what would help, worked out when somebody asks and then kept."""
        if (known := self._known(record, limits)) is not None:
            return known
        async with self._turn:
            if (known := self._known(record, limits)) is not None:
                return known
            world, state = self._engine.world, self._state(record, limits)
            try:
                gang = record.assembled()
                problem = formulate(gang, world.view(record.key))
            except InvalidInput:
                return record.report
            around = surroundings(world, self._engine.owners(), problem, gang.members[0].shape)
            told = await self._beside(partial(explain, problem, refusal, around), limits=limits)
        report = refused_report(gang, problem, told, time_ms=(record.report or {}).get("time_ms", 0.0))
        self._kept = {key: one for key, one in self._kept.items() if key in self._engine.gangs}
        self._kept[record.key] = state, report
        return report

    def _known(self, record: GangRecord, limits: Limits) -> Report | None:
        """The explanation that was kept, if nothing has changed since."""
        state, report = self._kept.get(record.key, (None, None))
        return report if state == self._state(record, limits) else None

    def _state(self, record: GangRecord, limits: Limits) -> State:
        return record.version, self._engine.world.ledger.generation, limits.deterministic_s

    async def _beside(self, work: Callable[..., T], *, limits: Limits) -> T:
        """Work on the thread, under limits that tell it when nobody waits any more."""
        gone = threading.Event()
        limits = replace(limits, abandoned=gone.is_set)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, partial(work, limits=limits))
        finally:
            gone.set()
