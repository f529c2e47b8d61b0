"""What came of a simulation: waits, use, fragmentation and spans, each as the field defines it.

Notation: job j with g_j GPUs, submitted at s_j, started (all pods at once) at b_j, ended at
f_j; G(t) GPUs on usable nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.simulate import communication
from benchmarks.simulate.communication import Listener
from benchmarks.simulate.outcome import CLASSES, Outcome, class_of, ranges
from benchmarks.simulate.replay import Replay, Task
from benchmarks.simulate.samples import Samples
from benchmarks.simulate.site import Site
from benchmarks.simulate.stats import average, percentiles, rounded, share
from scheduler.placement.problem import Int32

SLOWDOWN_LEAST_S = 600.0


@dataclass(slots=True)
class Meter:
    """Keeps the figures while a replay runs; `outcomes` in the order of submission."""

    site: Site
    load: float
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    proofs: Counter[str] = field(default_factory=Counter)
    busy_gpu_s: float = 0.0
    open_gpu_s: float = 0.0
    queued_s: float = 0.0
    queued_busy_gpu_s: float = 0.0
    queued_open_gpu_s: float = 0.0
    fragmented_s: float = 0.0
    fragmented_gpu_s: float = 0.0
    now_s: float = 0.0
    most_busy: int = 0
    gar_s: float = 0.0
    _samples: Samples | None = None
    _listener: Listener | None = None

    def advance(self, now_s: float, replay: Replay) -> None:
        """Integrals up to now; then a sample where one is due."""
        passed_s = now_s - self.now_s
        busy, open_gpus = self.site.busy_gpus, self.site.open_gpus
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
        if passed_s > 0:
            self.samples.until(now_s, queued=len(replay.queue))
        self.now_s = now_s

    @property
    def samples(self) -> Samples:
        if self._samples is None:
            self._samples = Samples(self.site)
        return self._samples

    @property
    def listener(self) -> Listener:
        if self._listener is None:
            self._listener = Listener(self.site, {})
        return self._listener

    def submitted(self, task: Task) -> None:
        job = task.job
        least = self.site.least(job)
        self.outcomes[job.id] = Outcome(
            job.id, job.submit_s / self.load, job.duration_s, job.pods, job.gpus, job.tenant, least=least
        )
        self.outcomes[job.id].priority = job.priority
        self.samples.mix.add(job)

    def started(self, task: Task, nodes: Int32, proof: str) -> None:
        outcome = self.outcomes[task.job.id]
        outcome.start_s, outcome.placed_s, outcome.proof = task.started_s, task.since_s, proof
        self.proofs[proof] += 1
        if len(nodes) == 1:
            outcome.spans, outcome.crossings = (1,) * len(self.site.levels), 0
            outcome.nodes = str(int(nodes[0]))
            return
        domains = {level: of[nodes] for level, of in self.site.domain_of.items()}
        outcome.spans = tuple(int(np.unique(domains[level]).size) for level in self.site.levels)
        leaf = domains.get("leaf")
        outcome.crossings = None if leaf is None else int((leaf[1:] != leaf[:-1]).sum())
        outcome.nodes = ranges(nodes)
        outcome.talk = self.listener.hear(task.job, nodes)

    def ended(self, task: Task, now_s: float, *, finished: bool) -> None:
        outcome = self.outcomes[task.job.id]
        outcome.restarts, outcome.lost_s = task.restarts, task.lost_s
        if finished:
            outcome.end_s = now_s


def summary(meter: Meter) -> dict[str, Any]:
    """The figures of a finished replay, as they stand in the document."""
    outcomes = list(meter.outcomes.values())
    return {
        "jobs": _counts(outcomes),
        "allocation": _allocation(meter, outcomes),
        "waiting": _by_class(outcomes),
        "waiting_by_priority": _by_priority(outcomes),
        "fragmentation": _fragmentation(meter),
        "placement": _placement(meter.site.levels, outcomes),
        "communication": communication.summary(
            [one.talk for one in outcomes if one.talk is not None], meter.site.levels
        ),
        "proof": dict(sorted(meter.proofs.items())),
        "proof_share": share(meter.proofs["optimal"], meter.proofs.total()),
        "failures": _failures(outcomes),
    }


def _by_class(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All jobs, then each size class that has any."""
    classes: dict[str, list[Outcome]] = {name: [] for name, _ in CLASSES}
    for one in outcomes:
        classes[class_of(one.gpus)].append(one)
    return {"all": _waits(outcomes), **{name: _waits(found) for name, found in classes.items() if found}}


def _by_priority(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Each priority, where there are several."""
    found = sorted({one.priority for one in outcomes}, reverse=True)
    if len(found) < 2:
        return {}
    return {str(rank): _waits([one for one in outcomes if one.priority == rank]) for rank in found}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    never = [one for one in outcomes if one.start_s is None]
    return {
        "submitted": len(outcomes),
        "started": len(outcomes) - len(never),
        "finished": sum(one.end_s is not None for one in outcomes),
        "never_started": len(never),
        "never_started_gpus": sum(one.gpus for one in never),
        "gangs": sum(one.pods > 1 for one in outcomes),
        "pods": sum(one.pods for one in outcomes),
    }


def _allocation(meter: Meter, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "span_s": rounded(meter.now_s),
        "gar_mean": share(meter.gar_s, meter.now_s),
        "sor": share(meter.busy_gpu_s, meter.open_gpu_s),
        "gar_while_queued": share(meter.queued_busy_gpu_s, meter.queued_open_gpu_s),
        "queued_share": share(meter.queued_s, meter.now_s),
        "most_busy_gpus": meter.most_busy,
        "goodput": share(meter.busy_gpu_s - sum(one.lost_s * one.gpus for one in outcomes), meter.open_gpu_s),
        "makespan_s": rounded(
            max((one.end_s for one in outcomes if one.end_s is not None), default=0.0)
            - min((one.submit_s for one in outcomes), default=0.0)
        ),
    }


def _waits(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Wait b - s, completion f - s and bounded slowdown max(1, (w + d) / max(d, 600 s))."""
    waits = [one.wait_s for one in outcomes if one.wait_s is not None]
    done = [one for one in outcomes if one.end_s is not None and one.start_s is not None]
    completions = [one.end_s - one.submit_s for one in done if one.end_s is not None]
    slowdowns = [
        max(1.0, ((one.wait_s or 0.0) + one.run_s) / max(one.run_s, SLOWDOWN_LEAST_S)) for one in done
    ]
    started = [one for one in outcomes if one.wait_s is not None]
    weight = sum(one.gpus * one.run_s for one in started)
    weighted = sum(one.gpus * one.run_s * (one.wait_s or 0.0) for one in started)
    return {
        "jobs": len(outcomes),
        "waited": sum(wait > 0 for wait in waits),
        "wait_s": percentiles(waits),
        "completion_s": percentiles(completions),
        "slowdown": percentiles(slowdowns),
        "wait_s_by_gpu_time": rounded(weighted / weight) if weight else 0.0,
    }


def _fragmentation(meter: Meter) -> dict[str, Any]:
    taken = meter.samples.taken
    levels = meter.site.levels
    return {
        "gfr": average(one.gfr for one in taken),
        "domains": {level: average(one.fragmented[level] for one in taken) for level in levels},
        "largest_gang": {level: percentiles([one.largest[level] for one in taken]) for level in levels},
        "blocked_share": share(meter.fragmented_s, meter.now_s),
        "blocked_gpu_s": rounded(meter.fragmented_gpu_s),
        "fgd": average(one.fgd for one in meter.samples.deep),
        "fgd_of_idle": average(one.fgd_idle for one in meter.samples.deep),
        "gang": average(one.gang for one in meter.samples.deep),
        "sampled_every_s": meter.samples.every_s,
        "samples": len(taken),
    }


def _placement(levels: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Spans of gangs of several pods: S_l, S_l over the least possible, and neighbours across leaves."""
    gangs = [one for one in outcomes if one.pods > 1 and one.spans]
    found: dict[str, Any] = {"gangs": len(gangs)}
    gpu_s = [one.gpus * one.run_s for one in gangs]
    for at, level in enumerate(levels):
        excess = [one.spans[at] / one.least[at] for one in gangs]
        found[level] = {
            "span_mean": average(one.spans[at] for one in gangs),
            "least_mean": average(one.least[at] for one in gangs),
            "excess_mean": average(excess),
            "at_least_share": share(sum(value == 1 for value in excess), len(excess)),
            "at_least_gpu_time_share": share(
                sum(g for g, value in zip(gpu_s, excess, strict=True) if value == 1), sum(gpu_s)
            ),
        }
    pairs = sum(one.pods - 1 for one in gangs if one.crossings is not None)
    found["neighbours_across_leaves"] = share(sum(one.crossings or 0 for one in gangs), pairs)
    return found


def _failures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Restarts, and ETTR: run time over the time from the first start to the end."""
    done = [
        (one.run_s, one.end_s - one.start_s)
        for one in outcomes
        if one.end_s is not None and one.start_s is not None and one.end_s > one.start_s
    ]
    return {
        "restarts": sum(one.restarts for one in outcomes),
        "lost_gpu_h": rounded(sum(one.lost_s * one.gpus for one in outcomes) / 3600),
        "ettr_mean": average(run_s / took_s for run_s, took_s in done),
    }
