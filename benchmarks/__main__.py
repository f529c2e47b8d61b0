"""`python -m benchmarks`: measure, print beside the targets, and record.

speed: the engine alone. placement: single decisions of every kind. quality: answers against brute
force. reading: fabrics read, kept up and drawn. path: through the real control plane. serving:
the running service under load. kalos: real jobs on a real fabric. Without a word: all of these.
simulate, sweep, compare, generate, fractional: replay job traces; published: the figures that
stand beside published ones. Each of these has its own --help.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import kalos, path, placing, quality, reading, serving, speed
from benchmarks.figures import Figure
from benchmarks.published import command as comparing
from benchmarks.recording import RESULTS, TRACES, record
from benchmarks.simulate import commands

PARTS = ("speed", "placement", "quality", "reading", "path", "serving", "kalos")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; exit code 0 when every target is met, 3 when not."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in commands.WORDS:
        return commands.main(words)
    if words and words[0] == comparing.WORD:
        return comparing.main(words)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="*",
        choices=[*PARTS, []],
        metavar="PART",
        help=f"{', '.join(PARTS)} (default: all)",
    )
    parser.add_argument("--runs", type=int, default=3, help="runs per figure (default 3)")
    parser.add_argument("--record", action="store_true", help=f"write the results into {RESULTS.name}")
    parser.add_argument("--instances", type=int, default=10_000, help="quality: random problems per kind")
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of the traces")
    parser.add_argument("--speedup", type=float, default=30.0, help="kalos: how much faster jobs come")
    parser.add_argument("--jobs", type=int, default=10_000, help="kalos: only so many jobs")
    given = parser.parse_args(arguments)
    chosen = given.what or PARTS
    met = True
    for what in chosen:
        if what == "kalos":
            lines = kalos.run(given.traces, speedup=given.speedup, limit=given.jobs, tell=_tell)
            print("\n".join(lines))
        elif what == "quality":
            lines, right = quality.run(given.instances, tell=_tell)
            met = met and right
            print("\n".join(lines))
        else:
            figures = _figures(what, given.runs)
            met = met and all(figure.met for figure in figures)
            lines = _table(figures)
            print("\n".join(lines))
        if given.record:
            record(what, lines, words)
    return 0 if met else 3


def _figures(what: str, runs: int) -> list[Figure]:
    """The figures of one part, measured one after another."""
    tell = _tell
    parts: dict[str, list[Callable[[], Figure]]] = {
        "speed": [
            lambda: speed.placing(25_000, 256, load=0.5, runs=5 * runs, target=5, tell=tell),
            lambda: speed.filtering(5_000, calls=1000, target=8, tell=tell),
            lambda: speed.planning(1_000, runs=2 * runs + 1, target=1.5, tell=tell),
        ],
        "reading": reading.figures(runs=runs, tell=tell),
        "placement": placing.figures(runs=runs, tell=tell),
        "path": [
            lambda: path.gang_ratio(5_000, 512, runs=runs, target=0.30, tell=tell),
            lambda: path.gang_ratio(500, 500, runs=runs, target=0.6, tell=tell),
            lambda: path.plain_rate(500, 1_000, runs=runs, target=0.95, tell=tell),
            lambda: path.memory(5_000, 20_000, target=300, tell=tell),
        ],
        "serving": serving.figures(runs=runs, tell=tell),
    }
    return [measure() for measure in parts[what]]


def _table(figures: list[Figure]) -> list[str]:
    rows = [figure.row() for figure in figures]
    return [
        "| what | measured | target | met | how |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
