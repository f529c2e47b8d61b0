"""Options that commands which simulate have in common."""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.simulate.run import Options
from benchmarks.simulate.traces.job import invalid
from benchmarks.simulate.traces.reading import FORMATS


def add(parser: argparse.ArgumentParser) -> None:
    """All but policy, queue, load and seed, of which a sweep has several."""
    add = parser.add_argument
    add("--trace", required=True, help="file of jobs")
    add("--format", choices=sorted(FORMATS), default="plain", help="what the trace is (default plain)")
    add(
        "--cluster",
        required=True,
        help="nvl72:8, hgx:2x4x8, fattree:2x4x8, hosts.csv, a snapshot or a topology file",
    )
    add("--depth", type=int, default=100, help="backfill: how many waiting jobs are looked at")
    add("--preload", type=float, default=0.0, help="share of the GPUs taken for good before the start")
    add("--jobs", type=int, help="only the first so many jobs")
    add("--horizon-s", type=float, help="end of the simulation; jobs that run or wait then are cut off")
    add("--required", action="append", default=[], metavar="SCOPE=LEVEL", help="of every gang; repeatable")
    add("--preferred", action="append", default=[], metavar="SCOPE=LEVEL", help="of every gang; repeatable")
    add("--tensor-parallel", dest="tensor", type=int, default=1, help="of gangs that it divides (default 1)")
    add("--pipeline-parallel", dest="pipeline", type=int, default=1, help="stages, the same way (default 1)")
    add("--prefill", type=float, default=0.0, help="share of a gang's pods that do prefill, the first ranks")
    add("--warmup-s", type=float, default=0.0, help="jobs that come before and time before are in no figure")
    add("--quota", dest="quotas", action="append", default=[], metavar="TENANT=GPUS", help="repeatable")
    add("--failures", help="CSV of node failures: time_s,node,event (down or up)")
    add("--mtbf-h", type=float, help="mean hours between failures of a node")
    add("--mttr-h", type=float, default=4.0, help="mean hours to repair (default 4)")
    add("--checkpoint-s", type=float, default=0.0, help="run time between checkpoints; 0: begin again")
    add("--skip-bad", action="store_true", help="leave out and list bad rows and jobs too large")
    add("--check", action="store_true", help="the referee looks at every placement")
    add("--no-times", action="store_true", help="leave measured times out: same options, same bytes")


def options_of(given: argparse.Namespace, **several: Any) -> Options:
    """The options of one simulation; `several`: those that a sweep has more than one of."""
    names = [name for name in Options.__dataclass_fields__ if name not in several]
    fields: dict[str, Any] = {name: getattr(given, name) for name in names}
    fields |= {name: tuple(fields[name]) for name in ("required", "preferred")}
    fields["quotas"] = tuple(_quota(text) for text in fields["quotas"])
    return Options(**fields, **several)


def _quota(text: str) -> tuple[str, float]:
    tenant, _, amount = text.rpartition("=")
    try:
        gpus = float(amount)
    except ValueError:
        gpus = 0.0
    if not 0 < gpus < float("inf"):
        raise invalid("--quota", "quota", text, "TENANT=GPUS with more than 0 GPUs, such as team-a=64")
    return tenant, gpus
