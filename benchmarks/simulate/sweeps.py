"""Two sweeps side by side: what has the same policy, queue and load in both, mean beside mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.simulate.compare import FIGURES, Limit
from benchmarks.simulate.files import write
from benchmarks.simulate.merge import Group, code, figure_of, merged, page
from benchmarks.simulate.traces.job import invalid

Pair = tuple[Group, Group]


def show(a: Path, b: Path, limits: Sequence[Limit], *, output: str, report: Path | None) -> int:
    """Print both, A first; exit code 3 when B goes beyond a limit, 5 when points of either are missing."""
    (before, gone), (after, lost) = merged(a), merged(b)
    pairs = _pairs(before, after)
    missing = [*(f"A {name}" for name in gone), *(f"B {name}" for name in lost)]
    if not pairs and not missing:
        raise invalid(str(b), "points", len(after), f"at least one policy, queue and load that {a} has, too")
    broken = [
        f"{limit.text}: {now.title}"
        for limit in limits
        for was, now in pairs
        if limit.beyond(figure_of(limit, was), figure_of(limit, now))
    ]
    found = {
        "schema": "lockstep.sweeps/v1",
        "a": str(a),
        "b": str(b),
        "pairs": [_as_json(was, now) for was, now in pairs],
        "only_in_a": _only(before, after),
        "only_in_b": _only(after, before),
        "missing": missing,
        "broken": broken,
    }
    if report:
        write(report, page(_named(before, after), missing, f"{a.name} and {b.name}"), option="--report")
    print(json.dumps(found) if output == "json" else "\n".join(_lines(found, pairs)))
    return code(missing, broken)


def _pairs(before: Sequence[Group], after: Sequence[Group]) -> list[Pair]:
    theirs = {one.key: one for one in after}
    return [(one, theirs[one.key]) for one in before if one.key in theirs]


def _only(ours: Sequence[Group], theirs: Sequence[Group]) -> list[str]:
    known = {one.key for one in theirs}
    return [one.title for one in ours if one.key not in known]


def _named(before: Sequence[Group], after: Sequence[Group]) -> list[Group]:
    """The groups of both on one page, told apart by a letter."""
    ours = [replace(one, policy=f"A {one.policy}") for one in before]
    return ours + [replace(one, policy=f"B {one.policy}") for one in after]


def _as_json(was: Group, now: Group) -> dict[str, Any]:
    return {
        "policy": was.policy,
        "queue": was.queue,
        "load": was.load,
        "seeds": [list(was.seeds), list(now.seeds)],
        "figures": {
            name: [
                {"mean": mean, "half_width_95": half} for mean, half in (was.figures[name], now.figures[name])
            ]
            for name in FIGURES
        },
    }


def _lines(found: dict[str, Any], pairs: Sequence[Pair]) -> list[str]:
    lines = [f"A {found['a']}", f"B {found['b']}"]
    for name in FIGURES:
        lines.append(name)
        for was, now in pairs:
            (a, near), (b, far) = was.figures[name], now.figures[name]
            ratio = f"{b / a:.3f}x" if a else ""
            lines.append(
                f"  {was.title:<40}{a:>12.6g} ± {near:<9.3g}{b:>12.6g} ± {far:<9.3g}{ratio}".rstrip()
            )
    for word in ("only_in_a", "only_in_b", "missing"):
        lines.append(
            f"{word}: {len(found[word])}" + (f" ({'; '.join(found[word][:5])})" if found[word] else "")
        )
    return lines + [f"beyond its limit: {text}" for text in found["broken"]]
