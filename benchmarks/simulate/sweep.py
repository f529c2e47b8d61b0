"""`python -m benchmarks sweep`: every policy, queue, load and seed, in parallel, into one folder.

Shards of a sweep share nothing but that folder: each writes its own points, whole or not at all, and
leaves those that are there already. `compare FOLDER` merges them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.simulate import common, document
from benchmarks.simulate.files import write
from benchmarks.simulate.parallel import spread
from benchmarks.simulate.policies import NAMES
from benchmarks.simulate.replay import DISCIPLINES
from benchmarks.simulate.run import Options, digest_of, prepare
from benchmarks.simulate.traces.job import invalid
from scheduler.model import InvalidInput

PLAN = "sweep.json"
SCHEMA = "lockstep.sweep-plan/v1"
_SHARD = re.compile(r"(\d+)/(\d+)")


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    common.add(parser)
    more = parser.add_argument
    more("--policies", nargs="+", choices=NAMES, default=["lockstep"], help="who decides")
    more("--queues", nargs="+", choices=DISCIPLINES, default=["fifo"], help="disciplines")
    more("--loads", nargs="+", type=float, default=[1.0], help="how much faster jobs come than recorded")
    more("--seeds", nargs="+", type=int, default=[0], help="of preload and failures")
    more("--out", type=Path, required=True, metavar="FOLDER", help="one document per point goes here")
    more("--shard", help="K/N: only every N-th point, from the K-th on; K counts from 0")
    more("--workers", type=int, default=0, help="processes (default: one per core)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Exit code 0 when every point of this shard is there."""
    points = points_of(given)
    own = shard(points, given.shard)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        wanted = f"a folder that can be written ({error.strerror})"
        raise invalid(str(given.out), "--out", given.out, wanted) from error
    prepare(own[0] if own else points[0])  # what is wrong with the options is told before any work
    names = [name_of(one) for one in points]
    plan = {"schema": SCHEMA, "points": names}
    write(given.out / PLAN, json.dumps(plan, indent=1) + "\n")
    try:
        work = partial(simulated, folder=given.out, times=not given.no_times)
        for done, (at, fresh) in enumerate(spread(work, own, workers=given.workers), start=1):
            told = "" if fresh else " (was there)"
            print(f"{done}/{len(own)} {_said(own[at])}{told}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it was", file=sys.stderr)
        return 130
    print(f"{len(own)} of {len(points)} points are in {given.out}; python -m benchmarks compare {given.out}")
    return 0


def points_of(given: argparse.Namespace) -> list[Options]:
    """Every combination, in the order of the words."""
    return [
        common.options_of(given, policy=policy, queue=queue, load=load, seed=seed)
        for seed in given.seeds
        for load in given.loads
        for queue in given.queues
        for policy in given.policies
    ]


def shard(points: list[Options], text: str | None) -> list[Options]:
    """Every N-th point; raises InvalidInput for a shard that is none."""
    if text is None:
        return points
    match = _SHARD.fullmatch(text)
    if match is None or not int(match[1]) < int(match[2]):
        raise invalid("--shard", "shard", text, "K/N with K from 0 to N - 1, such as 0/4")
    return points[int(match[1]) :: int(match[2])]


def name_of(options: Options) -> str:
    """The file of a point: what it varies in words, then a fingerprint of all its options."""
    words = f"{options.policy}-{options.queue}-load{options.load:g}-seed{options.seed}"
    fingerprint = digest_of(json.dumps(asdict(options), sort_keys=True))
    return f"{words}-{fingerprint[:10]}.json"


def simulated(options: Options, *, folder: Path, times: bool) -> bool:
    """Run one point into its file; False when it was there, of the same inputs."""
    path = folder / name_of(options)
    simulation = prepare(options, folder=folder)
    if _there(path, simulation.digest):
        return False
    simulation.run()
    write(path, document.parts(simulation.document(times=times)))
    return True


def _there(path: Path, digest: str) -> bool:
    try:
        return bool(document.read(path)["digest"] == digest)
    except InvalidInput:
        return False  # absent, or not ours: it is written again


def _said(options: Options) -> str:
    return f"{options.policy}, {options.queue}, load {options.load:g}, seed {options.seed} [{os.getpid()}]"
