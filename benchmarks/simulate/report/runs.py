"""The simulations on a page: names, colours, and the columns that charts are drawn from."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from topology.colours import colour

_NAMED = ("policy", "queue", "cluster", "trace", "load", "seed", "preload", "tensor", "pipeline")
_HOUR_S, _DAY_S = 3600.0, 86400.0
MOST_WAITS = 20_000
"""Points of a distribution of waits."""


@dataclass(frozen=True, slots=True)
class Run:
    """One document, named by what tells it from the others."""

    name: str
    colour: str
    document: Mapping[str, Any]

    @property
    def summary(self) -> Mapping[str, Any]:
        """Its figures."""
        found: Mapping[str, Any] = self.document["summary"]
        return found

    @property
    def levels(self) -> list[str]:
        """Levels of its cluster, coarse to fine."""
        return list(self.document["cluster"]["levels"])

    def over_time(self, name: str, *, of: str = "") -> list[tuple[float, float]]:
        """(seconds, value) of a column of the timeline, each held until the next."""
        timeline = self.document["timeline"]
        values = timeline[of][name] if of else timeline[name]
        every_s = timeline["deep_every_s" if name in ("fgd", "gang") else "every_s"]
        return [(at * every_s, value) for at, value in enumerate(values)]

    def allocated(self) -> list[tuple[float, float]]:
        """(seconds, GAR)."""
        rows = zip(self.over_time("busy_gpus"), self.over_time("open_gpus"), strict=True)
        return [(at, busy / open_gpus if open_gpus else 0.0) for (at, busy), (_, open_gpus) in rows]

    def slots(self, level: str, size: int) -> list[tuple[float, float]]:
        """(seconds, gangs of so many GPUs that could start, each inside one domain of a level)."""
        timeline = self.document["timeline"]
        at = timeline["slot_gpus"].index(size)
        every_s = timeline["deep_every_s"]
        return [(number * every_s, row[at]) for number, row in enumerate(timeline["slots"][level])]

    def jobs(self) -> Iterator[dict[str, Any]]:
        """Every job by the names of its columns, read as it is asked for."""
        columns = self.document["job_columns"]
        return (dict(zip(columns, row, strict=True)) for row in self.document["job_rows"])

    def waits(self) -> list[tuple[float, float]]:
        """(wait in seconds, share of the jobs that waited at most so long) of those that started; thinned
        where they are many, the longest kept. Jobs before the warm-up's end are not in it."""
        columns = list(self.document["job_columns"])
        submit, start = columns.index("submit_s"), columns.index("start_s")
        since_s = self.document["options"].get("warmup_s", 0.0)
        waited, count = array("d"), 0
        for row in self.document["job_rows"]:
            if row[submit] >= since_s:
                count += 1
                if row[start] is not None:
                    waited.append(row[start] - row[submit])
        ordered = np.sort(np.array(waited))
        size = len(ordered)
        chosen = np.unique(np.linspace(0, size - 1, min(size, MOST_WAITS)).astype(np.int64))
        return [(float(ordered[at]), (at + 1) / count) for at in chosen.tolist()]


def runs_of(documents: Sequence[Mapping[str, Any]]) -> list[Run]:
    """The documents, each named by the options in which they differ; the policy where they do not."""
    options = [document["options"] for document in documents]
    differing = [name for name in _NAMED if len({str(one[name]) for one in options}) > 1] or ["policy"]
    names = [", ".join(_said(name, one[name]) for name in differing) for one in options]
    seen: dict[str, int] = {}
    found = []
    for at, (name, document) in enumerate(zip(names, documents, strict=True)):
        seen[name] = seen.get(name, 0) + 1
        shown = name if seen[name] == 1 else f"{name} ({seen[name]})"
        found.append(Run(shown, colour(at), document))
    return found


def _said(name: str, value: object) -> str:
    if name in ("policy", "queue"):
        return str(value)
    if name in ("trace", "cluster"):
        return str(value).rsplit("/", 1)[-1]
    return f"{name} {value}"


def time_unit(span_s: float) -> tuple[str, float]:
    """The unit in which a span reads well, and its seconds."""
    if span_s > 4 * _DAY_S:
        return "days", _DAY_S
    return ("hours", _HOUR_S) if span_s > 3 * _HOUR_S else ("minutes", 60.0)


def duration(seconds: float) -> str:
    """A time for people."""
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def percent(value: float) -> str:
    """A share, to a tenth of a percent."""
    return f"{value:.1%}"


def number(value: float) -> str:
    """A count, or a value to three figures."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"


def legend(runs: Sequence[Run]) -> str:
    """The colours of the runs."""
    marks = "".join(f'<span><i style="background:{run.colour}"></i>{escape(run.name)}</span>' for run in runs)
    return f'<div class="legend">{marks}</div>'
