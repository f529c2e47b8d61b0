"""Two simulations side by side: figures, which gangs moved, gained or lost, and limits that must hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.simulate.traces.job import invalid

Document = Mapping[str, Any]

FIGURES: Mapping[str, str] = {
    "jobs_finished": "jobs.finished",
    "never_started": "jobs.never_started",
    "gar_mean": "allocation.gar_mean",
    "gar_while_queued": "allocation.gar_while_queued",
    "makespan_s": "allocation.makespan_s",
    **{f"wait_{mark}_s": f"waiting.all.wait_s.{mark}" for mark in ("mean", "p50", "p95", "p99", "max")},
    **{f"completion_{mark}_s": f"waiting.all.completion_s.{mark}" for mark in ("mean", "p50", "p99")},
    "slowdown_mean": "waiting.all.slowdown.mean",
    "slowdown_p99": "waiting.all.slowdown.p99",
    "wait_by_gpu_time_s": "waiting.all.wait_s_by_gpu_time",
    "gfr": "fragmentation.gfr",
    "blocked_share": "fragmentation.blocked_share",
    "neighbours_across_leaves": "placement.neighbours_across_leaves",
    "fgd": "fragmentation.fgd",
    "gang_fragmentation": "fragmentation.gang",
    "step_ms": "communication.step_ms.mean",
    "step_ratio": "communication.step_ratio.mean",
    "proof_share": "proof_share",
    "lost_gpu_h": "failures.lost_gpu_h",
    "priority_inversions": "priority_inversions",
}
"""Short names of figures, and where they stand in the summary. A dotted path is a name too."""

_LIMIT = re.compile(r"\s*([\w.>-]+?)\s*([<>])\s*(\d+(?:\.\d+)?)(x?)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """What must not be: figure `name` of B above (or below) `value`, or so many times that of A."""

    text: str
    name: str
    above: bool
    value: float
    relative: bool

    def broken(self, a: Document, b: Document) -> bool:
        """Whether B goes beyond it; raises InvalidInput for an unknown figure."""
        return self.beyond(figure(a, self.name) if self.relative else 1.0, figure(b, self.name))

    def beyond(self, before: float, found: float) -> bool:
        """Whether a figure of B goes beyond it, where A has `before` (for relative limits)."""
        limit = self.value * before if self.relative else self.value
        return found > limit if self.above else found < limit


def limit_of(text: str) -> Limit:
    """`wait_p99_s>1.1x`, `gar_mean<0.8`; raises InvalidInput for anything else."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise invalid(
            "--fail-on", "limit", text, "NAME>NUMBER, NAME<NUMBER, or with an x for times A's figure"
        )
    return Limit(text, match[1], match[2] == ">", float(match[3]), bool(match[4]))


def figure(document: Document, name: str) -> float:
    """One figure of a summary by its short name or path; raises InvalidInput for an unknown one."""
    found: Any = document["summary"]
    for part in FIGURES.get(name, name).split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, int | float):
        wanted = f"one of {', '.join(FIGURES)}, or a path into the summary such as waiting.9-64.wait_s.p99"
        raise invalid("--fail-on", "figure", name, wanted)
    return float(found)


def compared(a: Document, b: Document, limits: Sequence[Limit]) -> dict[str, Any]:
    """`lockstep.comparison/v1`: figures of both, jobs that differ, and the limits that B breaks.

    `moved`: started in both, on other nodes; `gained` and `lost`: started only in B, only in A;
    `sooner` and `later`: seconds by which B started a job before or after A, by the most first.
    """
    ours, theirs = _jobs(a), _jobs(b)
    both = [name for name in ours if name in theirs]
    begun = {name: (ours[name][0] is not None, theirs[name][0] is not None) for name in both}
    started = [name for name in both if begun[name] == (True, True)]
    shift = {name: (theirs[name][0] or 0.0) - (ours[name][0] or 0.0) for name in started}
    return {
        "schema": "lockstep.comparison/v1",
        "a": a["options"],
        "b": b["options"],
        "figures": {name: [figure(a, name), figure(b, name)] for name in FIGURES},
        "only_in_a": [name for name in ours if name not in theirs],
        "only_in_b": [name for name in theirs if name not in ours],
        "moved": [name for name in started if ours[name][1] != theirs[name][1]],
        "gained": [name for name in both if begun[name] == (False, True)],
        "lost": [name for name in both if begun[name] == (True, False)],
        "sooner": _largest({name: -value for name, value in shift.items()}),
        "later": _largest(shift),
        "broken": [limit.text for limit in limits if limit.broken(a, b)],
    }


def table(found: Mapping[str, Any], *, most: int = 10) -> list[str]:
    """The comparison for a terminal."""
    lines = [f"A {_named(found['a'])}", f"B {_named(found['b'])}", ""]
    for name, (a, b) in found["figures"].items():
        ratio = f"{b / a:.3f}x" if a else ""
        lines.append(f"{name:<26}{a:>16.6g}{b:>16.6g}  {ratio}")
    lines.append("")
    for word in ("only_in_a", "only_in_b", "moved", "gained", "lost"):
        names = found[word]
        more = f", and {len(names) - most} more" if len(names) > most else ""
        lines.append(f"{word}: {len(names)}" + (f" ({', '.join(names[:most])}{more})" if names else ""))
    for word in ("sooner", "later"):
        shown = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found[word][:most])
        lines.append(f"{word} in B: {len(found[word])}" + (f" ({shown})" if shown else ""))
    lines += [f"beyond its limit: {text}" for text in found["broken"]]
    return lines


def _named(options: Mapping[str, Any]) -> str:
    return f"{options['policy']}, {options['queue']}, load {options['load']:g}, seed {options['seed']}"


Place = tuple[float | None, str]
"""When a job started, and where."""


def _jobs(document: Document) -> dict[str, Place]:
    columns = document["job_columns"]
    name, start, nodes = (columns.index(column) for column in ("id", "start_s", "nodes"))
    return {row[name]: (row[start], row[nodes]) for row in document["job_rows"]}


def _largest(shift: Mapping[str, float]) -> list[list[Any]]:
    found = sorted((item for item in shift.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    return [[name, round(seconds, 6)] for name, seconds in found]
