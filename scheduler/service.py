"""The running service: watches feed the engine, gangs are planned beside the event loop, plans are
written into pods, schedulers are answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from scheduler.config import Config
from scheduler.decide import BATCH
from scheduler.decisions import Decisions
from scheduler.engine.engine import Engine
from scheduler.engine.facts import Fact
from scheduler.engine.plans import Request
from scheduler.engine.takeover import step_down, take_over
from scheduler.extender import answers
from scheduler.extender.binder import Binder
from scheduler.extender.wire import BindArgs
from scheduler.leading import Cluster, claimed, within
from scheduler.memory import MemoryWatch
from scheduler.metrics import LACKING, STALE, TIGHT, Metrics, Standing
from scheduler.model import InvalidField
from scheduler.paranoid import Paranoid, Trusting
from scheduler.placement.batch import BatchAnswer
from scheduler.placement.problem import Limits, Rejection
from scheduler.progress import Progress
from scheduler.readings import Readings
from scheduler.tracing import NoTracer, Tracer
from scheduler.worlds import world_of
from scheduler.writing import Writing

log = logging.getLogger(__name__)

_REST, _LONGEST_REST_S = 3, 0.1
"""How long a look at gangs that have changed is rested after, times what it took: in a gang of thousands
whose members change one by one, each look is at all of them."""
_SWEEP_S = 1.0


class Service(Readings):
    """One scheduler extender with its engine. Everything but solving runs on one event loop."""

    def __init__(
        self,
        config: Config,
        *,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        solver: Executor | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._metrics, self._config = metrics or Metrics(), config
        self._tracer, folder = tracer or NoTracer(), config.service.records
        super().__init__(
            Engine(world_of(config), lease_s=config.service.lease_s),
            Decisions(self._metrics, tracer=self._tracer, folder=folder),
            limits=Limits(deterministic_s=config.service.solver_s),
            clock=clock,
        )
        self._solver = solver or ThreadPoolExecutor(max_workers=1, thread_name_prefix="solver")
        watchful = Paranoid if config.service.paranoid else Trusting
        self._paranoid = watchful(self.engine, self._metrics)
        self._work = asyncio.Event()
        self._cluster: Cluster | None = None
        self._binder: Binder | None = None
        self._writing: Writing | None = None
        self._waiting = "not connected to a cluster"
        self._stopping = self._too_old = False
        self._rest_s = 0.0
        self.lacking: Callable[[], list[str]] = list
        self.watch_age_s: Callable[[], Mapping[str, float]] = dict
        self.memory = MemoryWatch()
        self.progress = Progress(self.engine, self._metrics)
        self.settled: Callable[[], None] = lambda: None

    def connect(self, cluster: Cluster) -> None:
        """Give the service its cluster; before `run`."""
        self._cluster, self._waiting = cluster, ""
        self._writing = Writing(self.engine, cluster, self._metrics, wake=self.wake)
        self._binder = Binder(
            self.engine,
            self._writing.binding,
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
        """Lead whenever this replica may; until cancelled."""
        assert self._cluster is not None
        try:
            while True:
                if term := self._cluster.term():
                    await self._lead(self._cluster, term)
                await within(self._cluster.changed(), timeout_s=_SWEEP_S)
        finally:
            self._solver.shutdown(wait=False, cancel_futures=True)
            self._questions.close()

    async def _lead(self, cluster: Cluster, term: str) -> None:
        """One term: see everything, take over what was begun, then plan, write and sweep."""
        assert self._binder is not None and self._writing is not None
        self._waiting = "reading what was written before this term"
        while cluster.not_ready() and cluster.term() == term:
            await asyncio.sleep(0.02)
        await cluster.read_again()
        if not await claimed(cluster, self.engine, term, tell=self._wait_for):
            return
        take_over(self.engine, term, self._clock())
        self.settled()
        self._waiting = ""
        try:
            while cluster.term() == term and not self._stopping:
                self._work.clear()
                self._sweep()
                await self._plan_all()
                self._writing.start()
                self._paranoid.look(self._clock())
                await asyncio.sleep(self._rest_s)
                await within(self._work.wait(), timeout_s=_SWEEP_S)
            await self._until_stopped(cluster, term)
        finally:
            self._waiting = "the term has ended"
            self._writing.stop()
            self._binder.stop(self._waiting)
            step_down(self.engine, self._clock())

    def _wait_for(self, what: str) -> None:
        self._waiting = what

    async def drain(self) -> None:
        """Say that we stop, let what is on its way come to an end, and let another replica lead."""
        assert self._cluster is not None and self._binder is not None and self._writing is not None
        self._stopping = True
        self.wake()
        self._binder.close("this replica of lockstep is stopping")
        await self._binder.finish()
        await self._writing.finish()
        await self._cluster.resign()

    async def _until_stopped(self, cluster: Cluster, term: str) -> None:
        """While stopping nothing new is planned; Bindings that are being written come to their end."""
        while cluster.term() == term:
            await within(cluster.changed(), timeout_s=_SWEEP_S)

    def _sweep(self) -> None:
        for key in self.engine.expire(self._clock()):
            self._metrics.expired.inc()
            log.info("gang %s: its lease ended; it waits for another turn", key)
        assert self._writing is not None
        self._writing.release_halves(self._clock(), window_s=self._config.service.broken_start_s)

    async def _plan_all(self) -> None:
        assert self._cluster is not None and self._writing is not None
        term = self.engine.term
        while not (stale := self._cluster.stale()):
            if self._stopping or self._cluster.term() != term:
                return
            began = time.perf_counter()
            requests = self.engine.next_requests(self._clock(), most=BATCH)
            self._rest_s = min(_REST * (time.perf_counter() - began), _LONGEST_REST_S)
            if not requests:
                self._tell_of_age("")
                return
            started = time.perf_counter()
            loop = asyncio.get_running_loop()
            decided = await loop.run_in_executor(self._solver, self._paranoid.decide, requests, self.limits)
            if self._cluster.term() != term:
                return
            each = (time.perf_counter() - started) / len(requests)
            await self._settle(requests, decided, each, term)
            self._writing.start()
        self._tell_of_age(stale)

    def _tell_of_age(self, stale: str) -> None:
        """In the log, when our view becomes too old to plan on, and when it no longer is."""
        if stale and not self._too_old:
            log.warning("degraded: nothing new is planned: %s", stale)
        elif self._too_old and not stale:
            log.info("the view of the cluster is fresh again: gangs are planned")
        self._too_old = bool(stale)

    async def _settle(
        self, requests: Sequence[Request], decided: BatchAnswer, each_s: float, term: str
    ) -> None:
        """Reserve what was placed, while the term lasts and schedulers may be answered in between.

        A refusal counts only if all stands beside which it was refused.
        """
        self._decisions.batch(requests, decided, limits=self.limits, elapsed_s=each_s * len(requests))
        whole = True
        for at in sorted(decided.order, key=lambda at: isinstance(decided.answers[at], Rejection)):
            await asyncio.sleep(0)
            if self._cluster is None or self._cluster.term() != term:
                return
            request, answer = requests[at], decided.answers[at]
            if isinstance(answer, Rejection) and not whole:
                continue
            plan = self.engine.settle(request, answer, now_s=self._clock(), time_ms=each_s * 1000)
            whole = whole and (plan is not None or isinstance(answer, Rejection))
            self._decisions.one(request, answer, elapsed_s=each_s)

    # -- the server asks ----------------------------------------------------------------

    def not_ready(self) -> list[str]:
        """Why schedulers must not be answered now."""
        if self._cluster is None:
            return [self._waiting]
        unread, follower = self._cluster.not_ready(), self._cluster.why_not()
        waiting = [follower] if follower else [self._waiting] if self._waiting else []
        return [*unread, *waiting]

    def unavailable(self) -> list[str]:
        """Why nothing new should be sent here: not ready, or about to stop."""
        return ["stopping"] if self._stopping else self.not_ready()

    def degraded(self) -> list[str]:
        """What does not work as it should, although schedulers are answered."""
        stale = self.stale()
        found = [f"nothing new is planned: {stale}"] if stale else []
        tight = [self.memory.tight] if self.memory.tight else []
        return [f"degraded: {one}" for one in (*found, *self.lacking(), *tight)]

    def stale(self) -> str:
        return self._cluster.stale() if self._cluster else ""

    def dated(self) -> str:
        """Why what is told may not be true any more, or not be all; empty when it is."""
        unread = self._cluster.not_ready() if self._cluster else [self._waiting]
        return self.stale() or (f"not all of the cluster has been read: {unread[0]}" if unread else "")

    def filter(self, body: bytes) -> bytes:
        with self._tracer.span("lockstep.filter", bytes=len(body)):
            answer = answers.filter_nodes(self.engine, body, self._clock())
        self._paranoid.filtered(body, answer)
        return answer

    def prioritize(self, body: bytes) -> bytes:
        return answers.prioritize_nodes(self.engine, body)

    def preempt(self, body: bytes) -> bytes:
        return answers.preempt(self.engine, body)

    async def bind(self, args: BindArgs) -> str:
        assert self._binder is not None
        pod = f"{args.pod_namespace}/{args.pod_name}"
        with self._tracer.span("lockstep.bind", pod=pod, node=args.node) as span:
            error = await self._binder.bind(args)
            span.tell({"bound": not error, "error": error})
        return error

    def metrics(self) -> bytes:
        memory = self.memory.once()
        holding = {STALE: self.stale(), LACKING: self.lacking(), TIGHT: self.memory.tight}
        leading = self._cluster is not None and bool(self._cluster.term())
        standing = Standing(
            ready=not self.unavailable(),
            leading=leading,
            causes=frozenset(cause for cause, holds in holding.items() if holds),
            watch_age_s=self.watch_age_s(),
            memory=memory,
        )
        return self._metrics.render(self.engine, standing, now_s=self._clock())

    def served(self, verb: str, result: str, seconds: float) -> None:
        self._metrics.requests.labels(verb, result).observe(seconds)

    def refused(self, verb: str) -> None:
        self._metrics.refused_requests.labels(verb).inc()
