"""Kalos' gangs on Lingjun's fabric: cross-leaf neighbours and waits beside one-group-at-a-time placement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.published.finding import Finding
from benchmarks.simulate.parallel import spread
from benchmarks.simulate.report.page import page
from benchmarks.simulate.run import Options, prepare

POLICIES = ("lockstep", "latency", "greedy-groups", "best-fit")
LOADS = (4.0, 15.0, 30.0, 60.0)
_PICTURED = 30.0
_JUDGED = ("latency", "lockstep")

Documents = Mapping[tuple[str, float], Mapping[str, Any]]


def run(traces: Path, *, workers: int, tell: Callable[[str], None]) -> Finding:
    """Every policy at every load."""
    asked = [(policy, load) for load in LOADS for policy in POLICIES]
    found: dict[tuple[str, float], Mapping[str, Any]] = {}
    for at, document in spread(partial(simulated, traces), asked, workers=workers):
        found[asked[at]] = document
        tell(f"{asked[at][0]} at load {asked[at][1]:g}: {_crossing(document):.4f}")
    figures = [figure for load in LOADS for figure in _figures(found, load)]
    shown = [found[policy, _PICTURED] for policy in ("lockstep", "greedy-groups")]
    return Finding(tuple(figures), tuple(_lines(found)), page(shown))


def simulated(traces: Path, asked: tuple[str, float]) -> dict[str, Any]:
    """One simulation."""
    policy, load = asked
    hosts = traces / "alibaba-lingjun-2023-topology" / "hosts.csv"
    trace = traces / "acme-kalos-2023" / "jobs.csv"
    simulation = prepare(Options(str(trace), "kalos", str(hosts), policy=policy, load=load))
    simulation.run()
    return simulation.document()


def _crossing(document: Mapping[str, Any]) -> float:
    return float(document["summary"]["placement"]["neighbours_across_leaves"])


def _figures(found: Documents, load: float) -> list[Figure]:
    theirs = found["greedy-groups", load]
    figures = []
    for policy in _JUDGED:
        ours = found[policy, load]
        ratio = _crossing(ours) / _crossing(theirs)
        how = f"{_crossing(ours):.4f} against {_crossing(theirs):.4f} of all neighbours"
        figures.append(
            Figure(f"{policy}: cross-leaf neighbours to greedy's, load {load:g}", ratio, "x", 0.9999, how)
        )
        name, later, detail = longest(ours["summary"]["waiting"], theirs["summary"]["waiting"])
        figures.append(
            Figure(
                f"{policy}: mean wait to greedy's, load {load:g}, worst size class",
                later,
                "x",
                1.0,
                f"gangs of {name} GPUs: mean {detail}",
            )
        )
    return figures


def longest(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, float, str]:
    """The size class (or `all`) whose mean wait is longest beside theirs: its name, the ratio (1 + seconds
    where they do not wait), and both means."""

    def ratio(name: str) -> float:
        mine, other = (waits[name]["wait_s"]["mean"] for waits in (ours, theirs))
        return float(mine / other if other else 1.0 + mine)

    name = max((name for name in ours if ours[name]["wait_s"] and theirs[name]["wait_s"]), key=ratio)
    return (
        name,
        ratio(name),
        f"{ours[name]['wait_s']['mean']:.0f} s against {theirs[name]['wait_s']['mean']:.0f} s",
    )


def _lines(found: Documents) -> list[str]:
    heads = ("load", "policy", "neighbours across leaves", "leaves (least)", "spines", "bytes leaving a leaf")
    lines = [f"| {' | '.join(heads)} | step / alone |", "|---" * 7 + "|"]
    for load in LOADS:
        for policy in POLICIES:
            summary = found[policy, load]["summary"]
            leaf, talk = summary["placement"]["leaf"], summary["communication"]
            lines.append(
                f"| {load:g} | {policy} | {_crossing(found[policy, load]):.4f} | {leaf['span_mean']:.3f} "
                f"({leaf['least_mean']:.3f}) | {summary['placement']['spine']['span_mean']:.3f} "
                f"| {talk['traffic_leaving']['leaf']:.2%} | {talk['step_ratio']['mean']:.3f} |"
            )
    return [*lines, "", *NOTES]


NOTES = (
    (
        "Load: how much faster the 319 jobs come than recorded; FIFO, 847 hosts of 8 GPUs. The greedy takes "
        "group "
        "by group the tightest domain of the finest level that holds it."
    ),
    (
        "`latency` is the preset that counts leaves first, as this comparison does. Where the default policy "
        "(`lockstep`) crosses more leaves than the greedy (load 60): it counts spines before leaves and "
        "fills the tightest spine before it looks at leaves, so it crosses fewer spines, pays with leaves. "
        "The estimated step is shorter under it all the same, since a crossing of spines costs more."
    ),
    (
        "Waits: mean per size class, the class that fares worst beside the greedy; no gang asks for a level, "
        "so gangs wait for free GPUs alone, and equally long."
    ),
)
