"""The parts of the page, each from the runs to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.report import fabric
from benchmarks.simulate.report.charts import HALF, WIDTH, Axis, Bar, Line, bars, chart
from benchmarks.simulate.report.runs import Run, duration, time_unit
from benchmarks.simulate.report.tables import Cell, Row, figures, table

Points = Callable[[Run], Sequence[tuple[float, float]]]
_JOBS_SHOWN = 300
_SMALL = 210


def percent(value: float) -> str:
    """A share, to a tenth of a percent."""
    return f"{value:.1%}"


def number(value: float) -> str:
    """A count, or a value to three figures."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def legend(runs: Sequence[Run]) -> str:
    """The colours of the runs."""
    marks = "".join(f'<span><i style="background:{run.colour}"></i>{escape(run.name)}</span>' for run in runs)
    return f'<div class="legend">{marks}</div>'


def overview(runs: Sequence[Run]) -> str:
    """The figures people ask for first."""
    rows = [
        Row("jobs finished", lambda run: _at(run, "jobs.finished"), number, 1),
        Row("never started", lambda run: _at(run, "jobs.never_started"), number, -1),
        Row("GPUs allocated (GAR), time mean", lambda run: _at(run, "allocation.gar_mean"), percent, 1),
        Row("the same while jobs wait", lambda run: _at(run, "allocation.gar_while_queued"), percent, 1),
        Row("makespan", lambda run: _at(run, "allocation.makespan_s"), duration, -1),
        *(Row(f"wait, {mark}", _wait(mark), duration, -1) for mark in ("mean", "p50", "p95", "p99")),
        Row("wait by GPU time", lambda run: _at(run, "waiting.all.wait_s_by_gpu_time"), duration, -1),
        Row(
            "blocked by fragments, of the time",
            lambda run: _at(run, "fragmentation.blocked_share"),
            percent,
            -1,
        ),
        Row("F (FGD), of all GPUs", lambda run: _at(run, "fragmentation.fgd"), percent, -1),
        Row("F_gang, of all GPUs", lambda run: _at(run, "fragmentation.gang"), percent, -1),
        Row(
            "neighbouring ranks in different leaves",
            lambda run: _at(run, "placement.neighbours_across_leaves"),
            percent,
            -1,
        ),
        Row("step time / step time alone", lambda run: _at(run, "communication.step_ratio.mean"), number, -1),
        Row("decisions proven optimal", lambda run: _at(run, "proof_share"), percent, 1),
        Row("decision, p99", lambda run: _measured(run, "p99"), lambda ms: f"{ms:.3g} ms", -1),
    ]
    return figures(runs, rows, caption="figures of every run")


def _wait(mark: str) -> Callable[[Run], float]:
    return lambda run: _at(run, f"waiting.all.wait_s.{mark}")


def _at(run: Run, path: str) -> float:
    found: Any = run.summary
    for part in path.split("."):
        found = found[part]
    return float(found)


def _measured(run: Run, mark: str) -> float | None:
    measured = run.document.get("measured")
    return None if measured is None else float(measured["decision_ms"][mark])


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
        waited = sorted(job["start_s"] - job["submit_s"] for job in run.jobs() if job["start_s"] is not None)
        count = len(run.document["job_rows"])
        most = max(most, *waited[-1:], 10.0)
        points = [(max(wait, 1.0), (at + 1) / count) for at, wait in enumerate(waited)]
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


def placement(runs: Sequence[Run]) -> str:
    """Spans against the least possible, per level."""
    rows = []
    for run in runs:
        placed, fragmented = run.summary["placement"], run.summary["fragmentation"]
        for level in run.levels:
            found, largest = placed[level], fragmented["largest_gang"][level]
            values = [found[name] for name in ("span_mean", "least_mean", "excess_mean")]
            shares = [found["at_least_share"], found["at_least_gpu_time_share"], fragmented["domains"][level]]
            rows.append(
                [
                    Cell(run.name),
                    Cell(level),
                    *(Cell(f"{value:.3f}", value) for value in values),
                    *(Cell(percent(value), value) for value in shares),
                    Cell(number(largest["p50"]), largest["p50"]),
                ]
            )
    heads = ["run", "level", "touched", "least possible", "excess", "gangs on the least"]
    heads += ["of GPU time", "free scattered", "largest gang p50"]
    return table(heads, rows, caption="domains touched per level")


def communication(runs: Sequence[Run]) -> str:
    """Estimated step times with their range, and what leaves each level."""
    rows = []
    for run in runs:
        talk = run.summary["communication"]
        for name, key, colour in (("", "step_ms", run.colour), (", alone", "step_ms_alone", "#b3bec9")):
            found = talk[key]
            rows.append(Bar(run.name + name, colour, found["mean"], found["least"], found["most"]))
    drawn = bars("estimated time of a step", rows, lambda ms: f"{ms:.3g} ms")
    leaving = [
        Row(f"bytes of a step that leave the {level}", _leaving(level), percent, -1)
        for level in runs[0].levels
    ]
    crossed = [
        Row(f"{words} over several {level} domains", _crossing(key, level), number, -1)
        for key, words in (("tensor_groups", "tensor-parallel groups"), ("pipelines", "pipelines"))
        for level in runs[0].levels
        if any(run.summary["communication"][key] for run in runs)
    ]
    more = figures(runs, [*leaving, *crossed], caption="traffic and crossings")
    return f"{legend(runs)}<h3>estimated step, mean over gangs of several pods</h3>{drawn}{more}"


def _leaving(level: str) -> Callable[[Run], float]:
    return lambda run: float(run.summary["communication"]["traffic_leaving"].get(level, 0.0))


def _crossing(key: str, level: str) -> Callable[[Run], float]:
    return lambda run: float(run.summary["communication"][f"{key}_crossing"].get(level, 0))


def pictures(runs: Sequence[Run], source: Callable[[Run], ClusterSource]) -> str:
    """The fabric of every run at the same moments, those of the first run."""
    parts = []
    for moment in fabric.moments(runs[0].document):
        parts.append(f"<h3>{duration(moment.at_s)} after the start: {escape(moment.why)}</h3>")
        for run in runs:
            drawing = fabric.drawn(run.document, source(run), moment.at_s)
            parts.append(
                f'<figure class="picture"><figcaption>{escape(run.name)}</figcaption><div>'
                f'<template shadowrootmode="open"><style>svg{{max-width:100%;height:auto}}</style>{drawing}'
                "</template></div></figure>"
            )
    return "".join(parts)


def jobs(runs: Sequence[Run]) -> str:
    """The jobs that waited longest."""
    rows = []
    for run in runs:
        started = [job for job in run.jobs() if job["start_s"] is not None]
        started.sort(key=lambda job: (job["submit_s"] - job["start_s"], job["submit_s"]))
        rows += [_job(run, job) for job in started[: _JOBS_SHOWN // len(runs)]]
    heads = [
        "job",
        "run",
        "GPUs",
        "pods",
        "submitted",
        "waited",
        "ran until",
        "domains touched",
        "step / alone",
    ]
    heads += ["proof"]
    return table([*heads], rows, caption="jobs that waited longest", tall=True)


def _job(run: Run, job: Mapping[str, Any]) -> list[Cell]:
    wait_s, ratio = job["start_s"] - job["submit_s"], job["step_ratio"]
    spans = " · ".join(f"{span} {level}" for level, span in zip(run.levels, job["spans"], strict=True))
    return [
        Cell(job["id"]),
        Cell(run.name),
        Cell(number(job["gpus"]), job["gpus"]),
        Cell(number(job["pods"]), job["pods"]),
        Cell(duration(job["submit_s"]), job["submit_s"]),
        Cell(duration(wait_s), wait_s),
        Cell("" if job["end_s"] is None else duration(job["end_s"]), job["end_s"]),
        Cell(spans, sum(job["spans"])),
        Cell("" if ratio is None else f"{ratio:.3f}", ratio),
        Cell(job["proof"]),
    ]
