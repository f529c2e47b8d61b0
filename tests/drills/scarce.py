"""Drill 17: a full disk, a read-only root, no DNS, and a memory limit of 128 MiB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.real import Process, Stage

LIMIT_MIB = 128
_EXEC = 'exec "$@"'
_CGROUPS = Path("/sys/fs/cgroup")


class NotHere(Exception):
    """What this machine does not let us do."""


def scarcities() -> tuple[bool, str]:
    """One after the other, each with a gang on the real control plane where there is one to be placed."""
    told, fine = [], True
    with Stage() as stage:
        stage.start_scheduler()
        for name, play in PLAYS.items():
            try:
                good, found = play(stage)
            except NotHere as why:
                good, found = True, f"not possible on this machine: {why}"
            told.append(f"{name}: {found}")
            fine &= good
            stage.clean()
        broken = stage.broken_promises()
    return fine and not broken, "; ".join(told)


def full_disk(stage: Stage) -> tuple[bool, str]:
    """Decisions are recorded to a disk of 8 KiB, with room for one or none."""
    with _mounted("mount -t tmpfs -o size=8k none {folder}") as (folder, prefix):
        process = stage.start(prefix=prefix, records=str(folder))
        bound = [_bound(stage, f"disk{number}") for number in range(3)]
        told = "a decision is not recorded: [Errno 28]" in process.logged()
        seen = Path(f"/proc/{process.process.pid}/root{folder}")
        halves = [file for file in seen.iterdir() if not _whole(file.read_text(encoding="utf-8"))]
        _end(process)
    good = all(bound) and told and not halves
    return good, f"{sum(bound)} of 3 gangs bound, said in the log: {_yes(told)}, {len(halves)} half records"


def read_only_root(stage: Stage) -> tuple[bool, str]:
    """Nothing at all can be written, the folder for records neither."""
    mount = "mount --bind / {folder} && mount -o remount,bind,ro {folder}"
    inside = f'exec chroot {{folder}} env -C {Path.cwd()} "$@"'
    with _mounted(mount, inside) as (_, prefix):
        process = stage.start(prefix=prefix, records="/records")
        bound = _bound(stage, "readonly")
        told = "a decision is not recorded: [Errno 30]" in process.logged()
        _end(process)
    return bound and told, f"gang bound: {_yes(bound)}, said in the log: {_yes(told)}"


def no_names(stage: Stage) -> tuple[bool, str]:
    """The API server's name cannot be resolved: not ready, with the cause; it ends when told to."""
    process = stage.start(ready=False, server="https://kubernetes.invalid:6443")
    stage.lab.eventually(lambda: process.readiness()[0] == 503, what="an answer")
    stage.lab.eventually(lambda: "Name or service not known" in process.readiness()[1], what="the cause")
    ended = _end(process)
    return ended == 0, f"not ready and says why, exit code {ended} after SIGTERM"


def little_memory(stage: Stage) -> tuple[bool, str]:
    """The kernel grants 128 MiB: a gang is bound, and little memory is told before it kills."""
    with _cgroup(LIMIT_MIB) as (group, prefix):
        process = stage.start(prefix=prefix)
        bound = _bound(stage, "memory")
        status, text = process.readiness()
        most = int((group / "memory.max_usage_in_bytes").read_text()) / 2**20
        tight = "and the limit is 128 MiB" in text
        _end(process)
    told = f"gang bound: {_yes(bound)}, readiness {status}, little memory told: {_yes(tight)}"
    return bound and status == 200 and tight, f"{told}, at most {most:.0f} MiB charged"


PLAYS: dict[str, Callable[[Stage], tuple[bool, str]]] = {
    "full disk": full_disk,
    "read-only root": read_only_root,
    "no DNS": no_names,
    f"{LIMIT_MIB} MiB": little_memory,
}


@contextmanager
def _mounted(mount: str, run: str = _EXEC) -> Iterator[tuple[Path, list[str]]]:
    """A folder, and the beginning of a command that alone sees something mounted there."""
    folder = Path("/tmp") / f"lockstep-drill-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    script = f"{mount} && ".format(folder=folder)
    try:
        if not shutil.which("unshare"):
            raise NotHere("no unshare(1)")
        if subprocess.run(
            ["unshare", "-m", "sh", "-c", script + "true"], check=False, capture_output=True
        ).returncode:
            raise NotHere("mounting is not allowed")
        yield folder, ["unshare", "-m", "sh", "-c", script + run.format(folder=folder), "sh"]
    finally:
        folder.rmdir()


@contextmanager
def _cgroup(mib: int) -> Iterator[tuple[Path, list[str]]]:
    """A control group with a memory limit, and the beginning of a command that runs in it."""
    group = _CGROUPS / "memory" / f"lockstep-drill-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(f"{mib}M")
    except OSError as error:
        raise NotHere(f"no control group with a memory limit can be made: {error}") from error
    try:
        yield group, ["sh", "-c", f"echo $$ > {group}/cgroup.procs; {_EXEC}", "sh"]
    finally:
        time.sleep(1)
        group.rmdir()


def _bound(stage: Stage, gang: str) -> bool:
    return stage.all_bound(stage.create(gang, 4, gpus=1), within_s=20)


def _end(process: Process) -> int | None:
    """Tell it to stop; its exit code."""
    process.process.terminate()
    process.ended()
    return process.process.returncode


def _whole(record: str) -> bool:
    try:
        json.loads(record)
    except ValueError:
        return False
    return True


def _yes(given: bool) -> str:
    return "yes" if given else "NO"
