"""All drills by one command: `python -m tests.drills [NUMBER...] [--record] [--kills N] [--real-kills N]`.

Each is a script of its own or a test; the figures go to tests/drills/RESULTS.md with `--record`.
Takes about half an hour with the default counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.drills.clocks import clock_jumps
from tests.drills.large import large_gangs
from tests.drills.rolling import update_with_a_loss
from tests.drills.scarce import scarcities
from tests.drills.versions import mixed_versions

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("RESULTS.md")
MARK = "<!-- written by python -m tests.drills --record -->"


@dataclass(frozen=True)
class Drill:
    """One drill: its number in the list of the reliability page, what it does, and how."""

    number: str
    title: str
    tests: tuple[str, ...] = ()
    run: Callable[[argparse.Namespace], tuple[bool, str]] | None = None


def kills_in_process(options: argparse.Namespace) -> tuple[bool, str]:
    """A kill at a random write of each of so many histories."""
    from tests.drills.crashes import story

    killed = half = evicted = 0
    wrong, longest_s = [], 0.0
    for seed in range(options.kills):
        found = story(seed)
        killed, half = killed + found.killed, half + found.partial_at_death
        evicted, longest_s = evicted + found.evicted, max(longest_s, found.half_s)
        wrong += [(seed, one) for one in found.wrong]
    told = f"{options.kills} histories, {killed} killed at a write, {half} of them amid Bindings: "
    told += f"{len(wrong)} wrong, longest half {longest_s:.1f} s, {evicted} with a gang released"
    return not wrong, told


def kills_for_real(options: argparse.Namespace) -> tuple[bool, str]:
    """kill -9 of the service at random moments of so many gang placements on the real control plane."""
    from tests.drills.killing import random_kills

    return random_kills(options.real_kills)


def crash(name: str) -> tuple[str, ...]:
    """One of the end-to-end tests of crashes."""
    return (f"tests/e2e/test_crashes.py::{name}",)


PLANS = ("tests/e2e/test_gangs.py", "tests/scheduler/test_engine_properties.py")
DRILLS = (
    Drill("1a", "kill at a random write, API server of ours", run=kills_in_process),
    Drill("1b", "kill -9 at random, real control plane", run=kills_for_real),
    Drill("1c", "kill -9 after k of 16 Bindings, every k", crash("test_every_kill_after_so_many_bindings")),
    Drill(
        "1d",
        "a start that cannot be completed",
        crash("test_what_was_begun_and_cannot_be_completed_is_released"),
    ),
    Drill("2, 6", "SIGTERM, and a leader that slept past its lease", crash("test_two_replicas_hand_over")),
    Drill(
        "6",
        "writes of an old leader that arrive while another leads",
        crash("test_what_an_old_leader_had_on_its_way_is_refused"),
    ),
    Drill(
        "3, 9",
        "kube-scheduler and API server killed",
        crash("test_scheduler_and_api_server_may_be_killed_amid_the_bindings"),
    ),
    Drill(
        "3",
        "API server away for 40 s: nothing new is planned, and it says so",
        crash("test_stale_data_refuses_new_plans_and_says_so"),
    ),
    Drill("1e", "etcd killed alone amid the Bindings", crash("test_etcd_may_be_killed_amid_the_bindings")),
    Drill("4", "watch: 410, drop, duplicate, deletion missed", ("tests/contract/test_kube_watch.py",)),
    Drill(
        "4",
        "watches that stand still while the API server answers",
        crash("test_a_silent_watch_is_noticed_while_the_server_answers"),
    ),
    Drill(
        "7",
        "the wall clock of leader or standby jumps by an hour, and stands still",
        run=lambda _: clock_jumps(),
    ),
    Drill("7", "leases do not believe clocks", ("tests/scheduler/test_lease.py",)),
    Drill(
        "8",
        "API server slow, and busy (429)",
        crash("test_a_slow_and_busy_api_server_delays_and_breaks_nothing"),
    ),
    Drill(
        "10, 11",
        "nodes and pods that change between plan and Binding",
        ("tests/e2e/test_gangs.py", "tests/scheduler/test_engine_properties.py"),
    ),
    Drill(
        "12",
        "labels that vanish, contradict or change while running",
        ("tests/topology/test_detect.py", "tests/topology/test_fabric.py"),
    ),
    Drill("13", "hostile bodies", ("tests/drills/test_hostile.py",)),
    Drill(
        "14, 15",
        "slow and idle sockets; certificates that change, expire or are another's",
        ("tests/contract/test_ports.py",),
    ),
    Drill("16", "each right taken away", ("tests/e2e/test_shipped.py",)),
    Drill("H", "whatever the OpenAPI document allows, and forbids", ("tests/drills/test_api.py",)),
    Drill("17", "full disk, read-only root, no DNS, 128 MiB of memory", run=lambda _: scarcities()),
    Drill(
        "18",
        "upgrade and rollback under load, replicas of two versions",
        run=lambda options: mixed_versions(options.earlier),
    ),
    Drill("19", "gangs of 1,000 and 5,000 pods, real control plane", run=lambda _: large_gangs()),
    Drill("20", "rolling update of a full cluster, a node dies amid it", run=lambda _: update_with_a_loss()),
    Drill("22", "hostile snapshots and manifests", ("tests/rpc/test_hostile.py",)),
    Drill(
        "S",
        "watch, engine, ledger, binder, lease and clock as one state machine against an obvious model",
        ("tests/scheduler/test_machine.py",),
    ),
    Drill(
        "-",
        "default preemption against a running gang",
        crash("test_default_preemption_takes_no_member_of_a_gang"),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drills; 1 when one fails."""
    options = _options(arguments)
    rows, failed = [], 0
    for drill in DRILLS:
        if options.only and not set(options.only) & set(drill.number.replace(" ", "").split(",")):
            continue
        began = time.monotonic()
        passed, told = drill.run(options) if drill.run else _tested(drill.tests)
        seconds = time.monotonic() - began
        failed += not passed
        print(
            f"{'ok' if passed else 'FAILED':7}{drill.number:7}{drill.title}: {told} ({seconds:.0f} s)",
            flush=True,
        )
        rows.append(_row(drill, passed, told, seconds))
    if options.record:
        _record(rows)
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NUMBER", help="drills by their number, such as 1a")
    parser.add_argument("--record", action="store_true", help="write the figures to RESULTS.md")
    parser.add_argument("--kills", type=int, default=10_000, help="histories of drill 1a")
    parser.add_argument(
        "--real-kills", type=int, default=1_000, help="gang placements of drill 1b, four to a kill"
    )
    parser.add_argument("--earlier", default="cfdd8af", help="commit that stands for a release in drill 18")
    return parser.parse_args(arguments)


def _tested(tests: Sequence[str]) -> tuple[bool, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-s", *tests]
    environment = {**os.environ, "LOCKSTEP_DRILLS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    lines = done.stdout.strip().splitlines() or ["no output"]
    figures = [line.partition("figure: ")[2] for line in lines if "figure: " in line]
    if done.returncode:
        print(done.stdout, file=sys.stderr)  # what a random history did cannot be had again
        return False, lines[-1]
    return True, "; ".join(figures) or "passed"


def _row(drill: Drill, passed: bool, told: str, seconds: float) -> str:
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    number = drill.number.split(",")[0]
    verdict = "passed" if passed else "FAILED"
    command = f"`python -m tests.drills {number}`"
    cells = (drill.number, drill.title, verdict, told, command, f"{seconds:.0f} s", date)
    return f"| {' | '.join(cells)} |"


def _record(rows: Sequence[str]) -> None:
    """Replace the rows of the drills that were run, keep the others and the text around them."""
    text = RESULTS.read_text(encoding="utf-8")
    head, mark, rest = text.partition(MARK)
    assert mark, f"{RESULTS} has lost its mark"
    table, _, tail = rest.partition("\n\n")
    old = [line for line in table.splitlines() if line.startswith("|")]
    header, kept = old[:2], {line.split("|")[1].strip() + line.split("|")[2]: line for line in old[2:]}
    kept |= {row.split("|")[1].strip() + row.split("|")[2]: row for row in rows}
    lines = "\n".join([*header, *(kept[key] for key in sorted(kept))])
    RESULTS.write_text(f"{head}{MARK}\n{lines}\n\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
