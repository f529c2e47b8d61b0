"""Keeps the figures while a replay runs: integrals over time, and the outcome of every job as it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.simulate.columns import Columns
from benchmarks.simulate.communication import Listener, Tally
from benchmarks.simulate.outcome import Outcome, job_row
from benchmarks.simulate.replay import Replay, Task
from benchmarks.simulate.rows import Rows
from benchmarks.simulate.samples import Samples
from benchmarks.simulate.seats import Seat, Seats
from benchmarks.simulate.site import Site
from benchmarks.simulate.tenants import Tenants
from benchmarks.simulate.waste import Waste
from scheduler.placement.problem import Int32


@dataclass(frozen=True, slots=True)
class Scale:
    """How the figures are taken: how much faster jobs come than recorded; from when on figures count
    (jobs that come before are in no figure but in the rows); quotas as weights of tenants."""

    load: float = 1.0
    warmup_s: float = 0.0
    quotas: tuple[tuple[str, float], ...] = ()


class Meter:
    """`rows`: every job, by the order of submission, on the disk once they are many."""

    def __init__(self, site: Site, scale: Scale, *, prefill: float = 0.0, folder: Path | None = None) -> None:
        self.site, self.scale = site, scale
        self.rows = Rows(folder)
        self.columns = Columns(len(site.levels))
        self.seats = Seats(site, Listener(site, prefill=prefill))
        self.talks = Tally(site.levels)
        self.tenants = Tenants(dict(scale.quotas))
        self.samples = Samples(site, self.tenants)
        self.waste = Waste(site)
        self.sums = Sums()
        self.now_s = 0.0
        self.warming = 0
        self._running: dict[str, Outcome] = {}
        self._waiting: Counter[int] = Counter()

    @property
    def span_s(self) -> float:
        """Time that counts."""
        return max(self.now_s - self.scale.warmup_s, 0.0)

    def advance(self, now_s: float, replay: Replay) -> None:
        """Integrals up to now; then a sample where one is due."""
        passed_s = now_s - (self.now_s if self.now_s >= self.scale.warmup_s else self.scale.warmup_s)
        if passed_s > 0:
            self.sums.add(passed_s, self.site.busy_gpus, self.site.open_gpus, replay)
            self.waste.advance(passed_s)
        if now_s > self.now_s:
            self.samples.until(now_s, queued=len(replay.queue))
        self.now_s = now_s

    def submitted(self, task: Task) -> None:
        self.samples.mix.add(task.job)
        self.tenants.asks(task.job.tenant, task.job.gpus)
        self._waiting[task.job.priority] += 1

    def started(self, task: Task, nodes: Int32, proof: str) -> None:
        job = task.job
        self._leaves_queue(job.priority, submit_s=job.submit_s)
        self.tenants.runs(job.tenant, job.gpus)
        outcome = self._running.get(job.id)
        if outcome is None:
            outcome = self._running[job.id] = self._outcome(task)
        outcome.start_s, outcome.placed_s, outcome.proof = task.started_s, task.since_s, proof
        if self._counts(outcome):
            self.sums.proofs[proof] += 1
        if len(nodes) == 1:
            outcome.seat = Seat((1,) * len(self.site.levels), 0, str(int(nodes[0])), None)
        else:
            outcome.seat = self.seats.of(job, nodes)

    def ended(self, task: Task, now_s: float, *, finished: bool) -> None:
        job = task.job
        outcome = self._running[job.id]
        outcome.restarts, outcome.lost_s = task.restarts, task.lost_s
        self.tenants.runs(job.tenant, -job.gpus)
        if finished:
            self.tenants.asks(job.tenant, -job.gpus)
            outcome.end_s = now_s
            self._settle(self._running.pop(job.id))
        else:
            self._waiting[job.priority] += 1

    def close(self, replay: Replay) -> None:
        """The end: what still runs or waits is settled as it is."""
        left = list(self._running.values())
        left += [self._outcome(task) for task in replay.queue if task.job.id not in self._running]
        for outcome in sorted(left, key=lambda one: one.number):
            self._settle(outcome)
        self._running.clear()

    def _outcome(self, task: Task) -> Outcome:
        job = task.job
        return Outcome(
            task.number,
            job.id,
            job.submit_s / self.scale.load,
            job.duration_s,
            job.pods,
            job.gpus,
            job.tenant,
            priority=job.priority,
            least=self.site.least(job),
        )

    def _counts(self, outcome: Outcome) -> bool:
        return outcome.submit_s >= self.scale.warmup_s

    def _leaves_queue(self, priority: int, *, submit_s: float) -> None:
        """Counts a start past a job of higher priority that waits."""
        waiting = self._waiting
        waiting[priority] -= 1
        if not waiting[priority]:
            del waiting[priority]
        if len(waiting) and submit_s / self.scale.load >= self.scale.warmup_s and max(waiting) > priority:
            self.sums.inversions += 1

    def _settle(self, outcome: Outcome) -> None:
        self.rows.put(outcome.number, job_row(outcome))
        if not self._counts(outcome):
            self.warming += 1
            return
        self.columns.add(outcome)
        if outcome.seat is not None and outcome.seat.talk is not None:
            self.talks.add(outcome.seat.talk, gpu_s=outcome.gpus * outcome.run_s)


@dataclass(slots=True)
class Sums:
    """Integrals over the time that counts, and counters."""

    busy_gpu_s: float = 0.0
    open_gpu_s: float = 0.0
    queued_s: float = 0.0
    queued_busy_gpu_s: float = 0.0
    queued_open_gpu_s: float = 0.0
    fragmented_s: float = 0.0
    fragmented_gpu_s: float = 0.0
    gar_s: float = 0.0
    most_busy: int = 0
    inversions: int = 0
    proofs: Counter[str] = field(default_factory=Counter)

    def add(self, passed_s: float, busy: int, open_gpus: int, replay: Replay) -> None:
        """Time in which nothing changes."""
        self.busy_gpu_s += busy * passed_s
        self.open_gpu_s += open_gpus * passed_s
        self.gar_s += passed_s * busy / open_gpus if open_gpus else 0.0
        self.most_busy = max(self.most_busy, busy)
        if replay.blocked:
            self.queued_s += passed_s
            self.queued_busy_gpu_s += busy * passed_s
            self.queued_open_gpu_s += open_gpus * passed_s
        if replay.blocked == "fragmented":
            self.fragmented_s += passed_s
            self.fragmented_gpu_s += replay.queue[0].job.gpus * passed_s
