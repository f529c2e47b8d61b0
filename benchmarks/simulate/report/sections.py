"""The parts of the page that are charts over time, each from the runs to HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from benchmarks.simulate.report.charts import HALF, WIDTH, Axis, Line, chart
from benchmarks.simulate.report.runs import Run, duration, legend, number, time_unit
from benchmarks.simulate.report.tables import Cell, table

Points = Callable[[Run], Sequence[tuple[float, float]]]
_SMALL = 210


def _span_s(runs: Sequence[Run]) -> float:
    return max((float(run.summary["allocation"]["span_s"]) for run in runs), default=1.0)


def _time_axis(runs: Sequence[Run]) -> tuple[Axis, float]:
    span_s = _span_s(runs)
    unit, size = time_unit(span_s)
    return Axis(f"time, {unit}", lambda value: f"{value:.4g}", low=0.0, high=span_s / size), size


def over_time(
    title: str,
    runs: Sequence[Run],
    points: Points,
    y: Axis,
    *,
    height: int = 230,
    width: int = WIDTH,
) -> str:
    """A line per run."""
    x, size = _time_axis(runs)
    lines = [Line(run.name, run.colour, [(at / size, value) for at, value in points(run)]) for run in runs]
    return f"<h3>{escape(title)}</h3>{chart(title, lines, x, y, steps=True, width=width, height=height)}"


def use(runs: Sequence[Run]) -> str:
    """Allocation and the queue over time."""
    share = Axis("allocated", lambda value: f"{value:.0%}", low=0.0, high=1.0)
    return (
        legend(runs)
        + over_time("GPUs allocated, of those on usable nodes", runs, Run.allocated, share)
        + over_time(
            "jobs waiting",
            runs,
            lambda run: run.over_time("queued"),
            Axis("jobs", number, low=0.0),
            height=_SMALL,
        )
    )


def fragments(runs: Sequence[Run]) -> str:
    """Fragmentation over time."""
    share = Axis("share", lambda value: f"{value:.0%}", low=0.0, high=1.0)
    small = Axis("of all GPUs", lambda value: f"{value:.3g}%", low=0.0)
    levels = [level for level in ("spine", "leaf", "nvlink") if level in runs[0].levels]
    parts = [
        over_time(
            f"free GPUs outside wholly free domains: {level}",
            runs,
            _column(level, of="fragmented"),
            share,
            height=_SMALL,
            width=HALF,
        )
        for level in levels
    ]
    parts += [
        over_time(title, runs, _in_percent(name), small, height=_SMALL, width=HALF)
        for title, name in (("F_gang: GPUs that typical gangs could not fill", "gang"), ("F (FGD)", "fgd"))
    ]
    parts.append(
        over_time(
            "GFR: nodes in part allocated",
            runs,
            _column("gfr"),
            share,
            height=_SMALL,
            width=HALF,
        )
    )
    return f'{legend(runs)}<div class="two">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _column(name: str, *, of: str = "") -> Points:
    return lambda run: run.over_time(name, of=of)


def _in_percent(name: str) -> Points:
    return lambda run: [(at, 100 * value) for at, value in run.over_time(name)]


def waits(runs: Sequence[Run]) -> str:
    """The distribution of waiting, and the table by size."""
    lines, most = [], 10.0
    for run in runs:
        waited = run.waits()
        most = max(most, *(wait for wait, _ in waited[-1:]), 10.0)
        points = [(max(wait, 1.0), share) for wait, share in waited]
        lines.append(Line(run.name, run.colour, points))
    x = Axis("wait (a second or less at the left edge)", duration, True, 1.0, most * 1.15, _WAITS)
    y = Axis("jobs that waited at most so long", lambda value: f"{value:.0%}", low=0.0, high=1.0)
    drawn = chart("distribution of waiting", lines, x, y, steps=True)
    return f"{legend(runs)}<h3>jobs that waited at most so long</h3>{drawn}{_by_size(runs)}"


_WAITS = (1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000)
_MARKS = ("mean", "p50", "p95", "p99", "max")


def _by_size(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        for size, found in run.summary["waiting"].items():
            cells = [Cell(run.name), Cell(size), Cell(number(found["jobs"]), found["jobs"])]
            cells.append(Cell(number(found["waited"]), found["waited"]))
            wait, done = found["wait_s"], found["completion_s"]
            cells += [Cell(duration(wait[mark]), wait[mark]) for mark in _MARKS]
            cells += [Cell(duration(done[mark]), done[mark]) for mark in ("p50", "p99")]
            cells.append(Cell(number(found["slowdown"]["p99"]), found["slowdown"]["p99"]))
            rows.append(cells)
    heads = ["run", "GPUs", "jobs", "waited", *(f"wait {mark}" for mark in _MARKS)]
    heads += ["completion p50", "p99", "slowdown p99"]
    return "<h3>by size of the gang</h3>" + table(heads, rows, caption="waiting by size")


def slots(runs: Sequence[Run]) -> str:
    """Gangs that could start, per size and level."""
    level = "leaf" if "leaf" in runs[0].levels else (runs[0].levels or ["cluster"])[0]
    parts = []
    for where in dict.fromkeys((level, "spine" if "spine" in runs[0].levels else "cluster")):
        for size in runs[0].document["timeline"]["slot_gpus"]:
            if size < 8 or not any(value for run in runs for _, value in run.slots(where, size)):
                continue
            parts.append(
                over_time(
                    f"gangs of {size} GPUs that fit, each in one {where}",
                    runs,
                    _fitting(where, size),
                    Axis("gangs", number, low=0.0),
                    height=_SMALL,
                    width=HALF,
                )
            )
    return f'{legend(runs)}<div class="two">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _fitting(where: str, size: int) -> Points:
    return lambda run: run.slots(where, size)
