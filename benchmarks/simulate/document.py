"""The document of a simulation: one JSON file, written whole or not at all, and its table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.simulate.outcome import Outcome
from benchmarks.simulate.stats import rounded
from benchmarks.simulate.traces.job import invalid

SCHEMA = "lockstep.simulation/v1"
JOB_COLUMNS = (
    "id",
    "submit_s",
    "start_s",
    "end_s",
    "pods",
    "gpus",
    "tenant",
    "restarts",
    "spans",
    "least",
    "proof",
    "nodes",
    "placed_s",
    "step_ms",
    "step_ms_least",
    "step_ms_most",
    "step_ratio",
)


def job_row(one: Outcome) -> list[Any]:
    """One job as a row of `JOB_COLUMNS`."""
    start_s = None if one.start_s is None else rounded(one.start_s)
    end_s = None if one.end_s is None else rounded(one.end_s)
    size = [one.pods, one.gpus, one.tenant, one.restarts]
    placed_s = None if one.placed_s is None else rounded(one.placed_s)
    where = [one.spans, one.least, one.proof, one.nodes, placed_s]
    return [one.id, rounded(one.submit_s), start_s, end_s, *size, *where, *_price(one)]


def _price(one: Outcome) -> list[float | None]:
    """Step time of a gang of several pods in milliseconds, its range, and its ratio to that alone."""
    if one.talk is None:
        return [None] * 4
    return [*(rounded(us / 1e3) for us in one.talk.price.time.numbers), rounded(one.talk.ratio)]


def text_of(document: Mapping[str, Any]) -> str:
    """The document as JSON: one line per entry of the first two levels, and one per job."""
    lines = []
    for key, value in document.items():
        if key == "job_rows":
            rows = ",\n".join(f"  {json.dumps(row, separators=(',', ':'))}" for row in value)
            lines.append(f'"job_rows": [\n{rows}\n]' if value else '"job_rows": []')
        elif isinstance(value, dict) and value:
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items())
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{" + ",\n".join(lines) + "}\n"


def read(path: Path) -> dict[str, Any]:
    """A document as it was written; raises InvalidInput for a file that is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid(str(path), "file", path, f"a file that can be read ({error.strerror})") from error
    except ValueError as error:
        raise invalid(str(path), "file", str(error), f"JSON ({SCHEMA})") from error
    schema = found.get("schema") if isinstance(found, dict) else type(found).__name__
    if schema != SCHEMA:
        raise invalid(str(path), "schema", schema, SCHEMA)
    return dict(found)


def table(document: Mapping[str, Any]) -> list[str]:
    """The figures for a terminal, a few dozen short lines."""
    jobs, use = document["summary"]["jobs"], document["summary"]["allocation"]
    fragmented, placed = document["summary"]["fragmentation"], document["summary"]["placement"]
    options = document["options"]
    where = document["cluster"]
    head = f"{options['policy']}, {options['queue']} on {where['name']}: {where['nodes']} nodes"
    counts = (
        f"{jobs['submitted']} submitted, {jobs['finished']} finished, {jobs['never_started']} never started"
    )
    queued = f"{use['gar_while_queued']:.1%} while jobs waited ({use['queued_share']:.1%} of the time)"
    lines = [
        f"{head}, {where['gpus']} GPUs",
        f"jobs      {counts}, {jobs['gangs']} of several pods",
        f"use       {use['gar_mean']:.1%} of the GPUs, {queued}",
        f"blocked   {fragmented['blocked_share']:.2%} of the time by fragments; GFR {fragmented['gfr']:.2%}",
        "",
        *_columns([_WAIT_HEAD, *(_wait_row(*one) for one in document["summary"]["waiting"].items())]),
        "",
        *_columns([_LEVEL_HEAD, *(_level_row(level, placed, fragmented) for level in _levels(placed))]),
        "",
        f"neighbouring ranks in different leaves: {placed['neighbours_across_leaves']:.2%}; proofs: "
        + ", ".join(f"{name} {count}" for name, count in document["summary"]["proof"].items()),
    ]
    if document["excluded"]:
        lines.append(f"left out: {len(document['excluded'])} (listed in the document)")
    if "measured" in document:
        took = document["measured"]
        lines.append(
            f"decisions {took['decisions']}, p50 {took['decision_ms']['p50']:.2f} ms, p99 "
            f"{took['decision_ms']['p99']:.2f} ms; {took['jobs_per_s']:.0f} jobs/s, {took['wall_s']:.1f} s"
        )
    return lines


_WAIT_HEAD = ("GPUs", "jobs", "waited", "wait mean", "p50", "p95", "p99", "max", "JCT p50", "p99", "slow p99")
_LEVEL_HEAD = ("level", "span", "least", "at least", "of GPU time", "fragmented", "largest gang p50")


def _wait_row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    wait, done = found["wait_s"], found["completion_s"]
    return (
        name,
        str(found["jobs"]),
        str(found["waited"]),
        *(f"{wait[one]:.0f}" for one in ("mean", "p50", "p95", "p99", "max")),
        f"{done['p50']:.0f}",
        f"{done['p99']:.0f}",
        f"{found['slowdown']['p99']:.2f}",
    )


def _levels(placed: Mapping[str, Any]) -> list[str]:
    return [name for name, value in placed.items() if isinstance(value, dict)]


def _level_row(level: str, placed: Mapping[str, Any], fragmented: Mapping[str, Any]) -> tuple[str, ...]:
    found = placed[level]
    return (
        level,
        f"{found['span_mean']:.3f}",
        f"{found['least_mean']:.3f}",
        f"{found['at_least_share']:.1%}",
        f"{found['at_least_gpu_time_share']:.1%}",
        f"{fragmented['domains'][level]:.1%}",
        f"{fragmented['largest_gang'][level]['p50']:.0f}",
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    wide = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{w}}" if at == 0 else f"{cell:>{w}}"
            for at, (cell, w) in enumerate(zip(row, wide, strict=True))
        )
        for row in rows
    ]
