"""The document of a simulation: one JSON file, written whole or not at all, and its table for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.simulate.rows import FileRows, Rows
from benchmarks.simulate.traces.job import invalid

SCHEMA = "lockstep.simulation/v1"
_ROWS = '"job_rows": ['


def parts(document: Mapping[str, Any]) -> Iterator[str]:
    """The document as JSON, piece by piece: one line per entry of the first two levels, and one per job."""
    before = "{"
    for key, value in document.items():
        yield f"{before}{json.dumps(key)}: "
        before = ",\n"
        if isinstance(value, Rows | FileRows):
            yield from _lines(value.lines())
        elif isinstance(value, dict) and value:
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items())
            yield f"{{\n{inner}\n}}"
        else:
            yield json.dumps(value)
    yield "}\n"


def text_of(document: Mapping[str, Any]) -> str:
    """The document as one text."""
    return "".join(parts(document))


def _lines(rows: Iterator[str]) -> Iterator[str]:
    first = next(rows, None)
    if first is None:
        yield "[]"
        return
    yield f"[\n  {first}"
    for row in rows:
        yield f",\n  {row}"
    yield "\n]"


def read(path: Path) -> dict[str, Any]:
    """A document as it was written, the rows of its jobs left in the file; raises InvalidInput for a file
    that is none."""
    try:
        text, rows = _apart(path)
        found = json.loads(text)
    except OSError as error:
        raise invalid(str(path), "file", path, f"a file that can be read ({error.strerror})") from error
    except ValueError as error:
        raise invalid(str(path), "file", str(error), f"JSON ({SCHEMA})") from error
    schema = found.get("schema") if isinstance(found, dict) else type(found).__name__
    if schema != SCHEMA:
        raise invalid(str(path), "schema", schema, SCHEMA)
    return {**found, "job_rows": rows} if rows is not None else dict(found)


def _apart(path: Path) -> tuple[str, FileRows | None]:
    """The text without the rows of jobs, and these, where they stand on lines of their own."""
    kept: list[str] = []
    rows = None
    with path.open("rb") as file:
        while line := file.readline():
            kept.append(line.decode())
            if kept[-1].rstrip("\n") == _ROWS and rows is None:
                start, count = file.tell(), 0
                while (line := file.readline()).startswith(b"  ["):
                    count += 1
                rows = FileRows(path, start=start, count=count)
                kept.append(line.decode())
    return "".join(kept), rows


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
        more = document["excluded_unlisted"]
        beside = f", {more} more are not" if more else ""
        lines.append(f"left out: {len(document['excluded']) + more} (listed in the document{beside})")
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
