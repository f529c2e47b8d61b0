"""The page: every part, the style and the script in one file."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from benchmarks.simulate.clusters import ClusterSource, cluster
from benchmarks.simulate.report import listings, sections
from benchmarks.simulate.report.runs import Run, runs_of

_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


Part = tuple[str, str, str, str]
"""Anchor, title, note and HTML of a section."""


def page(documents: Sequence[Mapping[str, Any]], *, extra: Sequence[Part] = ()) -> str:
    """The report of one or several simulations, one HTML document that asks for nothing else.

    `extra`: sections that come first. Raises InvalidInput where a cluster cannot be read again for its
    pictures.
    """
    runs = runs_of(documents)
    parts = [
        ("overview", "Overview", "", listings.overview(runs)),
        ("use", "Use over time", "", sections.use(runs)),
        ("waiting", "Waiting", _WAITING, sections.waits(runs)),
        ("fragmentation", "Fragmentation", _FRAGMENTS, sections.fragments(runs)),
        ("slots", "What would still fit", _SLOTS, sections.slots(runs)),
        ("placement", "Domains touched", _PLACEMENT, listings.placement(runs)),
        ("communication", "Communication", _COMMUNICATION, listings.communication(runs)),
        ("fabric", "The fabric", _FABRIC, listings.pictures(runs, _source())),
        ("jobs", "Jobs that waited longest", "", listings.jobs(runs)),
        ("definitions", "What the figures mean", "", _definitions(documents[0])),
    ]
    return sheet(_title(runs), _subtitle(runs), [*extra, *parts], _provenance(runs))


def sheet(title: str, subtitle: str, parts: Sequence[Part], foot: str) -> str:
    """A page of such parts, in one file; `foot` is HTML."""
    body = "".join(
        f'<section id="{name}"><h2>{head}</h2>{f"<p class=note>{note}</p>" if note else ""}{text}</section>'
        for name, head, note, text in parts
    )
    links = "".join(f'<a href="#{name}">{head}</a>' for name, head, _, _ in parts)
    return _whole(title, subtitle, links, body, foot)


_WAITING = "Wait: start of all pods minus submission. Jobs that never started keep a curve below 100 %."
_FRAGMENTS = (
    "Free is not the same as usable: how much of what is free lies scattered, and how much of it the gangs "
    "of this workload could not fill."
)
_SLOTS = "Gangs in pods of whole nodes that could start side by side then, each inside one domain."
_PLACEMENT = (
    "Gangs of several pods: domains they touch, and the fewest that could hold them on an empty cluster."
)
_COMMUNICATION = (
    "An estimate from a link model calibrated on public measurements, not a measurement: nothing overlaps, "
    "other gangs' traffic is left out, and the whisker is the range the value may be in. Grey: placed with "
    "nothing else running."
)
_FABRIC = "A cell is a node, a colour a gang, a box a domain. Point at a node to see what runs there."


def _source() -> Callable[[Run], ClusterSource]:
    @cache
    def read(text: str, preload: float, seed: int) -> ClusterSource:
        return cluster(text, preload=preload, seed=seed)

    def source(run: Run) -> ClusterSource:
        options = run.document["options"]
        return read(options["cluster"], options["preload"], options["seed"])

    return source


def _title(runs: Sequence[Run]) -> str:
    options = runs[0].document["options"]
    return f"{options['trace'].rsplit('/', 1)[-1]} on {runs[0].document['cluster']['name']}"


def _subtitle(runs: Sequence[Run]) -> str:
    where, jobs = runs[0].document["cluster"], runs[0].summary["jobs"]
    counts = f"{where['nodes']:,} nodes, {where['gpus']:,} GPUs · {jobs['submitted']:,} jobs"
    return f"{counts}, {jobs['gangs']:,} of several pods · {', '.join(run.name for run in runs)}"


def _definitions(document: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in document["definitions"].items()
    )
    return f"<dl>{rows}</dl>"


def _provenance(runs: Sequence[Run]) -> str:
    lines = [
        f"{escape(run.name)}: <code>{escape(command(run.document['options']))}</code>, "
        f"inputs {run.document['digest'][:12]}"
        for run in runs
    ]
    return "<br>".join(lines)


_FLAGS = {"tensor": "tensor-parallel", "pipeline": "pipeline-parallel", "quotas": "quota"}
_DEFAULTS: Mapping[str, object] = {
    **{"queue": "fifo", "depth": 100, "load": 1.0, "seed": 0, "preload": 0.0},
    **{"mttr_h": 4.0, "checkpoint_s": 0.0, "tensor": 1, "pipeline": 1},
    **{"prefill": 0.0, "warmup_s": 0.0},
}


def command(options: Mapping[str, Any]) -> str:
    """The command that gives this simulation again."""
    words = ["python", "-m", "benchmarks", "simulate"]
    for name, value in options.items():
        flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
        if value is None or value is False or value == _DEFAULTS.get(name):
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            quota = f"{one[0]}={one[1]:g}" if name == "quotas" else str(one)
            words += [flag] if one is True else [flag, quota]
    return shlex.join(words)


def _whole(title: str, subtitle: str, links: str, body: str, foot: str) -> str:
    here = files("benchmarks.simulate.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{style}</style></head><body>'
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>"
        f'<main>{body}</main><footer>{foot}</footer><div id="tip" hidden></div>'
        f"<script>{script}</script></body></html>\n"
    )
