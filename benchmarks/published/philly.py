"""Philly on 64 nodes of 8 GPUs with a three-level fabric: jobs replayed per second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure
from benchmarks.published.finding import Finding
from benchmarks.simulate.report.page import page
from benchmarks.simulate.run import Options, prepare


def run(traces: Path, *, runs: int, tell: Callable[[str], None]) -> Finding:
    """The whole trace under the engine, several times."""
    rates, document = [], {}
    for at in range(runs):
        simulation = prepare(
            Options(str(traces / "philly-2017" / "jobs.csv.gz"), "philly", "hgx:2x4x8", policy="lockstep")
        )
        simulation.run()
        document = simulation.document()
        rates.append(document["measured"]["jobs_per_s"])
        tell(f"run {at + 1}: {rates[-1]:,.0f} jobs/s")
    jobs, measured = document["summary"]["jobs"]["submitted"], document["measured"]
    share = document["summary"]["proof_share"]
    detail = f"{jobs:,} jobs, best of {runs} (median {median(rates):,.0f}); reading the trace included"
    proofs = Figure("decisions proven optimal", 100 * share, "%", 100, "", least=True)
    figures = (Figure("jobs per second, FIFO", max(rates), "jobs/s", 5000, detail, least=True), proofs)
    decision = measured["decision_ms"]
    lines = (
        (
            f"Decision p50 {decision['p50']:.3f} ms, p99 {decision['p99']:.2f} ms, "
            f"{measured['decisions']:,} of them. "
            "Published: Alibaba's simulator 180 to 390 jobs/s, without topology."
        ),
        (
            "Different: one cluster of 64 nodes (2 spines, 8 leaves, 16 racks) in place of Philly's own; "
            "jobs of "
            "more than 8 GPUs are equal pods of at most 8; queue order FIFO, run times as recorded; an "
            "answer to "
            "the same gang on the same free capacity is taken from memory."
        ),
    )
    return Finding(figures, lines, page([document]))
