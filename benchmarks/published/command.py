"""`python -m benchmarks published NAME`: one command for each figure that stands beside a published one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.published import arnold, lingjun, openb, philly
from benchmarks.published.finding import Finding
from benchmarks.recording import TRACES, record
from benchmarks.simulate.files import write
from scheduler.model import InvalidInput

WORD = "published"
MISSED = 3

RUNS: Mapping[str, Callable[[argparse.Namespace], Finding]] = {
    "openb": lambda given: openb.run(given.traces, seeds=given.seeds, workers=given.workers, tell=_tell),
    "philly": lambda given: philly.run(given.traces, runs=given.runs, tell=_tell),
    "arnold": lambda given: arnold.run(seeds=given.seeds, tell=_tell),
    "lingjun": lambda given: lingjun.run(given.traces, workers=given.workers, tell=_tell),
}


def main(words: Sequence[str]) -> int:
    """Exit code 0 when every target is met, 2 for wrong usage or input, 3 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks published", description=__doc__)
    parser.add_argument("name", choices=sorted(RUNS), help="what to compare with")
    parser.add_argument(
        "--traces", type=Path, default=TRACES, help="folder of the traces (default %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="openb: orders of arrival; arnold: occupancies (default 10)"
    )
    parser.add_argument("--runs", type=int, default=3, help="philly: how often (default 3)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one per core)")
    parser.add_argument("--report", type=Path, help="write one HTML page that needs no network here")
    parser.add_argument("--record", action="store_true", help="write the results into RESULTS.md")
    given = parser.parse_args(words[1:])
    try:
        found = RUNS[given.name](given)
        if given.report:
            write(given.report, found.page, option="--report")
    except InvalidInput as error:
        for fault in error.faults:
            print(f"{fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("\n".join(found.text()))
    if given.record:
        record(f"published {given.name}", found.text(), words)
    return 0 if found.met else MISSED


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
