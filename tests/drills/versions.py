"""Drill 18: upgrade and rollback under load, with replicas of an earlier commit and of this one together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.lab import PODS
from scheduler.model import ANNOTATION_NODE, ANNOTATION_PLAN
from tests.drills.real import Meanwhile, Process, Stage

ROOT = Path(__file__).parents[2]
SIZE = 4
EVERY_S = 1.0
"""So often a gang arrives, all the time."""
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
        gangs: list[set[str]] = []
        with Meanwhile(lambda: _one_more(stage, gangs), every_s=EVERY_S):
            for number, (prefix, kill) in enumerate(
                ((this, False), (earlier, False), (this, True), (earlier, True))
            ):
                heir = stage.replica(prefix=prefix)
                stage.lab.eventually(lambda heir=heir: heir.readiness()[0] == 503, what="a standby")
                taken_s.append(_hand_over(stage, leader, heir, gang=f"waits{number}", kill=kill))
                leader = heir
        whole = sum(stage.all_bound(names, within_s=30) for names in gangs)
        overfull, broken = len(stage.overfull()), len(stage.broken_promises())
    each = ", ".join(f"{one:.1f}" for one in taken_s)
    told = (
        f"{commit} and this version in turns, by SIGTERM, SIGTERM, kill -9, kill -9: the next led after "
        f"{each} s, every plan that waited was carried out as it stood; of {len(gangs)} gangs that "
        f"arrived meanwhile {whole} whole; {overfull} overfull nodes, {broken} broken promises"
    )
    return whole == len(gangs) and not overfull and not broken, told


def _one_more(stage: Stage, gangs: list[set[str]]) -> None:
    """A gang arrives."""
    if len(gangs) < _MOST:
        gangs.append(stage.create(f"load{len(gangs)}", SIZE, gpus=1))


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
        if pod["metadata"]["name"] in names and ANNOTATION_PLAN in given:
            found[pod["metadata"]["name"]] = (given[ANNOTATION_PLAN], given[ANNOTATION_NODE])
    return found


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
