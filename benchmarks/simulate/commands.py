"""`python -m benchmarks simulate`, `compare` and `generate`: options in, exit codes out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.simulate import common, compare, document, fractional, generate, merge, sweep, sweeps
from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.files import write
from benchmarks.simulate.policies import NAMES
from benchmarks.simulate.replay import DISCIPLINES
from benchmarks.simulate.run import Progress, Simulation, prepare
from benchmarks.simulate.traces.job import invalid
from benchmarks.simulate.traces.reading import Trace
from scheduler.model import InvalidInput

WORDS = ("simulate", "sweep", "compare", "generate", "fractional")
INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Exit code 0 when done, 1 for our own error, 2 for wrong usage or input, 3 for a comparison that
    fails, 130 when interrupted."""
    given = _parser().parse_args(words)
    try:
        return int(given.run(given))
    except InvalidInput as error:
        for fault in error.faults:
            print(f"{fault}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read has gone
        return 0
    except OSError as error:
        print(f"{error.filename or 'file'}: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words = parser.add_subparsers(required=True, metavar="WORD")
    _add_simulate(words.add_parser("simulate", help="replay a job trace on a cluster in virtual time"))
    sweep.add(words.add_parser("sweep", help="many simulations on all cores, or one shard of them"))
    _add_compare(words.add_parser("compare", help="two simulations side by side, or the points of a sweep"))
    _add_generate(words.add_parser("generate", help="write a synthetic cluster or workload"))
    _add_fractional(words.add_parser("fractional", help="shared GPUs: the FGD experiment"))
    return parser


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    common.add(parser)
    add = parser.add_argument
    add("--policy", choices=NAMES, default="lockstep", help="who decides (default lockstep)")
    add("--queue", choices=DISCIPLINES, default="fifo", help="discipline (default fifo)")
    add("--load", type=float, default=1.0, help="how much faster jobs come than recorded")
    add("--seed", type=int, default=0, help="of preload and failures")
    add("--out", type=Path, help="write the JSON document here")
    add("--report", type=Path, help="write one HTML page that needs no network here")
    add("--plots", type=Path, metavar="FOLDER", help="write plots as PNG and SVG (extra `reports`)")
    add("--journal", type=Path, help="keep answers here, to resume (default: OUT.journal)")
    add("--resume", action="store_true", help="go on where the journal ends")
    parser.set_defaults(run=_simulate)


def _simulate(given: argparse.Namespace) -> int:
    options = common.options_of(given)
    journal = given.journal or (Path(f"{given.out}.journal") if given.out else None)
    if given.resume and journal is None:
        raise invalid("--resume", "journal", "", "--journal FILE or --out FILE, beside which it is kept")
    simulation = prepare(options, journal=journal, resume=given.resume, folder=_folder(given.out))
    try:
        with _progress() as tell:
            simulation.run(tell)
    except KeyboardInterrupt:
        hint = f"; --resume goes on from {journal}" if journal else ""
        print(f"interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    return _hand_over(simulation, given, journal)


def _folder(out: Path | None) -> Path | None:
    """Rows wait where they will be written; elsewhere when there is no such folder, which writing tells."""
    return out.parent if out is not None and out.parent.is_dir() and os.access(out.parent, os.W_OK) else None


def _hand_over(simulation: Simulation, given: argparse.Namespace, journal: Path | None) -> int:
    found = simulation.document(times=not given.no_times)
    if given.out:
        write(given.out, document.parts(found))
        if journal is not None:
            journal.unlink(missing_ok=True)
    _show([found], given)
    print("\n".join(document.table(found)))
    return 0


def _show(documents: list[dict[str, Any]], given: argparse.Namespace) -> None:
    """The page and the plots, where they are asked for."""
    if given.report:
        from benchmarks.simulate.report.page import page  # noqa: PLC0415  (only where it is asked for)

        write(given.report, page(documents), option="--report")
    if given.plots:
        from benchmarks.simulate.report.plots import save  # noqa: PLC0415  (matplotlib takes a second)

        save(documents, given.plots)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, help="document of `simulate`, or the folder of a `sweep`")
    parser.add_argument(
        "b", type=Path, nargs="?", help="the one that is judged: a document, or a second folder"
    )
    parser.add_argument(
        "--fail-on", action="append", default=[], metavar="LIMIT", help="wait_p99_s>1.1x; exit code 3 when so"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--report", type=Path, help="write both as one HTML page here")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write plots as PNG and SVG")
    parser.set_defaults(run=_compare)


def _compare(given: argparse.Namespace) -> int:
    limits = [compare.limit_of(text) for text in given.fail_on]
    if given.a.is_dir():
        return _compare_sweeps(given, limits)
    if given.b is None:
        raise invalid("compare", "second document", "", "two documents, or the folder of a sweep or of two")
    documents = [document.read(given.a), document.read(given.b)]
    found = compare.compared(documents[0], documents[1], limits)
    _show(documents, given)
    print(json.dumps(found) if given.output == "json" else "\n".join(compare.table(found)))
    return merge.BEYOND if found["broken"] else 0


def _compare_sweeps(given: argparse.Namespace, limits: Sequence[compare.Limit]) -> int:
    if given.plots:
        raise invalid("--plots", "folder", given.plots, "two documents; --report draws a sweep")
    if given.b is None:
        return merge.show(given.a, limits, output=given.output, report=given.report)
    return sweeps.show(given.a, given.b, limits, output=given.output, report=given.report)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    nodes = kinds.add_parser("cluster", help="a snapshot as kubectl prints it")
    nodes.add_argument("cluster", help="as for simulate")
    nodes.add_argument("--preload", type=float, default=0.0, help="share of the GPUs that is taken")
    nodes.set_defaults(text=_cluster_text)
    jobs = kinds.add_parser("workload", help="a plain trace")
    jobs.add_argument("--jobs", type=int, default=1000)
    jobs.add_argument("--sizes", default="1:0.6,8:0.25,32:0.1,128:0.05", help="GPUs and weight, comma list")
    jobs.add_argument("--per-hour", type=float, default=60.0, help="jobs that come in an hour")
    jobs.add_argument("--median-s", type=float, default=1800.0, help="median run time")
    jobs.add_argument("--sigma", type=float, default=1.5, help="of the logarithm of the run time")
    jobs.set_defaults(text=_workload_text)
    for kind in (nodes, jobs):
        kind.add_argument("--seed", type=int, default=0)
        kind.add_argument("--out", type=Path, required=True)
        kind.set_defaults(run=_generate)


def _generate(given: argparse.Namespace) -> int:
    write(given.out, given.text(given))
    return 0


def _add_fractional(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", required=True, help="a cluster, as for simulate: openb's nodes.csv")
    parser.add_argument("--pods", type=Path, required=True, help="openb's pods.csv.gz")
    parser.add_argument("--seeds", type=int, default=1, help="how many orders of arrival (FGD used 10)")
    parser.add_argument("--policies", nargs="+", choices=fractional.POLICIES, default=fractional.POLICIES)
    parser.set_defaults(run=_fractional)


def _fractional(given: argparse.Namespace) -> int:
    nodes = cluster(given.nodes).nodes
    jobs = list(Trace(given.pods, "openb-demand").jobs())
    print("shares of all GPUs, mean of the seeds: allocated (fragmented), as demand arrives")
    for policy in given.policies:
        runs = [fractional.arrive(nodes, jobs, policy=policy, seed=seed) for seed in range(given.seeds)]
        marks = [
            f"{one['arrived']:.0%}: {mean(run[at]['allocated'] for run in runs):.2%}"
            f" ({mean(run[at]['fragmented'] for run in runs):.2%})"
            for at, one in enumerate(runs[0])
        ]
        print(f"{policy:<9} " + "   ".join(marks))
    return 0


def _cluster_text(given: argparse.Namespace) -> str:
    source = cluster(given.cluster, preload=given.preload, seed=given.seed)
    return json.dumps(generate.snapshot(source), indent=1) + "\n"


def _workload_text(given: argparse.Namespace) -> str:
    return generate.workload(
        given.jobs,
        sizes=given.sizes,
        per_hour=given.per_hour,
        median_s=given.median_s,
        sigma=given.sigma,
        seed=given.seed,
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line that moves, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _jobs, _now_s: None
        return
    from rich.console import Console  # noqa: PLC0415  (only where somebody looks)
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading")

        def tell(jobs: int, now_s: float) -> None:
            bar.update(task, description=f"{jobs} jobs have come, hour {now_s / 3600:.1f}")

        yield tell
