"""The journal: taking over its changes gives the list, from whatever version one starts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.engine.facts import NodesSeen, PodGone, PodSeen
from scheduler.engine.roster import GangRecord
from scheduler.journal import Change, Journal
from scheduler.model import PodKey
from scheduler.show import gang_row
from tests.builders import engine_with, members, node, plan_all, pod, two_leaves


def told(changes: tuple[Change, ...] | None) -> list[tuple[str, str, str]]:
    assert changes is not None
    return [(change.kind, change.row["gang"], change.row["state"]) for change in changes]


def test_a_gang_comes_is_placed_and_goes() -> None:
    engine, journal = engine_with(*two_leaves()), Journal(first=100)
    journal.refresh(engine, 0.0)
    assert (journal.version, journal.since(100)) == (100, ())
    for one in members("g", 2):
        engine.observe(PodSeen(one))
    engine.refresh(1.0)
    journal.refresh(engine, 1.0)
    plan_all(engine, 2.0)
    journal.refresh(engine, 2.0)
    journal.refresh(engine, 3.0)
    for at in range(2):
        engine.observe(PodGone(PodKey("default", f"g-{at}")))
    engine.refresh(4.0)
    journal.refresh(engine, 4.0)
    name = "default/g"
    assert told(journal.since(100)) == [
        ("added", name, "pending"),
        ("changed", name, "reserved"),
        ("deleted", name, "reserved"),
    ]
    assert told(journal.since(102)) == [("deleted", name, "reserved")]
    assert [change.version for change in journal.since(100) or ()] == [101, 102, 103]


def test_time_alone_is_no_change() -> None:
    engine, journal = engine_with(*two_leaves()), Journal(first=1)
    for one in members("g", 2)[:1]:
        engine.observe(PodSeen(one))
    for now_s in (1.0, 2.0, 50.0):
        engine.refresh(now_s)
        journal.refresh(engine, now_s)
    assert journal.version == 2


def test_a_leaf_with_another_name_changes_where_a_gang_is() -> None:
    engine, journal = engine_with(*two_leaves()), Journal(first=1)
    for at in (1, 2):
        engine.observe(PodSeen(pod(f"g-{at}", gang="g", size=2, on=f"n{at}", phase="Running")))
    engine.refresh(1.0)
    journal.refresh(engine, 1.0)
    engine.observe(NodesSeen(tuple(node(f"n{at}", leaf="other") for at in range(1, 5))))
    journal.refresh(engine, 1.0)
    changes = journal.since(1)
    assert changes is not None
    assert [change.row["where"] for change in changes] == ["leaf l1, 2 nodes", "leaf other, 2 nodes"]


def test_versions_of_another_run_and_those_long_gone_are_not_known() -> None:
    engine, journal = engine_with(*two_leaves()), Journal(first=1000, kept=2)
    for at in range(3):
        engine.observe(PodSeen(pod(f"p{at}", gang=f"g{at}", size=2)))
    engine.refresh(0.0)
    journal.refresh(engine, 0.0)
    assert journal.version == 1003
    assert [journal.since(version) is None for version in (0, 999, 1000, 1001, 1003, 1004)] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]


STEP = st.tuples(
    st.sampled_from(("see", "bind", "gone", "finish", "plan", "look")), st.integers(0, 3), st.integers(0, 1)
)


@settings(deadline=None)
@given(st.lists(STEP, max_size=30))
def test_whoever_takes_over_the_changes_holds_the_list(steps: list[tuple[str, int, int]]) -> None:
    engine, journal = engine_with(*two_leaves(2)), Journal(first=10)
    held: dict[str, dict[str, Any]] = {}
    version = 10
    for now, (verb, gang, at) in enumerate(steps):
        name = f"g{gang}-{at}"
        if verb == "see":
            engine.observe(PodSeen(pod(name, gang=f"g{gang}", size=2)))
        elif verb == "bind":
            on = f"n{gang % 4 + 1}"
            engine.observe(PodSeen(pod(name, gang=f"g{gang}", size=2, gpus=1, on=on, phase="Running")))
        elif verb == "gone":
            engine.observe(PodGone(PodKey("default", name)))
        elif verb == "finish":
            engine.observe(PodSeen(pod(name, gang=f"g{gang}", size=2, phase="Succeeded")))
        elif verb == "plan":
            plan_all(engine, float(now))
        engine.refresh(float(now))
        if verb != "look":
            continue
        journal.refresh(engine, float(now))
        version = _take_over(held, journal, version)
        assert held == {str(key): _row(engine.gangs[key], engine) for key in engine.gangs}


def _take_over(held: dict[str, dict[str, Any]], journal: Journal, version: int) -> int:
    changes = journal.since(version)
    assert changes is not None
    for change in changes:
        gang = change.row["gang"]
        assert (gang in held) == (change.kind != "added")
        if change.kind == "deleted":
            del held[gang]
        else:
            held[gang] = {**change.row, "since_s": 0}
        version = change.version
    return version


def _row(record: GangRecord, engine: Any) -> dict[str, Any]:
    return {**gang_row(record, engine.world.fabric, now_s=0.0), "since_s": 0}
