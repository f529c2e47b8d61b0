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

from benchmarks.simulate import compare, document, fractional, generate
from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.files import write
from benchmarks.simulate.policies import NAMES
from benchmarks.simulate.replay import DISCIPLINES
from benchmarks.simulate.run import Options, Progress, Simulation, prepare
from benchmarks.simulate.traces.job import invalid
from benchmarks.simulate.traces.reading import FORMATS, Trace
from scheduler.model import InvalidInput

WORDS = ("simulate", "compare", "generate", "fractional")
BEYOND = 3
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
    _add_compare(words.add_parser("compare", help="two simulations side by side"))
    _add_generate(words.add_parser("generate", help="write a synthetic cluster or workload"))
    _add_fractional(words.add_parser("fractional", help="shared GPUs: the FGD experiment"))
    return parser


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--trace", required=True, help="file of jobs")
    add("--format", choices=sorted(FORMATS), default="plain", help="what the trace is (default plain)")
    add("--cluster", required=True, help="nvl72:8, hgx:2x4x8, uneven:1, mixed, hosts.csv or a snapshot")
    add("--policy", choices=NAMES, default="lockstep", help="who decides (default lockstep)")
    add("--queue", choices=DISCIPLINES, default="fifo", help="discipline (default fifo)")
    add("--depth", type=int, default=100, help="backfill: how many waiting jobs are looked at")
    add("--load", type=float, default=1.0, help="how much faster jobs come than recorded")
    add("--seed", type=int, default=0, help="of preload and failures")
    add("--preload", type=float, default=0.0, help="share of the GPUs taken for good before the start")
    add("--jobs", type=int, help="only the first so many jobs")
    add("--horizon-s", type=float, help="end of the simulation; jobs that run or wait then are cut off")
    add("--required", action="append", default=[], metavar="SCOPE=LEVEL", help="of every gang; repeatable")
    add("--preferred", action="append", default=[], metavar="SCOPE=LEVEL", help="of every gang; repeatable")
    add("--tensor-parallel", dest="tensor", type=int, default=1, help="of gangs that it divides (default 1)")
    add("--pipeline-parallel", dest="pipeline", type=int, default=1, help="stages, the same way (default 1)")
    add("--failures", help="CSV of node failures: time_s,node,event (down or up)")
    add("--mtbf-h", type=float, help="mean hours between failures of a node")
    add("--mttr-h", type=float, default=4.0, help="mean hours to repair (default 4)")
    add("--checkpoint-s", type=float, default=0.0, help="run time between checkpoints; 0: begin again")
    add("--skip-bad", action="store_true", help="leave out and list bad rows and jobs too large")
    add("--check", action="store_true", help="the referee looks at every placement")
    add("--out", type=Path, help="write the JSON document here")
    add("--report", type=Path, help="write one HTML page that needs no network here")
    add("--plots", type=Path, metavar="FOLDER", help="write plots as PNG and SVG (extra `reports`)")
    add("--no-times", action="store_true", help="leave measured times out: same options, same bytes")
    add("--journal", type=Path, help="keep answers here, to resume (default: OUT.journal)")
    add("--resume", action="store_true", help="go on where the journal ends")
    parser.set_defaults(run=_simulate)


def _simulate(given: argparse.Namespace) -> int:
    fields: dict[str, Any] = {name: getattr(given, name) for name in Options.__dataclass_fields__}
    fields |= {name: tuple(fields[name]) for name in ("required", "preferred")}
    options = Options(**fields)
    journal = given.journal or (Path(f"{given.out}.journal") if given.out else None)
    if given.resume and journal is None:
        raise invalid("--resume", "journal", "", "--journal FILE or --out FILE, beside which it is kept")
    simulation = prepare(options, journal=journal, resume=given.resume)
    try:
        with _progress() as tell:
            simulation.run(tell)
    except KeyboardInterrupt:
        hint = f"; --resume goes on from {journal}" if journal else ""
        print(f"interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    return _hand_over(simulation, given, journal)


def _hand_over(simulation: Simulation, given: argparse.Namespace, journal: Path | None) -> int:
    found = simulation.document(times=not given.no_times)
    if given.out:
        write(given.out, document.text_of(found))
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
    parser.add_argument("a", type=Path, help="document of `simulate`")
    parser.add_argument("b", type=Path, help="the one that is judged")
    parser.add_argument(
        "--fail-on", action="append", default=[], metavar="LIMIT", help="wait_p99_s>1.1x; exit code 3 when so"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--report", type=Path, help="write both as one HTML page here")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write plots as PNG and SVG")
    parser.set_defaults(run=_compare)


def _compare(given: argparse.Namespace) -> int:
    limits = [compare.limit_of(text) for text in given.fail_on]
    documents = [document.read(given.a), document.read(given.b)]
    found = compare.compared(documents[0], documents[1], limits)
    _show(documents, given)
    print(json.dumps(found) if given.output == "json" else "\n".join(compare.table(found)))
    return BEYOND if found["broken"] else 0


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
