"""Slurm accounting: what `sacct --parsable2 --format=...` prints, with `|` between the columns.

A useful export:  sacct -a -X -P -S 2024-01-01 --format=JobID,Submit,Start,End,AllocNodes,AllocTRES,
ReqTRES,Account,Priority,State
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.simulate.traces.job import Job, invalid
from benchmarks.simulate.traces.table import Row, rows

NEEDS = ("JobID", "Submit", "Start", "End")
_MORE = ("AllocNodes", "NNodes", "ReqNodes", "AllocTRES", "ReqTRES", "Account", "User", "Priority")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NOTHING = ("", "Unknown", "None", "N/A")


class SacctReader:
    """Reads the rows of one file. Its times all carry an offset from UTC, or none does."""

    def __init__(self) -> None:
        self._offset: bool | None = None

    def rows(self, path: Path) -> Iterator[Row]:
        """Rows of the export, the trailing `|` of `--parsable` taken away."""
        return rows(path, needs=NEEDS, optional=_MORE, delimiter="|")

    def job(self, row: Row) -> Job | None:
        """One job; None for a step (`123.batch`) and for one that never started. Nodes are pods; GPUs,
        CPU and memory are those allocated (else asked for), per node."""
        name = row.text("JobID")
        if "." in name:
            return None
        submit_s = self._time(row, "Submit")
        if row.text("Start") in _NOTHING:
            raise invalid(row.where, "Start", row.text("Start"), "a time: this job never ran")
        start_s, end_s = self._time(row, "Start"), self._time(row, "End")
        pods = next((row.whole(c, least=1) for c in ("AllocNodes", "NNodes", "ReqNodes") if row.text(c)), 1)
        asked = _tres(row, "AllocTRES") or _tres(row, "ReqTRES")
        gpus = int(asked.get("gres/gpu", 0))
        if gpus % pods:
            raise invalid(row.where, "AllocTRES", f"{gpus} GPUs on {pods} nodes", "as many on every node")
        return Job(
            name,
            submit_s,
            end_s - start_s,
            pods,
            gpus // pods,
            cpu_millis=int(asked.get("cpu", 0) * 1000) // pods,
            memory_bytes=int(asked.get("mem", 0)) // pods,
            tenant=row.text("Account") or row.text("User"),
            priority=row.whole("Priority", default=0),
            where=row.where,
        )

    def _time(self, row: Row, column: str) -> float:
        text = row.text(column)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise invalid(row.where, column, text, "a time such as 2024-01-31T12:00:00") from None
        aware = found.tzinfo is not None
        if self._offset is None:
            self._offset = aware
        if aware != self._offset:
            wanted = "an offset from UTC in every time or in none"
            raise invalid(row.where, column, text, wanted)
        return (found if aware else found.replace(tzinfo=UTC)).timestamp()


def _tres(row: Row, column: str) -> dict[str, float]:
    """`billing=8,cpu=64,gres/gpu=8,mem=500G,node=1` as numbers; memory in bytes."""
    found: dict[str, float] = {}
    for part in row.text(column).split(","):
        if not part:
            continue
        name, _, amount = part.partition("=")
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)[nc]?", amount)
        if match is None:
            raise invalid(row.where, column, part, "name=amount, as in cpu=64 or mem=500G")
        found[name] = float(match[1]) * (_BYTES[match[2]] if name == "mem" else 1)
    return found
