"""The points of a sweep as one table: means over seeds with their 95 % intervals, and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.simulate import document
from benchmarks.simulate.compare import FIGURES, Limit, figure
from benchmarks.simulate.files import write
from benchmarks.simulate.report.charts import Axis, Line, chart
from benchmarks.simulate.report.page import Part, sheet
from benchmarks.simulate.report.runs import number
from benchmarks.simulate.report.tables import Cell, table
from benchmarks.simulate.stats import interval
from benchmarks.simulate.sweep import PLAN, SCHEMA
from benchmarks.simulate.traces.job import invalid
from topology.colours import colour

_SHOWN = (
    "gar_mean",
    "wait_mean_s",
    "wait_p99_s",
    "slowdown_p99",
    "blocked_share",
    "gang_fragmentation",
    "neighbours_across_leaves",
    "step_ratio",
)
BEYOND = 3
PARTIAL = 5


@dataclass(frozen=True, slots=True)
class Group:
    """The points that differ in nothing but the seed; `figures`: mean and half width per name."""

    policy: str
    queue: str
    load: float
    seeds: tuple[int, ...]
    figures: Mapping[str, tuple[float, float]]

    @property
    def key(self) -> tuple[str, str, float]:
        """Policy, queue, load."""
        return self.policy, self.queue, self.load

    @property
    def title(self) -> str:
        """Its key in words."""
        return f"{self.policy}, {self.queue}, load {self.load:g}"


def merged(folder: Path) -> tuple[list[Group], list[str]]:
    """The groups of a folder, and the points of its plan that are not there. Raises InvalidInput for a
    folder that no sweep has written."""
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise invalid(str(folder), "folder", PLAN, f"a folder that `sweep` has written ({error})") from error
    if plan.get("schema") != SCHEMA:
        raise invalid(str(folder / PLAN), "schema", plan.get("schema", ""), SCHEMA)
    grouped: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    missing = []
    for name in plan["points"]:
        path = folder / name
        if not path.exists():
            missing.append(name)
            continue
        found = document.read(path)
        options = found["options"]
        slim = {"summary": found["summary"], "options": options}
        grouped.setdefault((options["policy"], options["queue"], options["load"]), []).append(slim)
    return [_group(key, rows) for key, rows in grouped.items()], missing


def _group(key: tuple[str, str, float], rows: Sequence[Mapping[str, Any]]) -> Group:
    figures = {name: interval([figure(row, name) for row in rows]) for name in FIGURES}
    return Group(*key, tuple(sorted(row["options"]["seed"] for row in rows)), figures)


def show(folder: Path, limits: Sequence[Limit], *, output: str, report: Path | None) -> int:
    """Print the merged sweep; exit code 3 when a group goes beyond a limit, 5 when points are missing."""
    groups, missing = merged(folder)
    broken = [
        f"{limit.text}: {one.title}"
        for limit in limits
        for one in groups
        if limit.beyond(*_alone(limit, one))
    ]
    if report:
        write(report, page(groups, missing, folder.name), option="--report")
    if output == "json":
        print(json.dumps({**_as_json(groups, missing), "broken": broken}))
    else:
        print("\n".join([*lines(groups, missing), *(f"beyond its limit: {text}" for text in broken)]))
    return code(missing, broken)


def code(missing: Sequence[str], broken: Sequence[str]) -> int:
    """The exit code: 5 while points are missing, 3 beyond a limit."""
    return PARTIAL if missing else BEYOND if broken else 0


def figure_of(limit: Limit, group: Group) -> float:
    """The mean that a limit speaks of; raises InvalidInput for a figure that sweeps do not have."""
    if limit.name not in group.figures:
        raise invalid("--fail-on", "figure", limit.name, f"one of {', '.join(FIGURES)}")
    return group.figures[limit.name][0]


def _alone(limit: Limit, group: Group) -> tuple[float, float]:
    if limit.relative:
        raise invalid(
            "--fail-on", "limit", limit.text, "a limit without an x: one sweep has no other beside it"
        )
    return 1.0, figure_of(limit, group)


def _as_json(groups: Sequence[Group], missing: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "policy": one.policy,
            "queue": one.queue,
            "load": one.load,
            "seeds": list(one.seeds),
            "figures": {
                name: {"mean": mean, "half_width_95": half} for name, (mean, half) in one.figures.items()
            },
        }
        for one in groups
    ]
    return {"schema": "lockstep.sweep/v1", "groups": rows, "missing": list(missing)}


def lines(groups: Sequence[Group], missing: Sequence[str]) -> list[str]:
    """A block per figure, a line per group."""
    found = []
    for name in FIGURES:
        found.append(name)
        for one in groups:
            mean, half = one.figures[name]
            found.append(f"  {one.title:<44}{mean:>16.6g} ± {half:.4g}  ({len(one.seeds)} seeds)")
    return [*found, f"missing: {len(missing)}" + (f" ({', '.join(missing[:5])})" if missing else "")]


def page(groups: Sequence[Group], missing: Sequence[str], title: str) -> str:
    """Every figure over the load, a line per policy and queue, and all of them as a table."""
    names = list(dict.fromkeys(_name(one) for one in groups))
    colours = {name: colour(at) for at, name in enumerate(names)}
    marks = "".join(f'<span><i style="background:{colours[n]}"></i>{escape(n)}</span>' for n in names)
    loads = sorted({one.load for one in groups})
    parts: list[Part] = [("figures", "Figures", "Mean over seeds, ± 95 % interval.", _table(groups))]
    if len(loads) > 1:
        drawn = "".join(f"<div>{_over_load(groups, name, colours)}</div>" for name in _SHOWN)
        body = f'<div class="legend">{marks}</div><div class="two">{drawn}</div>'
        parts.insert(0, ("loads", "Over the load", "", body))
    told = f"{sum(len(one.seeds) for one in groups)} simulations"
    return sheet(f"Sweep {title}", told + (f", {len(missing)} missing" if missing else ""), parts, "")


def _name(one: Group) -> str:
    return f"{one.policy}, {one.queue}"


def _over_load(groups: Sequence[Group], name: str, colours: Mapping[str, str]) -> str:
    rows = [
        Line(who, shade, sorted((g.load, g.figures[name][0]) for g in groups if _name(g) == who))
        for who, shade in colours.items()
    ]
    x, y = Axis("load", lambda v: f"{v:g}"), Axis("", number, low=0.0)
    return f"<h3>{name}</h3>{chart(name, rows, x, y, width=540, height=210)}"


def _table(groups: Sequence[Group]) -> str:
    rows = []
    for one in groups:
        values = [one.figures[name] for name in _SHOWN]
        shown = [Cell(f"{number(mean)} ± {number(float(f'{half:.2g}'))}", mean) for mean, half in values]
        rows.append([Cell(_name(one)), Cell(f"{one.load:g}", one.load), Cell(str(len(one.seeds))), *shown])
    return table(["policy, queue", "load", "seeds", *_SHOWN], rows, caption="figures of the sweep")
