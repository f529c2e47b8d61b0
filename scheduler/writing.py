"""What the service has on its way to the API server: plans into pods, Bindings, evictions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from scheduler.engine.engine import Engine
from scheduler.engine.halves import Halves
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Write
from scheduler.kube.outcomes import FENCED, Outcome, later_term
from scheduler.metrics import Metrics
from scheduler.model import ANNOTATION_TERM, GangKey, NodeName, Pod, PodKey

log = logging.getLogger(__name__)


class Target(Protocol):
    """Who carries the writes out."""

    def let_through(self, write: Write) -> Awaitable[Outcome]: ...

    def bind(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str, version: str
    ) -> Awaitable[Outcome]: ...

    def evict(self, pod: Pod) -> Awaitable[Outcome]: ...


class Writing:
    """One task per gang that is being written; what fails is tried again at a later sweep.

    `wake` is called when something has been written that others may wait for.
    """

    def __init__(self, engine: Engine, target: Target, metrics: Metrics, *, wake: Callable[[], None]) -> None:
        self._engine, self._target, self._metrics, self._wake = engine, target, metrics, wake
        self._tasks: dict[GangKey, asyncio.Task[None]] = {}
        self._written: dict[GangKey, str] = {}
        self._evicting: dict[GangKey, asyncio.Task[None]] = {}
        self._halves = Halves()

    def start(self) -> None:
        """Begin to write every plan that is not on its pods yet."""
        planned = dict(self._engine.planned())
        self._written = {key: plan for key, plan in self._written.items() if planned.get(key) == plan}
        for key, plan in planned.items():
            if self._written.get(key) != plan and key not in self._tasks:
                self._spawn(self._tasks, key, self._write_plan(key, plan))

    def release_halves(self, now_s: float, *, window_s: float) -> None:
        """Evict the members of starts that were broken off and that nothing will complete."""
        for key, pods in self._halves.overdue(self._engine.gangs, now_s, window_s=window_s):
            if key not in self._evicting and not any(map(self._superseded, pods)):
                log.warning(
                    "gang %s: its start was broken off; its %d bound members are evicted", key, len(pods)
                )
                self._spawn(self._evicting, key, self._evict(pods))

    async def finish(self) -> None:
        """Wait for what is on its way."""
        tasks = [*self._tasks.values(), *self._evicting.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Give up what is on its way: the term is over."""
        for task in (*self._tasks.values(), *self._evicting.values()):
            task.cancel()
        self._written.clear()

    async def binding(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str
    ) -> Outcome:
        """Write one Binding; how it ended is certain, unless the term ended first."""
        known = self._engine.pod(uid)
        if known and self._superseded(known):
            return FENCED
        version = known.resource_version if known else ""
        outcome = await self._target.bind(pod=pod, uid=uid, node=node, slot=slot, plan=plan, version=version)
        self._metrics.bindings.labels("done" if outcome.done else "failed").inc()
        if outcome.conflict:
            self._metrics.conflicts.inc()
        self._wake()
        return outcome

    def _spawn(self, tasks: dict[GangKey, asyncio.Task[None]], key: GangKey, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        tasks[key] = task
        task.add_done_callback(lambda done: tasks.pop(key, None) if tasks.get(key) is done else None)

    async def _write_plan(self, key: GangKey, plan: str) -> None:
        """Let every member of a planned gang through."""
        outcomes = await asyncio.gather(*(self._let_through(one) for one in self._engine.writes(key)))
        if all(outcomes):
            self._written[key] = plan

    def _superseded(self, pod: Pod) -> bool:
        """Whether a later term has claimed a pod: then ours has ended, though our clock may not say so,
        as after a pause of the whole machine."""
        return later_term(pod.annotations.get(ANNOTATION_TERM, ""), self._engine.term)

    async def _let_through(self, write: Write) -> bool:
        superseded = later_term(write.seen, write.term)
        outcome = FENCED if superseded else await self._target.let_through(write)
        self._metrics.writes.labels("done" if outcome.done else "failed").inc()
        if not outcome.done:
            log.warning("pod %s: its plan was not written: %s", write.slot.pod, outcome.message)
        return outcome.done

    async def _evict(self, pods: Sequence[Pod]) -> None:
        outcomes = await asyncio.gather(*map(self._target.evict, pods))
        for pod, outcome in zip(pods, outcomes, strict=True):
            self._metrics.evictions.labels("done" if outcome.done else "failed").inc()
            if not outcome.done:
                log.warning("pod %s was not evicted: %s", pod.key, outcome.message)
