"""What came of a simulation: waits, use, fragmentation and spans, each as the field defines it.

Notation: job j with g_j GPUs, submitted at s_j, started (all pods at once) at b_j, ended at
f_j; G(t) GPUs on usable nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.simulate.columns import Table
from benchmarks.simulate.meter import Meter
from benchmarks.simulate.outcome import CLASSES
from benchmarks.simulate.stats import average, percentiles, rounded, share

SLOWDOWN_LEAST_S = 600.0


def summary(meter: Meter) -> dict[str, Any]:
    """The figures of a finished replay, as they stand in the document."""
    table = meter.columns.table()
    proofs = meter.sums.proofs
    return {
        "jobs": _counts(meter, table),
        "allocation": _allocation(meter, table),
        "waiting": _by_class(table),
        "waiting_by_priority": _by_priority(table),
        "fragmentation": _fragmentation(meter),
        "placement": _placement(meter, table),
        "communication": meter.talks.summary(),
        "proof": dict(sorted(proofs.items())),
        "proof_share": share(proofs["optimal"], proofs.total()),
        "failures": _failures(meter, table),
        "tenants": meter.tenants.summary(
            [one.held for one in meter.samples.counted(meter.scale.warmup_s)[0]],
            every_s=meter.samples.every_s,
        ),
        "priority_inversions": meter.sums.inversions,
    }


def _by_class(table: Table) -> dict[str, Any]:
    """All jobs, then each size class that has any."""
    found = {"all": _waits(table, np.ones(len(table.gpus), dtype=np.bool_))}
    below = -1
    for name, most in CLASSES:
        chosen = (table.gpus > below) & (table.gpus <= most)
        if chosen.any():
            found[name] = _waits(table, chosen)
        below = most
    return found


def _by_priority(table: Table) -> dict[str, Any]:
    """Each priority, where there are several."""
    ranks = np.unique(table.priority)[::-1].tolist()
    if len(ranks) < 2:
        return {}
    return {str(rank): _waits(table, table.priority == rank) for rank in ranks}


def _counts(meter: Meter, table: Table) -> dict[str, Any]:
    never = ~table.started
    return {
        "submitted": len(table.gpus),
        "started": int(table.started.sum()),
        "finished": int(table.finished.sum()),
        "never_started": int(never.sum()),
        "never_started_gpus": int(table.gpus[never].sum()),
        "gangs": int((table.pods > 1).sum()),
        "pods": int(table.pods.sum()),
        "before_warmup_ended": meter.warming,
    }


def _allocation(meter: Meter, table: Table) -> dict[str, Any]:
    sums = meter.sums
    lost_gpu_s = float((table.lost_s * table.gpus).sum())
    last_s = float(table.end_s[table.finished].max(initial=0.0))
    return {
        "span_s": rounded(meter.span_s),
        "gar_mean": share(sums.gar_s, meter.span_s),
        "sor": share(sums.busy_gpu_s, sums.open_gpu_s),
        "gar_while_queued": share(sums.queued_busy_gpu_s, sums.queued_open_gpu_s),
        "queued_share": share(sums.queued_s, meter.span_s),
        "most_busy_gpus": sums.most_busy,
        "goodput": share(sums.busy_gpu_s - lost_gpu_s, sums.open_gpu_s),
        "makespan_s": rounded(last_s - float(table.submit_s.min()) if len(table.submit_s) else 0.0),
    }


def _waits(table: Table, chosen: Any) -> dict[str, Any]:
    """Wait b - s, completion f - s and bounded slowdown max(1, (w + d) / max(d, 600 s))."""
    begun, done = chosen & table.started, chosen & table.finished
    waits, run_s = table.wait_s[begun], table.run_s[done]
    taken_s = table.wait_s[done] + run_s
    gpu_s = table.gpus[begun] * table.run_s[begun]
    return {
        "jobs": int(chosen.sum()),
        "waited": int((waits > 0).sum()),
        "wait_s": percentiles(waits),
        "completion_s": percentiles(table.end_s[done] - table.submit_s[done]),
        "slowdown": percentiles(np.maximum(1.0, taken_s / np.maximum(run_s, SLOWDOWN_LEAST_S))),
        "wait_s_by_gpu_time": share(float(gpu_s @ waits), float(gpu_s.sum())),
    }


def _fragmentation(meter: Meter) -> dict[str, Any]:
    taken, deep = meter.samples.counted(meter.scale.warmup_s)
    levels = meter.site.levels
    return {
        "gfr": average(one.gfr for one in taken),
        "domains": {level: average(one.fragmented[level] for one in taken) for level in levels},
        "largest_gang": {level: percentiles([one.largest[level] for one in taken]) for level in levels},
        "blocked_share": share(meter.sums.fragmented_s, meter.span_s),
        "blocked_gpu_s": rounded(meter.sums.fragmented_gpu_s),
        "fgd": average(one.fgd for one in deep),
        "fgd_of_idle": average(one.fgd_idle for one in deep),
        "gang": average(one.gang for one in deep),
        "sampled_every_s": meter.samples.every_s,
        "samples": len(taken),
    }


def _placement(meter: Meter, table: Table) -> dict[str, Any]:
    """Spans of gangs of several pods: S_l, S_l over the least possible, and neighbours across leaves."""
    count = len(table.gang)
    gpu_s = table.gpus[table.gang] * table.run_s[table.gang]
    found: dict[str, Any] = {"gangs": count}
    for at, level in enumerate(meter.site.levels):
        spans, least = table.spans[:, at], table.least[:, at]
        tight = spans == least
        found[level] = {
            "span_mean": share(int(spans.sum()), count),
            "least_mean": share(int(least.sum()), count),
            "excess_mean": share(float((spans / least).sum()), count),
            "at_least_share": share(int(tight.sum()), count),
            "at_least_gpu_time_share": share(float(gpu_s[tight].sum()), float(gpu_s.sum())),
        }
    known = table.crossings >= 0
    pairs = int((table.pods[table.gang][known] - 1).sum())
    found["neighbours_across_leaves"] = share(int(table.crossings[known].sum()), pairs)
    return found


def _failures(meter: Meter, table: Table) -> dict[str, Any]:
    """Restarts, ETTR (run time over the time from the first start to the end), and waste."""
    took_s = table.end_s - table.start_s
    done = table.finished & (took_s > 0)
    return {
        "restarts": int(table.restarts.sum()),
        "lost_gpu_h": rounded(float((table.lost_s * table.gpus).sum()) / 3600),
        "ettr_mean": average((table.run_s[done] / took_s[done]).tolist()),
        "waste": meter.waste.summary(),
    }
