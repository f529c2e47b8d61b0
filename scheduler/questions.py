"""What people ask of a running service, answered beside the event loop, one question at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.model import GangKey, InvalidInput, Pod, PodKey
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

    async def plan(
        self, body: bytes, *, jointly: bool, limits: Limits, evict: bool = False, moves: bool = False
    ) -> Report:
        """Where the gangs of a plan request would go now, and who would have to go or move; raises
        InvalidInput."""

        def prepare() -> Callable[..., Report]:
            gangs, world = self._engine.gangs.values(), self._engine.world.clone()
            ranks, owners = self._engine.ranks(), self._engine.owners()
            running = [pod for gang in gangs for pod in gang.pods.values() if pod.node is not None]
            running += self._loners() if moves else ()

            def work(*, limits: Limits) -> Report:
                return answer_request(
                    world,
                    body,
                    jointly=jointly,
                    evict=evict,
                    moves=moves,
                    ranks=ranks,
                    running=running,
                    owners=owners(),
                    limits=limits,
                )

            return work

        return await self._ask(prepare, limits=limits)

    def _loners(self) -> Iterator[Pod]:
        """Pods of no gang that run and could run elsewhere, as far as placing them again needs to know."""
        ledger, ranks = self._engine.world.ledger, self._engine.ranks()
        owners = self._engine.owners()()
        for uid, (node, shape) in ledger.running().items():
            kind, name = owners.get(uid, ("", ""))
            rank = ranks.get(uid, 0)
            if kind == "pod" and rank is not None:
                key = PodKey(*name.split("/", 1))
                yield Pod(key, uid, shape, node=node, priority=rank, phase="Running")

    async def explained(self, record: GangRecord, refusal: Rejection, *, limits: Limits) -> Report | None:
        """A refusal with what blocks and what would help, worked out when somebody asks and then kept."""
        if (known := self._known(record, limits)) is not None:
            return known
        try:
            state, report = await self._ask(
                partial(self._explanation, record, refusal, limits), limits=limits
            )
        except InvalidInput:
            return record.report
        self._kept = {key: one for key, one in self._kept.items() if key in self._engine.gangs}
        self._kept[record.key] = state, report
        return report

    def _explanation(
        self, record: GangRecord, refusal: Rejection, limits: Limits
    ) -> Callable[..., tuple[State, Report]]:
        """The work of explaining a refusal on the present state; raises InvalidInput."""
        state, known = self._state(record, limits), self._known(record, limits)
        if known is not None:
            return lambda limits: (state, known)
        world, gang = self._engine.world, record.assembled()
        problem = formulate(gang, world.view(record.key))
        copied, owners = world.clone(), self._engine.owners()
        time_ms = (record.report or {}).get("time_ms", 0.0)

        def work(*, limits: Limits) -> tuple[State, Report]:
            around = surroundings(copied, owners(), problem, gang)
            told = explain(problem, refusal, around, limits=limits)
            return state, refused_report(gang, problem, told, time_ms=time_ms)

        return work

    def _known(self, record: GangRecord, limits: Limits) -> Report | None:
        """The explanation that was kept, if nothing has changed since."""
        state, report = self._kept.get(record.key, (None, None))
        return report if state == self._state(record, limits) else None

    def _state(self, record: GangRecord, limits: Limits) -> State:
        return record.version, self._engine.world.ledger.generation, limits.deterministic_s

    async def _ask(self, prepare: Callable[[], Callable[..., T]], *, limits: Limits) -> T:
        """Work on the thread, prepared when it is free, under limits that tell when nobody waits any more.

        The turn ends with the work and not with the asker, so that copies of the cluster do not
        queue up behind work that is slow to notice.
        """
        await self._turn.acquire()
        gone, loop = threading.Event(), asyncio.get_running_loop()
        try:
            work = partial(prepare(), limits=replace(limits, abandoned=gone.is_set))
            done = self._thread.submit(work)
        except BaseException:
            self._turn.release()
            raise
        done.add_done_callback(lambda _: self._next_turn(loop))
        try:
            return await asyncio.wrap_future(done)
        finally:
            gone.set()

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(self._turn.release)
