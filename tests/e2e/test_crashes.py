"""Crashes of everything on the real control plane: a gang is whole afterwards, or released, and soon."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.drills.real import Process, Stage

RESTARTED_S = 20.0
"""From the restart on: the promise."""

MEMBERS = 16


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        made.start_scheduler()
        yield made
        assert made.broken_promises() == []


@pytest.fixture
def alone(stage: Stage) -> Iterator[Process]:
    """One replica, running, on an empty cluster."""
    process = stage.start()
    yield process
    for one in stage.processes:
        one.kill()
        one.ended()
    stage.clean()


def killed_after(stage: Stage, process: Process, bindings: int, name: str) -> set[str]:
    """A gang whose Lockstep is killed once so many of its Bindings are stored."""
    if bindings == 0:
        process.way.trouble.slow_s = 0.02
    process.way.on_binding = lambda done: process.kill() if done == bindings else None
    names = stage.create(name, MEMBERS)
    if bindings == 0:
        stage.lab.eventually(
            lambda: len(stage.lab.gates(names)) < MEMBERS, what="the first gate to be lifted"
        )
        process.kill()
    stage.lab.eventually(lambda: process.process.poll() is not None, what="the kill")
    process.ended()
    return names


@pytest.mark.parametrize("bindings", [0, 1, 7, 15, 16])
def test_a_kill_after_so_many_bindings_leaves_no_half_gang(
    stage: Stage, alone: Process, bindings: int
) -> None:
    names = killed_after(stage, alone, bindings, f"k{bindings}")
    assert stage.bound(names) == bindings
    stage.start()
    stage.lab.wait_bound(names, timeout_s=RESTARTED_S)
    assert stage.overfull() == []


def test_kills_at_any_moment_leave_no_half_gang(stage: Stage, alone: Process) -> None:
    dice = random.Random(7)
    process = alone
    for number in range(5):
        names = stage.create(f"random{number}", 8, gpus=2)
        time.sleep(dice.uniform(0, 0.4))
        process.kill()
        process.ended()
        process = stage.start()
        stage.lab.wait_bound(names, timeout_s=RESTARTED_S)
    assert stage.overfull() == []


@pytest.mark.usefixtures("alone")
def test_scheduler_and_api_server_may_be_killed_amid_the_bindings(stage: Stage) -> None:
    names = stage.create("scheduler", MEMBERS)
    stage.lab.eventually(lambda: stage.lab.gates(names) == set(), what="the gates to be lifted")
    stage.lab.plane.stop_scheduler()
    stage.start_scheduler()
    stage.lab.wait_bound(names, timeout_s=RESTARTED_S)
    more = stage.create("apiserver", MEMBERS)
    time.sleep(0.15)
    stage.lab.plane.restart_apiserver(down_s=1.0)
    stage.lab.wait_bound(more, timeout_s=RESTARTED_S)
    assert stage.overfull() == []


def test_what_was_begun_and_cannot_be_completed_is_released(stage: Stage, alone: Process) -> None:
    names = killed_after(stage, alone, 3, "stuck")
    taken = set(stage.lab.nodes_of(names).values())
    for node in stage.lab.client.get("/api/v1/nodes")["items"]:
        if node["metadata"]["name"] not in taken:
            stage.lab.cordon(node["metadata"]["name"])
    try:
        stage.start()
        assert stage.whole_or_released(names, within_s=RESTARTED_S)[0] == "released"
    finally:
        for node in stage.lab.client.get("/api/v1/nodes")["items"]:
            stage.lab.cordon(node["metadata"]["name"], unschedulable=False)


def test_two_replicas_hand_over(stage: Stage) -> None:
    """Planned within 3 s, after a crash within 20 s, and a leader that was asleep writes nothing."""
    one = stage.replica()
    stage.lab.eventually(one.ready, timeout_s=30, what="the first replica to lead")
    two = stage.replica()
    stage.lab.eventually(lambda: "held by replica" in two.readiness()[1], what="the second to follow")
    stage.lab.wait_bound(stage.create("before", 4))

    began = time.monotonic()
    one.send(signal.SIGTERM)
    stage.lab.eventually(two.ready, timeout_s=3, what="the second to lead after SIGTERM")
    planned_s = time.monotonic() - began
    one.ended()

    three = stage.replica()
    stage.lab.eventually(lambda: "held by replica" in three.readiness()[1], what="the third to follow")
    two.send(signal.SIGSTOP)
    began = time.monotonic()
    stage.lab.eventually(three.ready, timeout_s=20, what="the third to lead after a silence")
    crash_s = time.monotonic() - began
    names = stage.create("after", 8)
    stage.lab.wait_bound(names)
    two.send(signal.SIGCONT)
    stage.lab.eventually(
        lambda: not two.ready() and "held by" in two.readiness()[1], what="the old to follow"
    )
    assert three.ready()
    stage.lab.wait_bound(stage.create("later", 8))
    assert stage.overfull() == []
    print(f"hand-over: planned {planned_s:.1f} s, after a silence {crash_s:.1f} s")
    for process in stage.processes:
        process.kill()
        process.ended()
    stage.clean()
