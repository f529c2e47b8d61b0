"""The replay: jobs come, wait, start whole, and end; nodes fail and are repaired. Time is virtual.

At one instant ends come first, then repairs and failures, then submissions; then the queue is
looked at once. Durations are known to backfill, as if every estimate were right.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.simulate.backfill import Reservation, reserve
from benchmarks.simulate.events import NodeEvent
from benchmarks.simulate.policies import Answer
from benchmarks.simulate.site import Key, Site, key_of
from benchmarks.simulate.traces.job import Job
from scheduler.model import InvalidInput
from scheduler.placement.problem import Int32, Int64, PlacementProblem

DISCIPLINES = ("fifo", "backfill", "priority")
_NEVER_S = float("inf")

Ask = Callable[[Callable[[], PlacementProblem]], Answer]
Refuse = Callable[[Job, InvalidInput], None]


@dataclass(slots=True, eq=False)
class Task:
    """A job on its way, the `number`-th to come: `left_s` of its run time to go, `started_s` its first
    start, `since_s` its present one, `restarts` after failures, `lost_s` of run time that failures undid."""

    job: Job
    order: tuple[float, ...]
    left_s: float
    key: Key
    number: int
    started_s: float | None = None
    since_s: float = 0.0
    restarts: int = 0
    lost_s: float = 0.0

    def __lt__(self, other: Task) -> bool:
        return self.order < other.order


class Observer(Protocol):
    """Who keeps the figures."""

    def advance(self, now_s: float, replay: Replay) -> None:
        """Time goes on to `now_s`; until then nothing changes."""

    def submitted(self, task: Task) -> None: ...

    def started(self, task: Task, nodes: Int32, proof: str) -> None: ...

    def ended(self, task: Task, now_s: float, *, finished: bool) -> None:
        """A gang has run to its end, or was ended by a failure."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the queue is worked off: the discipline; how many waiting jobs backfill looks at; how much
    faster jobs come than recorded; when the simulation ends; run time between checkpoints
    (0: a job that is ended by a failure begins again)."""

    discipline: str = "fifo"
    depth: int = 100
    load: float = 1.0
    horizon_s: float = _NEVER_S
    checkpoint_s: float = 0.0


@dataclass(slots=True)
class Replay:
    """One simulation. `queue` holds what waits, in order; `blocked` says why its head does:
    "" (nothing waits), "full" or "fragmented" (enough GPUs are free, but no place is)."""

    site: Site
    ask: Ask
    rules: Rules
    observer: Observer
    refuse: Refuse
    now_s: float = 0.0
    queue: list[Task] = field(default_factory=list)
    blocked: str = ""
    _ends: list[tuple[float, int, Task]] = field(default_factory=list)
    _by_id: dict[str, Task] = field(default_factory=dict)
    _count: int = 0
    _come: int = 0
    _refused: set[Key] = field(default_factory=set)
    _refused_long: set[Key] = field(default_factory=set)
    _reservation: Reservation | None = None

    def run(self, jobs: Iterator[Job], events: Iterator[NodeEvent]) -> None:
        """To the end of the last job that can run, or to the horizon."""
        job, event = next(jobs, None), next(events, None)
        while True:
            submit_s = job.submit_s / self.rules.load if job else _NEVER_S
            end_s = self._ends[0][0] if self._ends else _NEVER_S
            event_s = event.at_s if event and (job or self._ends or self.queue) else _NEVER_S
            now_s = min(submit_s, end_s, event_s)
            if now_s == _NEVER_S or now_s > self.rules.horizon_s:
                break
            self._advance(now_s)
            while self._ends and self._ends[0][0] == now_s:
                self._finish(heapq.heappop(self._ends)[2])
            while event and event.at_s == now_s:
                self._change(event)
                event = next(events, None)
            while job and job.submit_s / self.rules.load == now_s:
                self._submit(job)
                job = next(jobs, None)
            self._settle()
        if self.rules.horizon_s < _NEVER_S:
            self._advance(self.rules.horizon_s)

    def ends(self) -> list[tuple[float, Job, Int32]]:
        """(end, job, nodes) of every gang that runs, by end."""
        running = self.site.running()
        return [(end_s, task.job, running[task.job.id][1]) for end_s, _, task in sorted(self._ends)]

    def _advance(self, now_s: float) -> None:
        self.observer.advance(now_s, self)
        self.now_s = now_s

    def _submit(self, job: Job) -> None:
        try:
            self.site.least(job)
        except InvalidInput as error:
            self.refuse(job, error)
            return
        self._count += 1
        first = -job.priority if self.rules.discipline == "priority" else 0
        task = Task(job, (first, job.submit_s, self._count), job.duration_s, key_of(job), self._come)
        self._come += 1
        self.observer.submitted(task)
        self._enqueue(task)

    def _enqueue(self, task: Task) -> None:
        if not self.queue or self.queue[-1] < task:
            self.queue.append(task)
        else:
            insort(self.queue, task)

    def _finish(self, task: Task) -> None:
        self._end(task, finished=True)

    def _end(self, task: Task, *, finished: bool) -> None:
        del self._by_id[task.job.id]
        self.site.give_back(task.job)
        self.observer.ended(task, self.now_s, finished=finished)
        self._room_came_free()

    def _room_came_free(self) -> None:
        self._refused.clear()
        self._refused_long.clear()

    def _change(self, event: NodeEvent) -> None:
        """A node fails, with every gang that has a pod on it, or is repaired."""
        if not event.ready:
            at = self.site.names.index(event.node)
            hit = sorted(name for name, (_, nodes) in self.site.running().items() if (nodes == at).any())
            for name in hit:
                self._interrupt(self._by_id[name])
        self.site.set_ready(event.node, ready=event.ready)
        self._room_came_free()
        self._reservation = None

    def _interrupt(self, task: Task) -> None:
        done_s = self.now_s - task.since_s
        step_s = self.rules.checkpoint_s
        kept_s = done_s // step_s * step_s if step_s else 0.0
        task.left_s -= kept_s
        task.lost_s += done_s - kept_s
        task.restarts += 1
        self._ends = [entry for entry in self._ends if entry[2] is not task]
        heapq.heapify(self._ends)
        self._end(task, finished=False)
        self._enqueue(task)

    def _settle(self) -> None:
        """Start what the discipline allows."""
        while self.queue and self._try(self.queue[0], refused=self._refused):
            self.queue.pop(0)
            self._reservation = None
        if not self.queue:
            self.blocked = ""
            return
        if self.rules.discipline == "backfill" and len(self.queue) > 1:
            self._backfill()
        self.blocked = "full" if self.queue[0].job.gpus > self.site.free_gpus else "fragmented"

    def _try(self, task: Task, *, refused: set[Key], free: Int64 | None = None) -> bool:
        """Start a job if it has a place in what is free; a shape that had none is not asked about
        again until room comes free."""
        job = task.job
        key = task.key
        if key in refused or job.gpus > self.site.free_gpus:
            return False
        if free is None and not self.site.has_room(job):
            refused.add(key)
            return False
        answer = self.ask(lambda: self.site.problem(job, free=free))
        if answer.nodes is None:
            refused.add(key)
            return False
        self.site.take(job, answer.nodes)
        task.since_s = self.now_s
        task.started_s = self.now_s if task.started_s is None else task.started_s
        self._by_id[job.id] = task
        self._count += 1
        heapq.heappush(self._ends, (self.now_s + task.left_s, self._count, task))
        self.observer.started(task, answer.nodes, answer.proof)
        return True

    def _backfill(self) -> None:
        """Start later jobs that do not delay the head: those that end before it can start, and those
        that stay out of the room it will get."""
        head = self.queue[0]
        if self._reservation is None or self._reservation.at_s <= self.now_s:
            self._reservation = reserve(head.job, self.site, self.ends(), self.ask)
            self._refused_long.clear()
        kept = self._reservation
        for task in self.queue[1 : self.rules.depth + 1]:
            if self.now_s + task.left_s <= kept.at_s:
                started = self._try(task, refused=self._refused)
            elif task.key in self._refused:
                continue
            else:
                beside = kept.beside(self.site.free())
                started = self._try(task, refused=self._refused_long, free=beside)
                if started:
                    kept.take(task.job, self.site)
            if started:
                self.queue.remove(task)
