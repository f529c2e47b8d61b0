"""Crashes of everything on the real control plane: a gang is whole afterwards, or released, and soon."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from deploy.local.lab import PODS
from deploy.local.objects import GPU, Object
from scheduler.cli import listing
from scheduler.cli.output import Format
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
    last = process.way.bindings + bindings
    process.way.on_binding = lambda done: process.kill() if bindings and done == last else None
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


@pytest.mark.usefixtures("alone")
def test_etcd_may_be_killed_amid_the_bindings(stage: Stage) -> None:
    """Alone, under the running API server, after the first Bindings."""
    names = stage.create("etcd", MEMBERS)
    stage.lab.eventually(lambda: stage.bound(names) > 0, pause_s=0.005, what="the first Bindings")
    at_kill = stage.bound(names)
    stage.lab.plane.restart_etcd(down_s=1.0)
    began = time.monotonic()
    outcome, _ = stage.whole_or_released(names, within_s=RESTARTED_S)
    print(
        f"figure: killed with {at_kill} of {MEMBERS} bound: {outcome} {time.monotonic() - began:.1f} s later"
    )
    assert stage.overfull() == [] and stage.broken_promises() == []


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
    print(f"figure: hand-over planned {planned_s:.1f} s, after a silence {crash_s:.1f} s")
    for process in stage.processes:
        process.kill()
        process.ended()
    stage.clean()


@pytest.mark.parametrize("passing", [0, 3, MEMBERS + 5])
def test_what_an_old_leader_had_on_its_way_is_refused(stage: Stage, passing: int) -> None:
    """Two leaders: the old one falls asleep with writes between it and the API server, after so many passed;
    its successor places the gang; then they arrive."""
    old = stage.replica()
    stage.lab.eventually(old.ready, timeout_s=30, what="the first replica to lead")
    new = stage.replica()
    stage.lab.eventually(lambda: "held by replica" in new.readiness()[1], what="the second to follow")
    old.way.trouble.hold_after = passing
    names = stage.create(f"flight{passing}", MEMBERS)
    stage.lab.eventually(lambda: old.way.held > 0, what="a write on its way")
    old.send(signal.SIGSTOP)
    stage.lab.eventually(new.ready, timeout_s=20, what="the second to lead")
    stage.lab.wait_bound(names, timeout_s=RESTARTED_S)
    nodes, held = stage.lab.nodes_of(names), old.way.held
    old.way.trouble.hold_after = None
    stage.lab.eventually(lambda: len(old.way.late) == held, what="the late writes to arrive")
    assert {status for _, status in old.way.late} == {409}
    old.send(signal.SIGCONT)
    stage.lab.eventually(lambda: "held by" in old.readiness()[1], what="the old to follow")
    assert (stage.lab.nodes_of(names), stage.overfull()) == (nodes, [])
    print(f"figure: {held} writes on their way while another led, all refused")
    for process in stage.processes:
        process.kill()
        process.ended()
    stage.clean()


@pytest.mark.skipif(not os.environ.get("LOCKSTEP_DRILLS"), reason="a minute and a half: drill 1c")
def test_every_kill_after_so_many_bindings(stage: Stage, alone: Process) -> None:
    process, slowest_s = alone, 0.0
    for bindings in range(MEMBERS + 1):
        names = killed_after(stage, process, bindings, f"every{bindings}")
        assert stage.bound(names) == bindings
        process = stage.start()
        began = time.monotonic()
        stage.lab.wait_bound(names, timeout_s=RESTARTED_S)
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert stage.overfull() == []
        stage.clean()
    print(f"figure: 17 of 17 whole, slowest {slowest_s:.1f} s after the restart")


def test_stale_data_refuses_new_plans_and_says_so(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The API server goes away from a leader: after `staleAfter` it says so, and goes on by itself."""
    process = stage.start(staleAfter="5s")
    stage.lab.wait_bound(stage.create("known", 4))
    process.way.trouble.cut = True
    taken_s = stage.lab.eventually(
        lambda: "degraded: nothing new is planned" in process.readiness()[1], timeout_s=20, what="degraded"
    )
    assert process.readiness()[0] == 200, "schedulers are still answered, from plans that exist"
    names = stage.create("meanwhile", 4)
    time.sleep(1)
    assert stage.bound(names) == 0
    for ask in (listing.gangs, lambda source, **form: listing.explain(source, "default/known", **form)):
        assert ask(listing.Gangs(listing.Server(process.url), [], None), output=Format.JSON) == 5
        printed = capsys.readouterr()
        assert "has not answered for" in json.loads(printed.out)["stale"]
        assert printed.err.startswith("stale: the API server has not answered for")
    process.way.trouble.cut = False
    stage.lab.wait_bound(names, timeout_s=30)
    stage.lab.eventually(lambda: process.readiness()[1] == "ok\n", what="the degraded mode to end")
    print(f"figure: said so after {taken_s:.1f} s with staleAfter 5s, and went on by itself")
    process.kill()
    process.ended()
    stage.clean()


def test_a_silent_watch_is_noticed_while_the_server_answers(stage: Stage) -> None:
    """Streams stand still without an end, everything else is answered: no plan from an old view."""
    process = stage.start(staleAfter="10s")
    stage.lab.wait_bound(stage.create("known", 4))
    process.way.trouble.stall = True
    wanted = "degraded: nothing new is planned: the watch of "
    taken_s = stage.lab.eventually(lambda: wanted in process.readiness()[1], timeout_s=25, what="degraded")
    assert process.readiness()[0] == 200, "schedulers are still answered, from plans that exist"
    names = stage.create("meanwhile", 4)
    time.sleep(1)
    assert stage.bound(names) == 0
    process.way.trouble.stall = False
    stage.lab.wait_bound(names, timeout_s=30)
    stage.lab.eventually(lambda: process.readiness()[1] == "ok\n", what="the degraded mode to end")
    print(f"figure: said so after {taken_s:.1f} s with staleAfter 10s, and went on by itself")
    process.kill()
    process.ended()
    stage.clean()


def test_a_slow_and_busy_api_server_delays_and_breaks_nothing(stage: Stage, alone: Process) -> None:
    alone.way.trouble.slow_s, alone.way.trouble.busy = 0.3, 30
    began = time.monotonic()
    names = stage.create("slow", MEMBERS)
    stage.lab.wait_bound(names, timeout_s=60)
    taken_s = time.monotonic() - began
    print(f"figure: {MEMBERS} pods, 0.3 s per request and 30 answers of 429: {taken_s:.1f} s")
    assert stage.overfull() == []


@pytest.mark.usefixtures("alone")
def test_default_preemption_takes_no_member_of_a_gang(stage: Stage) -> None:
    """The one plain pod goes, although 35 members of a gang would do as well."""
    client = stage.lab.client
    names = stage.create("gang", 35)
    stage.lab.wait_bound(names)
    client.create([plain_pod("victim")])
    stage.lab.wait_bound({"victim"})
    client.apply(URGENT)
    client.create([plain_pod("urgent", priority="urgent")])
    stage.lab.wait_bound({"urgent"}, timeout_s=30)
    assert stage.bound(names) == 35
    assert stage.lab.nodes_of(["victim"]) == {}
    client.create([plain_pod("more", priority="urgent")])
    time.sleep(3)
    assert stage.bound(names) == 35, "nothing is left but gangs, and those stay"
    assert stage.lab.nodes_of(["more"]) == {}
    assert not any("deletionTimestamp" in pod["metadata"] for pod in client.get(PODS)["items"])


URGENT = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "urgent"},
    "value": 1000,
}


def plain_pod(name: str, *, priority: str = "") -> Object:
    """A pod without a gang that takes a whole node."""
    container = {"name": "main", "image": "none", "resources": {"limits": {GPU: "4"}}}
    spec: Object = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec | ({"priorityClassName": priority} if priority else {}),
    }
