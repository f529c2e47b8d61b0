"""Drill 18: upgrade and rollback under load, with replicas of an earlier commit and of this one together."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.lab import PODS
from tests.drills.real import Process, Stage

ROOT = Path(__file__).parents[2]
SIZE = 4
EVERY_S = 1.0
"""So often a gang arrives, all the time."""
_PLAN = "lockstep.scheduling/plan"
_MOST = 30
"""Gangs of one GPU a pod; the other GPUs are for the plans that wait."""


def mixed_versions(commit: str) -> tuple[bool, str]:
    """The versions lead in turns, each ended by SIGTERM and by kill -9, while gangs arrive."""
    with Stage() as stage, _checkout(commit, stage.lab.plane.folder) as folder:
        earlier, this = ["env", "-C", str(folder)], list[str]()
        stage.start_scheduler()
        leader = stage.replica(prefix=earlier)
        stage.lab.eventually(leader.ready, timeout_s=60, what="a leader of the earlier version")
        taken_s: list[float] = []
        with _Load(stage) as load:
            for number, (prefix, kill) in enumerate(
                ((this, False), (earlier, False), (this, True), (earlier, True))
            ):
                heir = stage.replica(prefix=prefix)
                stage.lab.eventually(lambda heir=heir: heir.readiness()[0] == 503, what="a standby")
                taken_s.append(_hand_over(stage, leader, heir, gang=f"waits{number}", kill=kill))
                leader = heir
        whole = sum(_whole(stage, names) for names in load.gangs)
        overfull, broken = len(stage.overfull()), len(stage.broken_promises())
    each = ", ".join(f"{one:.1f}" for one in taken_s)
    told = (
        f"{commit} and this version in turns, by SIGTERM, SIGTERM, kill -9, kill -9: the next led after "
        f"{each} s, every plan that waited was carried out as it stood; of {len(load.gangs)} gangs that "
        f"arrived meanwhile {whole} whole; {overfull} overfull nodes, {broken} broken promises"
    )
    return whole == len(load.gangs) and not overfull and not broken, told


def _hand_over(stage: Stage, leader: Process, heir: Process, *, gang: str, kill: bool) -> float:
    """Seconds until the heir leads, while a plan waits for its scheduler; it must be carried out as it is."""
    stage.lab.plane.stop_scheduler()
    names = stage.create(gang, SIZE, gpus=1)
    stage.lab.eventually(lambda: len(_plans(stage, names)) == SIZE, what="the plan on all its pods")
    before = _plans(stage, names)
    began = time.monotonic()
    if kill:
        leader.kill()
    else:
        leader.process.terminate()
    stage.lab.eventually(heir.ready, timeout_s=30, what="the other version to lead")
    taken_s = time.monotonic() - began
    leader.ended()
    stage.start_scheduler()
    stage.lab.wait_bound(names, timeout_s=30)
    after = _plans(stage, names)
    assert after == before, f"{gang} was planned again: {before} became {after}"
    return taken_s


def _plans(stage: Stage, names: set[str]) -> dict[str, tuple[str, str]]:
    """Plan and node by pod, of those that carry one."""
    found = {}
    for pod in stage.lab.client.get(PODS)["items"]:
        given = pod["metadata"].get("annotations", {})
        if pod["metadata"]["name"] in names and _PLAN in given:
            found[pod["metadata"]["name"]] = (given[_PLAN], given["lockstep.scheduling/assigned-node"])
    return found


def _whole(stage: Stage, names: set[str]) -> bool:
    try:
        stage.lab.wait_bound(names, timeout_s=30)
    except TimeoutError:
        return False
    return True


class _Load:
    """Gangs that arrive all the time."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._end = stage, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.gangs: list[set[str]] = []

    def __enter__(self) -> _Load:
        self._thread.start()
        return self

    def __exit__(self, *about: Any) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(EVERY_S):
            if len(self.gangs) < _MOST:
                self.gangs.append(self._stage.create(f"load{len(self.gangs)}", SIZE, gpus=1))


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The files of an earlier commit."""
    target = folder / f"at-{commit}"
    target.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", target], input=archive, check=True)
    tell = [sys.executable, "-c", "import scheduler; print(scheduler.__file__)"]
    where = subprocess.run(tell, cwd=target, check=True, capture_output=True, text=True).stdout
    assert Path(where.strip()).is_relative_to(target), f"not the earlier version: {where}"
    yield target
