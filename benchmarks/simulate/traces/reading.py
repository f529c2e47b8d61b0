"""A trace as a stream of jobs in the order they were submitted, whatever its format."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from benchmarks.simulate.rows import Rows
from benchmarks.simulate.traces import formats
from benchmarks.simulate.traces.job import Job, invalid
from benchmarks.simulate.traces.kubectl import kubectl_job, kubectl_rows
from benchmarks.simulate.traces.sacct import SacctReader
from benchmarks.simulate.traces.seen import Seen
from scheduler.model import InvalidInput

MOST_LISTED = 1_000_000
"""Rows left out that are listed; more are counted, so that a file of nothing else takes no more memory."""

WINDOW = 10_000
"""By how many rows a job may stand too late in its file."""


class Entry(Protocol):
    """What a format reads one job from."""

    @property
    def where(self) -> str:
        """The place in the file."""

    def check(self) -> None:
        """Raises InvalidInput for an entry that is broken as such."""


Format = tuple[Callable[[Path], Iterator[Any]], Callable[[Any], Job | None]]
"""Entries of a file, and the job of an entry: None for one that is no job by its nature."""


def _sacct() -> Format:
    reader = SacctReader()
    return reader.rows, reader.job


FORMATS: dict[str, Callable[[], Format]] = {
    "kalos": lambda: (formats.kalos_rows, formats.kalos_job),
    "philly": lambda: (formats.philly_rows, formats.philly_job),
    "openb": lambda: (formats.openb_rows, formats.openb_job),
    "openb-demand": lambda: (formats.openb_rows, formats.openb_demand),
    "plain": lambda: (formats.plain_rows, formats.plain_job),
    "sacct": _sacct,
    "kubectl": lambda: (kubectl_rows, kubectl_job),
}


@dataclass(slots=True)
class Trace:
    """A trace file; `excluded` fills while it is read: where each row stands that is left out, and what
    is wrong with it; `unlisted` counts those past the first `MOST_LISTED`. With `skip_bad`, bad rows are
    left out and listed, otherwise they raise InvalidInput."""

    path: Path
    format: str
    skip_bad: bool = False
    excluded: Rows = field(default_factory=Rows)
    unlisted: int = 0

    def jobs(self) -> Iterator[Job]:
        """Jobs by the time they were submitted, the first at 0, streamed: memory does not grow with
        the file, but for a fingerprint of every id. Raises InvalidInput for a bad row, a
        second job of an id, and a job that stands more than `WINDOW` rows too late."""
        origin_s: float | None = None
        last_s = 0.0
        for job in self._ordered():
            origin_s = job.submit_s if origin_s is None else origin_s
            submit_s = job.submit_s - origin_s
            if submit_s < last_s:
                wanted = f"rows by time of submission, none more than {WINDOW} rows too late"
                self._fault(invalid(job.where, "submit", f"{last_s - submit_s:g} s too late", wanted))
                continue
            last_s = submit_s
            yield replace(job, submit_s=submit_s) if origin_s else job

    def exclude(self, where: str, error: InvalidInput) -> None:
        """Leave out a job for a reason found later, or raise it."""
        self._fault(error, where)

    def _ordered(self) -> Iterator[Job]:
        waiting: list[tuple[float, int, Job]] = []
        for number, job in enumerate(self._rows()):
            heapq.heappush(waiting, (job.submit_s, number, job))
            if len(waiting) > WINDOW:
                yield heapq.heappop(waiting)[2]
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _rows(self) -> Iterator[Job]:
        source, read = FORMATS[self.format]()
        seen = Seen()
        rows: Iterator[Entry] = source(self.path)
        any_row = False
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except InvalidInput as error:
                if not any_row:
                    raise
                self._fault(error)
                return
            any_row = True
            try:
                row.check()
                job = read(row)
                if job is not None:
                    _check(job, seen)
            except InvalidInput as error:
                self._fault(error, row.where)
                continue
            if job is not None:
                yield job

    def _fault(self, error: InvalidInput, where: str = "") -> None:
        if not self.skip_bad:
            raise error
        if len(self.excluded) >= MOST_LISTED:
            self.unlisted += 1
            return
        first = error.faults[0]
        self.excluded.add([where or first.object, f"{first.field} is {first.value!r}"])


def _check(job: Job, seen: Seen) -> None:
    if not job.id:
        raise invalid(job.where, "id", "", "an id")
    if job.duration_s < 0:
        raise invalid(job.where, "duration", f"{job.duration_s:g} s", "an end that is not before the start")
    if not seen.add(job.id):
        raise invalid(job.where, "id", job.id, "an id that no other job has")
