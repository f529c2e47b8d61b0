"""Drill 7: the wall clock jumps by an hour, there and back, and stands still, under two replicas."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from mmap import mmap
from pathlib import Path
from struct import pack_into
from typing import Any

from deploy.local.lab import PODS
from tests.drills.real import Process, Stage

LEASES = "/apis/coordination.k8s.io/v1/leases"
HOUR_S = 3600
WATCH_S = 6.0
"""How long nothing may change after a jump: three renewals of a lease, six sweeps."""

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *clock_told; /* seconds to add; if not 0: the second at which the clock stands */

__attribute__((constructor)) static void start(void) {
  int file = open(getenv("DRILL_CLOCK"), O_RDONLY);
  void *page = mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
  if (file < 0 || page == MAP_FAILED) abort();
  clock_told = page;
}

static time_t shown(time_t real) { return clock_told[1] ? clock_told[1] : real + clock_told[0]; }

int clock_gettime(clockid_t which, struct timespec *out) {
  static int (*next)(clockid_t, struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = next(which, out);
  if (!failed && clock_told && which == CLOCK_REALTIME) out->tv_sec = shown(out->tv_sec);
  return failed;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
"""


class Clock:
    """The wall clock of the processes that are started with `environment`; the monotonic one is real."""

    def __init__(self, folder: Path, name: str) -> None:
        library, source = folder / "clock.so", folder / "clock.c"
        if not library.exists():
            source.write_text(_SOURCE, encoding="utf-8")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        file = folder / f"{name}.clock"
        file.write_bytes(bytes(16))
        with file.open("r+b") as opened:
            self._page = mmap(opened.fileno(), 16)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "DRILL_CLOCK": str(file)}

    def jump(self, seconds: int) -> None:
        """So far from the true time."""
        pack_into("@ll", self._page, 0, seconds, 0)

    def stand_still(self) -> None:
        """At this second."""
        pack_into("@ll", self._page, 0, 0, int(time.time()))


def clock_jumps() -> tuple[bool, str]:
    """A plan that waits for its scheduler, and the leadership, through every jump of either replica."""
    with Stage() as stage:
        stage.start_scheduler()
        folder = stage.lab.plane.folder
        clocks = Clock(folder, "leader"), Clock(folder, "standby")
        leader = stage.replica(environment=clocks[0].environment)
        stage.lab.eventually(leader.ready, timeout_s=60, what="a leader")
        stage.replica(environment=clocks[1].environment)
        _believed(stage, leader, clocks[0])
        stage.lab.plane.stop_scheduler()
        names = stage.create("held", 8)
        stage.lab.eventually(lambda: leader.gangs().get("default/held") == "reserved", what="the plan")
        stage.lab.eventually(lambda: not stage.lab.gates(names), what="the plan on all its pods")
        before, kept = _standing(stage, leader), 0
        for number, clock in enumerate(clocks):
            for seconds in (HOUR_S, -HOUR_S, None, 0):
                clock.stand_still() if seconds is None else clock.jump(seconds)
                time.sleep(WATCH_S)
                assert _standing(stage, leader) == before, (number, seconds, _standing(stage, leader), before)
                kept += 1
        clocks[0].jump(HOUR_S)
        stage.start_scheduler()
        stage.lab.wait_bound(names)
        clocks[0].stand_still()
        stage.lab.wait_bound(stage.create("after", 8))
        broken = len(stage.broken_promises())
    told = f"{kept} jumps of an hour, back, and to a stand, of leader and standby: the plan on its pods, the "
    told += f"hold and the leader stayed; bound an hour ahead, and at a stand; {broken} broken promises"
    return not broken, told


def _believed(stage: Stage, process: Process, clock: Clock) -> None:
    """The process shows the time that it is told: what it writes into its lease says so."""
    clock.jump(HOUR_S)
    ahead = time.strftime("%Y-%m-%dT%H:", time.gmtime(time.time() + HOUR_S))
    stage.lab.eventually(lambda: _lease(stage)["renewTime"].startswith(ahead), what="a renewal an hour ahead")
    assert process.ready()
    clock.jump(0)


def _lease(stage: Stage) -> dict[str, Any]:
    """The spec of our lease."""
    (found,) = (
        one["spec"] for one in stage.lab.client.get(LEASES)["items"] if one["metadata"]["name"] == "lockstep"
    )
    return dict(found)


def _standing(stage: Stage, leader: Process) -> tuple[object, ...]:
    """Who leads in which term, what is planned, and what the pods carry of it."""
    lease, plans = _lease(stage), set()
    for pod in stage.lab.client.get(PODS)["items"]:
        given = {key: value for key, value in pod["metadata"]["annotations"].items() if "lockstep" in key}
        plans.add((pod["metadata"]["uid"], *sorted(given.items())))
    ready = [one.ready() for one in stage.processes]
    return lease["holderIdentity"], lease["leaseTransitions"], ready, leader.gangs(), plans
