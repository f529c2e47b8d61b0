"""Outcomes as columns of numbers: what the figures are made of, in 80 bytes a job and a few more a gang."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.simulate.outcome import Outcome

_NEVER = float("nan")
_TIMES = ("submit_s", "start_s", "end_s", "run_s", "lost_s")
_COUNTS = ("pods", "gpus", "priority", "restarts")


def _columns(names: tuple[str, ...], kind: str) -> dict[str, Any]:
    return {name: array(kind) for name in names}


@dataclass(slots=True)
class Columns:
    """Grows by a job at a time. Gangs of several pods that were placed have the row of their job, spans
    and least spans per level, and crossings (-1 where there is no leaf) besides."""

    levels: int
    _times: dict[str, Any] = field(default_factory=lambda: _columns(_TIMES, "d"))
    _counts: dict[str, Any] = field(default_factory=lambda: _columns(_COUNTS, "q"))
    _tenants: dict[str, int] = field(default_factory=dict)
    _tenant: Any = field(default_factory=lambda: array("q"))
    _row: Any = field(default_factory=lambda: array("q"))
    _crossings: Any = field(default_factory=lambda: array("q"))
    _spans: Any = field(default_factory=lambda: array("q"))
    _least: Any = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._tenant)

    def add(self, one: Outcome) -> None:
        """An outcome that will not change any more."""
        seat = one.seat
        if one.pods > 1 and seat is not None:
            self._row.append(len(self))
            self._crossings.append(-1 if seat.crossings is None else seat.crossings)
            self._spans.extend(seat.spans)
            self._least.extend(one.least)
        self._tenant.append(self._tenants.setdefault(one.tenant, len(self._tenants)))
        times, counts = self._times, self._counts
        times["submit_s"].append(one.submit_s)
        times["start_s"].append(_NEVER if one.start_s is None else one.start_s)
        times["end_s"].append(_NEVER if one.end_s is None else one.end_s)
        times["run_s"].append(one.run_s)
        times["lost_s"].append(one.lost_s)
        counts["pods"].append(one.pods)
        counts["gpus"].append(one.gpus)
        counts["priority"].append(one.priority)
        counts["restarts"].append(one.restarts)

    def table(self) -> Table:
        """All of it as arrays over the same memory: nothing can be added while they are in use."""
        shape = (len(self._row), self.levels)
        return Table(
            **{name: np.frombuffer(column, dtype=np.float64) for name, column in self._times.items()},
            **{name: np.frombuffer(column, dtype=np.int64) for name, column in self._counts.items()},
            tenant=np.frombuffer(self._tenant, dtype=np.int64),
            tenants=self._tenants,
            gang=np.frombuffer(self._row, dtype=np.int64),
            crossings=np.frombuffer(self._crossings, dtype=np.int64),
            spans=np.frombuffer(self._spans, dtype=np.int64).reshape(shape),
            least=np.frombuffer(self._least, dtype=np.int64).reshape(shape),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The columns: one entry per job (nan: it never started, or did not end), and per placed gang of
    several pods its row in them, crossings, and int64[gangs, levels] spans and least spans."""

    submit_s: Any
    start_s: Any
    end_s: Any
    run_s: Any
    lost_s: Any
    pods: Any
    gpus: Any
    priority: Any
    restarts: Any
    tenant: Any
    tenants: Mapping[str, int]
    gang: Any
    crossings: Any
    spans: Any
    least: Any

    @property
    def started(self) -> Any:
        """bool[jobs]."""
        return ~np.isnan(self.start_s)

    @property
    def finished(self) -> Any:
        """bool[jobs]."""
        return ~np.isnan(self.end_s)

    @property
    def wait_s(self) -> Any:
        """float64[jobs], nan of those that never started."""
        return self.start_s - self.submit_s
