"""One simulation from its options to its document."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.recording import made_by
from benchmarks.simulate import events
from benchmarks.simulate.clusters import ClusterSource, cluster
from benchmarks.simulate.definitions import DEFINITIONS
from benchmarks.simulate.document import SCHEMA
from benchmarks.simulate.journal import Journal
from benchmarks.simulate.meter import Meter, Scale
from benchmarks.simulate.metrics import summary
from benchmarks.simulate.outcome import JOB_COLUMNS
from benchmarks.simulate.policies import Answer, Decide, decider, objective_of, remembered
from benchmarks.simulate.pricing import Sizes
from benchmarks.simulate.replay import Replay, Rules
from benchmarks.simulate.site import Site, Wishes
from benchmarks.simulate.stats import percentiles, rounded
from benchmarks.simulate.timeline import timeline
from benchmarks.simulate.traces.job import Job, invalid
from benchmarks.simulate.traces.reading import FORMATS, Trace
from scheduler.model import SCOPES, Constraint, InvalidInput
from scheduler.placement.check import violations
from scheduler.placement.problem import Limits, PlacementProblem

Progress = Callable[[int, float], None]
"""Told the number of jobs that have come and the time of the simulation, now and then."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides the outcome; the same options and files give the same document."""

    trace: str
    format: str
    cluster: str
    policy: str = "lockstep"
    queue: str = "fifo"
    depth: int = 100
    load: float = 1.0
    seed: int = 0
    preload: float = 0.0
    jobs: int | None = None
    horizon_s: float | None = None
    required: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    failures: str | None = None
    mtbf_h: float | None = None
    mttr_h: float = 4.0
    checkpoint_s: float = 0.0
    tensor: int = 1
    pipeline: int = 1
    prefill: float = 0.0
    warmup_s: float = 0.0
    quotas: tuple[tuple[str, float], ...] = ()
    skip_bad: bool = False
    check: bool = False


@dataclass(slots=True)
class Simulation:
    """A simulation that is ready to run; `close` keeps the journal when it is interrupted."""

    options: Options
    source: ClusterSource
    trace: Trace
    site: Site
    journal: Journal
    meter: Meter
    replay: Replay
    digest: str
    trace_sha256: str
    wall_s: float = field(default=0.0)

    def run(self, progress: Progress = lambda _jobs, _now_s: None) -> None:
        """To its end. Raises InvalidInput for a bad row or a job that the cluster could never hold."""
        started = time.perf_counter()
        try:
            self.replay.run(self._told(progress), _events(self.options, self.site))
            self.meter.close(self.replay)
        finally:
            self.journal.close()
            self.wall_s = time.perf_counter() - started

    def document(self, *, times: bool = True) -> dict[str, Any]:
        """`lockstep.simulation/v1`; without `times` the same bytes for the same options."""
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "digest": self.digest,
            "options": asdict(self.options),
            "trace": {"name": Path(self.options.trace).name, "sha256": self.trace_sha256},
            "cluster": {
                "name": self.source.name,
                "nodes": len(self.site.names),
                "gpus": int(self.site.gpu_rows()[1].sum()),
                "background_pods": len(self.source.background),
                "levels": list(self.site.levels),
            },
            "summary": summary(self.meter),
            "definitions": dict(DEFINITIONS),
            "timeline": timeline(self.meter.samples),
            "excluded": self.trace.excluded,
            "excluded_unlisted": self.trace.unlisted,
            "job_columns": list(JOB_COLUMNS),
            "job_rows": self.meter.rows,
        }
        if times:
            found["measured"] = self._measured(len(self.meter.rows))
        return found

    def _measured(self, jobs: int) -> dict[str, Any]:
        return {
            "made_by": made_by(),
            "wall_s": rounded(self.wall_s),
            "jobs_per_s": rounded(jobs / self.wall_s) if self.wall_s else 0.0,
            "decisions": len(self.journal.times_ms),
            "decisions_from_journal": self.journal.replayed,
            "decision_ms": percentiles(self.journal.times_ms),
        }

    def _told(self, progress: Progress) -> Iterator[Job]:
        for count, job in enumerate(islice(self.trace.jobs(), self.options.jobs)):
            if count % 256 == 0:
                progress(count, job.submit_s / self.options.load)
            yield job


def prepare(
    options: Options, *, journal: Path | None = None, resume: bool = False, folder: Path | None = None
) -> Simulation:
    """Read what the options name; raises InvalidInput for anything wrong with it. `folder`: where rows
    wait on the disk until the document is written."""
    _check(options)
    source = cluster(options.cluster, preload=options.preload, seed=options.seed)
    wishes = Wishes(
        (*_wishes(options.required, required=True), *_wishes(options.preferred, required=False)),
        objective_of(options.policy),
        Sizes(options.tensor, options.pipeline),
    )
    decide = remembered(decider(options.policy, limits=Limits(), seed=options.seed))
    site = Site(source, wishes)
    trace = Trace(Path(options.trace), options.format, skip_bad=options.skip_bad)
    trace_digest = _file_digest(options.trace)
    digest = _digest(options, source, trace_digest)
    keeper = Journal(_checked(decide) if options.check else decide, journal, digest=digest, resume=resume)
    scale = Scale(options.load, options.warmup_s, options.quotas)
    meter = Meter(site, scale, prefill=options.prefill, folder=folder)
    rules = Rules(
        options.queue,
        options.depth,
        options.load,
        float("inf") if options.horizon_s is None else options.horizon_s,
        options.checkpoint_s,
    )
    replay = Replay(site, keeper.ask, rules, meter, lambda job, error: trace.exclude(job.where, error))
    return Simulation(options, source, trace, site, keeper, meter, replay, digest, trace_digest.hex())


def _check(options: Options) -> None:
    if options.format not in FORMATS:
        raise invalid("--format", "name", options.format, f"one of {', '.join(FORMATS)}")
    for name, value in (("--load", options.load), ("--mttr-h", options.mttr_h)):
        if not value > 0:
            raise invalid(name, "value", value, "more than 0")
    for name, size in (("--tensor-parallel", options.tensor), ("--pipeline-parallel", options.pipeline)):
        if size < 1:
            raise invalid(name, "size", size, "at least 1")
    if not 0 <= options.prefill < 1:
        raise invalid("--prefill", "share", options.prefill, "at least 0 and below 1")
    if not options.warmup_s >= 0:
        raise invalid("--warmup-s", "value", options.warmup_s, "at least 0")
    if options.mtbf_h is not None and not options.mtbf_h > 0:
        raise invalid("--mtbf-h", "value", options.mtbf_h, "more than 0")


def _wishes(words: tuple[str, ...], *, required: bool) -> Iterator[Constraint]:
    for word in words:
        scope, _, level = word.partition("=")
        known = next((one for one in SCOPES if one == scope), None)
        if known is None or not level:
            option = "--required" if required else "--preferred"
            raise invalid(option, "wish", word, "scope=level, such as gang=leaf")
        yield Constraint(known, level, required, "simulate")


def _events(options: Options, site: Site) -> Iterator[events.NodeEvent]:
    if options.failures is not None:
        return events.from_list(Path(options.failures), site.names)
    if options.mtbf_h is not None:
        mtbf_s, mttr_s = options.mtbf_h * 3600, options.mttr_h * 3600
        return events.by_rate(site.names, mtbf_s=mtbf_s, mttr_s=mttr_s, seed=options.seed)
    return iter(())


def _digest(options: Options, source: ClusterSource, trace: bytes) -> str:
    """Of everything that decides the outcome: options, trace, list of failures, nodes and background."""
    total = hashlib.sha256()
    given = {key: value for key, value in asdict(options).items() if key not in ("trace", "failures")}
    total.update(json.dumps(given, sort_keys=True).encode())
    total.update(trace)
    total.update(_file_digest(options.failures) if options.failures else b"-")
    total.update(repr(source.nodes).encode())
    total.update(repr([(pod.uid, pod.node, pod.shape) for pod in source.background]).encode())
    return total.hexdigest()


def digest_of(text: str) -> str:
    """A fingerprint of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise invalid(name, "file", name, f"a file that can be read ({error.strerror})") from error


def _checked(decide: Decide) -> Decide:
    """A decider whose every answer the referee looks at."""

    def checked(problem: PlacementProblem) -> Answer:
        answer = decide(problem)
        if answer.nodes is not None and (wrong := violations(problem, answer.nodes)):
            raise AssertionError(f"{problem.gang}: {wrong[0].message}")
        return answer

    return checked


__all__ = ["InvalidInput", "Options", "Simulation", "prepare"]
