"""The parts of the page that are tables, bars and pictures, each from the runs to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest
from html import escape
from typing import Any

from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.report import fabric
from benchmarks.simulate.report.charts import Bar, bars
from benchmarks.simulate.report.runs import Run, duration, legend, number, percent
from benchmarks.simulate.report.tables import Cell, Row, figures, table

_JOBS_SHOWN = 300


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
        *_tenant_rows(runs),
        Row("decisions proven optimal", lambda run: _at(run, "proof_share"), percent, 1),
        Row("decision, p99", lambda run: _measured(run, "p99"), lambda ms: f"{ms:.3g} ms", -1),
    ]
    return figures(runs, rows, caption="figures of every run")


def _tenant_rows(runs: Sequence[Run]) -> list[Row]:
    """Fairness, where there are tenants to be fair to, and inversions, where there are priorities."""
    found = []
    if all(run.summary.get("tenants") for run in runs):
        found.append(Row("Jain's index over tenants", lambda run: _at(run, "tenants.jain"), number, 1))
        found.append(
            Row("most under-served tenant", lambda run: _at(run, "tenants.most_under_served"), percent, -1)
        )
    if any(run.summary.get("waiting_by_priority") for run in runs):
        found.append(
            Row("starts past a waiting job of higher priority", _inversions, number, -1),
        )
    return found


def _inversions(run: Run) -> float:
    return float(run.summary.get("priority_inversions", 0))


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
        started = (job for job in run.jobs() if job["start_s"] is not None)
        longest = nsmallest(
            max(_JOBS_SHOWN // len(runs), 1),
            started,
            key=lambda job: (job["submit_s"] - job["start_s"], job["submit_s"]),
        )
        rows += [_job(run, job) for job in longest]
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
