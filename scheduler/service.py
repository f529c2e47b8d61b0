"""The running service: watches feed the engine, gangs are planned beside the event loop, plans are
written into pods, schedulers are answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from scheduler.config import Config
from scheduler.decide import BATCH, decide
from scheduler.engine.engine import Engine
from scheduler.engine.facts import Fact
from scheduler.engine.plans import Request, Slot
from scheduler.engine.replies import Write
from scheduler.engine.states import State
from scheduler.extender import answers
from scheduler.extender.binder import Binder, Outcome
from scheduler.extender.wire import BindArgs
from scheduler.journal import Journal
from scheduler.metrics import Metrics
from scheduler.model import GangKey, InvalidField, NodeName, PodKey
from scheduler.placement.batch import BatchAnswer
from scheduler.placement.problem import Assignment, Limits, Rejection
from scheduler.questions import Questions
from scheduler.show import gang_detail, gang_row, snapshot_summary, topology_document
from scheduler.version import version

log = logging.getLogger(__name__)

_SWEEP_S = 1.0


class Cluster(Protocol):
    """What the service needs of the API server: how fresh our view is, and two writes."""

    def not_ready(self) -> list[str]:
        """Why the view of the cluster is not complete; empty once it is."""

    def stale(self) -> str:
        """Why the view is too old to plan on; empty while it is fresh."""

    def let_through(self, write: Write) -> Awaitable[Outcome]: ...

    def bind(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str
    ) -> Awaitable[Outcome]: ...


class Service:
    """One scheduler extender with its engine. Everything but solving runs on one event loop."""

    def __init__(
        self, config: Config, *, metrics: Metrics | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engine = Engine(levels=config.levels, lease_s=config.service.lease_s, policies=config.policies)
        self._metrics = metrics or Metrics()
        self._config, self._clock = config, clock
        self.limits = Limits(deterministic_s=config.service.solver_s)
        self._solver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="solver")
        self._questions = Questions(self.engine)
        self._journal = Journal(first=time.time_ns() // 1000)
        self._work = asyncio.Event()
        self._writing: dict[GangKey, asyncio.Task[None]] = {}
        self._written: dict[GangKey, str] = {}
        self._cluster: Cluster | None = None
        self._binder: Binder | None = None

    def connect(self, cluster: Cluster) -> None:
        """Give the service its cluster; before `run`."""
        self._cluster = cluster
        self._binder = Binder(
            self.engine,
            self._write_binding,
            hold_s=self._config.service.http_timeout_s / 2,
            clock=self._clock,
        )

    # -- the watches tell ---------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        """Take over a fact; one that breaks us is left out, because the others still hold."""
        try:
            self.engine.observe(fact)
        except Exception:
            self._metrics.unreadable.inc()
            log.exception("left out, by a bug of ours: %s", type(fact).__name__)

    def wake(self) -> None:
        self._work.set()

    def unreadable(self, fault: InvalidField) -> None:
        self._metrics.unreadable.inc()
        log.warning("left out: %s", fault)

    # -- planning -----------------------------------------------------------------------

    async def run(self) -> None:
        """Plan whoever waits, write plans into pods, sweep leases; until cancelled."""
        assert self._cluster is not None
        while self._cluster.not_ready():
            await asyncio.sleep(0.02)
        try:
            while True:
                self._work.clear()
                self._sweep()
                await self._plan_all()
                self._start_writes()
                await _first(self._work.wait(), timeout_s=_SWEEP_S)
        finally:
            self._solver.shutdown(wait=False, cancel_futures=True)
            self._questions.close()

    def _sweep(self) -> None:
        for key in self.engine.expire(self._clock()):
            self._metrics.expired.inc()
            log.info("gang %s: its lease ended; it waits for another turn", key)

    async def _plan_all(self) -> None:
        assert self._cluster is not None
        while not (stale := self._cluster.stale()):
            requests = self.engine.next_requests(self._clock(), most=BATCH)
            if not requests:
                return
            started = time.perf_counter()
            decided = await asyncio.get_running_loop().run_in_executor(
                self._solver, decide, requests, self.limits
            )
            each = (time.perf_counter() - started) / len(requests)
            self._settle(requests, decided, each)
            self._start_writes()
        log.warning("nothing new is planned: %s", stale)

    def _settle(self, requests: Sequence[Request], decided: BatchAnswer, each_s: float) -> None:
        """Reserve what was placed; a refusal counts only if all stands beside which it was refused."""
        whole = True
        for at in sorted(decided.order, key=lambda at: isinstance(decided.answers[at], Rejection)):
            request, answer = requests[at], decided.answers[at]
            if isinstance(answer, Rejection) and not whole:
                continue
            plan = self.engine.settle(request, answer, now_s=self._clock(), time_ms=each_s * 1000)
            whole = whole and (plan is not None or isinstance(answer, Rejection))
            self._note_decision(request, answer, each_s)

    def _note_decision(self, request: Request, answer: Assignment | Rejection, elapsed: float) -> None:
        placed = isinstance(answer, Assignment)
        outcome = "placed" if placed else str(answer.code) if isinstance(answer, Rejection) else ""
        self._metrics.solve.observe(elapsed)
        self._metrics.decisions.labels(outcome, answer.proof).inc()
        log.info(
            "gang %s: %s; %s, %d pods, generation %d, %.1f ms%s",
            request.gang.key,
            outcome,
            answer.proof,
            request.problem.pods,
            request.generation,
            elapsed * 1000,
            f": {answer.message}" if isinstance(answer, Rejection) else "",
        )

    # -- writing ------------------------------------------------------------------------

    def _start_writes(self) -> None:
        """One task per plan that is not on its pods yet; what fails is tried again at a later sweep."""
        planned = dict(self.engine.planned())
        self._written = {key: plan for key, plan in self._written.items() if planned.get(key) == plan}
        for key, plan in planned.items():
            if self._written.get(key) != plan and key not in self._writing:
                task = asyncio.get_running_loop().create_task(self._write_plan(key, plan))
                self._writing[key] = task
                task.add_done_callback(lambda _, key=key: self._writing.pop(key, None))  # type: ignore[misc]

    async def _write_plan(self, key: GangKey, plan: str) -> None:
        """Let every member of a planned gang through."""
        outcomes = await asyncio.gather(*(self._let_through(one) for one in self.engine.writes(key)))
        if all(outcomes):
            self._written[key] = plan

    async def _let_through(self, write: Write) -> bool:
        assert self._cluster is not None
        outcome = await self._cluster.let_through(write)
        self._metrics.writes.labels("done" if outcome.done else "failed").inc()
        if not outcome.done:
            log.warning("pod %s: its plan was not written: %s", write.slot.pod, outcome.message)
        return outcome.done

    async def _write_binding(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str
    ) -> Outcome:
        assert self._cluster is not None
        outcome = await self._cluster.bind(pod=pod, uid=uid, node=node, slot=slot, plan=plan)
        self._metrics.bindings.labels("done" if outcome.done else "failed").inc()
        self._work.set()
        return outcome

    # -- the server asks ----------------------------------------------------------------

    def not_ready(self) -> list[str]:
        if self._cluster is None:
            return ["not connected to a cluster"]
        return self._cluster.not_ready()

    def stale(self) -> str:
        return self._cluster.stale() if self._cluster else ""

    def filter(self, body: bytes) -> bytes:
        return answers.filter_nodes(self.engine, body, self._clock())

    def prioritize(self, body: bytes) -> bytes:
        return answers.prioritize_nodes(self.engine, body, self._clock())

    def preempt(self, body: bytes) -> bytes:
        return answers.preempt(self.engine, body)

    async def bind(self, args: BindArgs) -> str:
        assert self._binder is not None
        return await self._binder.bind(args)

    def gangs(self) -> list[dict[str, Any]]:
        now_s = self._clock()
        records = sorted(self.engine.gangs.values(), key=lambda record: record.key)
        return [gang_row(record, self.engine.world.fabric, now_s=now_s) for record in records]

    def journal(self) -> Journal:
        """The list of gangs as changes, up to now."""
        self._journal.refresh(self.engine, self._clock())
        return self._journal

    async def gang(self, key: GangKey, limits: Limits | None = None) -> dict[str, Any] | None:
        record = self.engine.gangs.get(key)
        if record is None:
            return None
        found = gang_detail(record, self.engine.world.fabric, now_s=self._clock())
        if record.state is State.BLOCKED and record.rejection is not None:
            found["decision"] = await self._questions.explained(
                record, record.rejection, limits=limits or self.limits
            )
        return found

    def topology(self) -> dict[str, Any]:
        return topology_document(self.engine.world)

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

    def metrics(self) -> bytes:
        return self._metrics.render(self.engine)

    def version(self) -> dict[str, str]:
        return {"version": version()}

    def served(self, verb: str, seconds: float) -> None:
        self._metrics.requests.labels(verb).observe(seconds)

    def refused(self, verb: str) -> None:
        self._metrics.refused_requests.labels(verb).inc()


async def _first(awaitable: Awaitable[object], *, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(awaitable, timeout_s)
    except TimeoutError:
        return
