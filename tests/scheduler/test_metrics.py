"""What is measured: room against a count by hand, times of gangs, and the page that lists them all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.engine.engine import Engine
from scheduler.engine.facts import NodesSeen, PodGone, PodSeen
from scheduler.engine.states import State
from scheduler.measures import CLUSTER, Room, communication_ratio, measured, room_of
from scheduler.metrics import Metrics, Standing, page
from scheduler.model import Node, NodeName, Pod
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits
from scheduler.progress import Progress
from scheduler.world import World
from tests.builders import members, two_leaves
from topology.spec import NODE, Partition

PRODUCT = "nvidia.com/gpu.product"
DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_the_metrics_is_that_of_the_code() -> None:
    """Otherwise: `python -m scheduler.metrics > docs/metrics.md`."""
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == page()


def test_every_metric_has_our_prefix_a_base_unit_and_no_label_of_an_object() -> None:
    rows = [line.split("|") for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 25
    for row in rows:
        name, kind, labels = (row[at].strip().strip("`") for at in (1, 2, 3))
        assert name.startswith("lockstep_")
        assert not name.endswith(("_ms", "_milliseconds", "_minutes", "_percent"))
        assert name.endswith("_total") == (kind == "counter")
        assert not {"pod", "gang", "namespace", "job", "node"} & set(labels.replace("`", "").split(", "))


def room(free: list[int], racks: list[int], *, gpus: int = 8, usable: list[bool] | None = None) -> Room:
    names = tuple(f"n{at}" for at in range(len(free)))
    count = max(racks) + 1
    rack = Partition(
        "rack",
        "r",
        np.array(racks, dtype=np.int32),
        tuple(f"r{at}" for at in range(count)),
        np.zeros(count, dtype=np.bool_),
    )
    return Room(
        names,
        np.array(free, dtype=np.int64),
        np.full(len(free), gpus, dtype=np.int64),
        np.array(usable or [True] * len(free), dtype=np.bool_),
        (rack,),
        {NodeName(name): Node(NodeName(name), labels={PRODUCT: "H100"}) for name in names},
    )


def test_slots_and_holes_counted_by_hand() -> None:
    """Rack 0: 8, 8, 3 free; rack 1: 8, 0; one node is cordoned."""
    found = measured(room([8, 8, 3, 8, 0, 8], [0, 0, 0, 1, 1, 1], usable=[True] * 5 + [False]))
    assert [found.slots["rack", size] for size in (1, 2, 8, 16, 32)] == [27, 13, 3, 1, 0]
    assert [found.slots[CLUSTER, size] for size in (8, 16, 32)] == [3, 1, 0]
    assert [found.slots[NODE, size] for size in (4, 8, 16)] == [6, 3, 0]
    assert (found.largest[CLUSTER, "H100"], found.largest["rack", "H100"]) == (24, 16)
    assert found.fragmentation[CLUSTER] == 1
    assert found.fragmentation["rack"] == 1
    assert found.fragmentation[NODE] == pytest.approx(3 / 27)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.booleans()), min_size=1, max_size=8))
def test_slots_are_those_of_a_count_one_by_one(nodes: list[tuple[int, int, bool]]) -> None:
    """Gangs of 8 and 2 GPUs on nodes of 4, taken one after the other until none fits."""
    free, racks, usable = (list(column) for column in zip(*nodes, strict=True))
    found = measured(room(free, racks, gpus=4, usable=usable))
    left = [amount if may else 0 for amount, may in zip(free, usable, strict=True)]
    pairs = 0
    for rack in range(3):
        whole = sum(1 for amount, own in zip(left, racks, strict=True) if own == rack and amount == 4)
        while whole >= 2:
            whole, pairs = whole - 2, pairs + 1
    halves = 0
    while any(amount >= 2 for amount in left):
        left[next(at for at, amount in enumerate(left) if amount >= 2)] -= 2
        halves += 1
    assert (found.slots["rack", 8], found.slots["rack", 2]) == (pairs, halves)
    assert 0 <= found.fragmentation["rack"] <= 1


def test_a_node_without_gpus_counts_nowhere() -> None:
    world = World()
    world.upsert_nodes([Node(NodeName("plain"), allocatable={"cpu": 8000})])
    found = measured(room_of(world))
    assert found.largest == {}
    assert set(found.slots.values()) == {0}


def engine_with(pods: list[Pod]) -> Engine:
    engine = Engine(World())
    engine.observe(NodesSeen(two_leaves()))
    for pod in pods:
        engine.observe(PodSeen(pod))
    return engine


def planned(engine: Engine, now_s: float) -> None:
    request = engine.next_request(now_s)
    assert request is not None
    engine.settle(request, place(request.problem, limits=Limits()), now_s=now_s, time_ms=1)


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_waits_are_told_once_and_exactly_although_looked_at_late() -> None:
    pods = members("g", 4)
    engine, metrics = engine_with(pods[:3]), Metrics()
    progress = Progress(engine, metrics)
    engine.refresh(1.0)
    engine.observe(PodSeen(pods[3]))
    engine.refresh(5.0)
    planned(engine, 7.0)
    record = next(iter(engine.gangs.values()))
    assert record.plan is not None
    engine.begin_commit(record.key, 8.0)
    for uid, slot in record.plan.slots.items():
        engine.bound(uid, slot.node)
    engine.refresh(9.0)
    for _ in range(3):
        progress.look()
    assert record.state is State.BOUND
    assert sample(metrics, "lockstep_gang_wait_seconds_count") == 1
    assert sample(metrics, "lockstep_gang_wait_seconds_sum") == 2
    assert sample(metrics, "lockstep_gang_bound_seconds_count") == 1
    assert sample(metrics, "lockstep_gang_bound_seconds_sum") == 4
    engine.observe(PodGone(pods[0].key))
    engine.refresh(20.0)
    engine.observe(PodSeen(replace(pods[0], uid="again")))
    engine.refresh(30.0)
    planned(engine, 31.0)
    progress.look()
    assert sample(metrics, "lockstep_gang_wait_seconds_count") == 2
    assert sample(metrics, "lockstep_gang_wait_seconds_sum") == 3


def test_gangs_and_reservations_by_state() -> None:
    engine, metrics = engine_with([*members("g", 4), *members("half", 4)[:2]]), Metrics()
    planned(engine, 10.0)
    standing = Standing(ready=True, leading=True, causes=frozenset({"stale"}), watch_age_s={"Pod": 1.5})
    metrics.render(engine, standing, now_s=15.0)
    assert sample(metrics, "lockstep_gangs", state="reserved", reason="") == 1
    assert sample(metrics, "lockstep_gangs", state="forming", reason="WaitingForMembers") == 1
    assert sample(metrics, "lockstep_reservations", state="reserved") == 1
    assert sample(metrics, "lockstep_oldest_reservation_seconds", state="reserved") == 5
    assert sample(metrics, "lockstep_degraded", cause="stale") == 1
    assert sample(metrics, "lockstep_degraded", cause="rights") == 0
    assert sample(metrics, "lockstep_watch_age_seconds", kind="Pod") == 1.5


def test_a_blocked_gang_counts_under_its_code() -> None:
    engine, metrics = engine_with(members("g", 400)), Metrics()
    planned(engine, 1.0)
    metrics.render(engine)
    (record,) = engine.gangs.values()
    assert record.rejection is not None
    assert sample(metrics, "lockstep_gangs", state="blocked", reason=str(record.rejection.code)) == 1


def test_the_fabric_is_measured_again_only_when_something_changed() -> None:
    engine, metrics = engine_with([]), Metrics()
    progress = Progress(engine, metrics)
    asyncio.run(progress.measure())
    before = sample(metrics, "lockstep_largest_gang_gpus", level=CLUSTER, product="unknown")
    assert before > 0
    metrics.largest.clear()
    asyncio.run(progress.measure())
    assert sample(metrics, "lockstep_largest_gang_gpus", level=CLUSTER, product="unknown") == 0
    engine.observe(NodesSeen([replace(two_leaves()[0], unschedulable=True)]))
    asyncio.run(progress.measure())
    assert 0 < sample(metrics, "lockstep_largest_gang_gpus", level=CLUSTER, product="unknown") < before


def test_communication_is_ideal_on_the_fewest_domains_and_dearer_in_disorder() -> None:
    request = engine_with(members("g", 4)).next_request(1.0)
    assert request is not None
    answer = place(request.problem, limits=Limits())
    assert isinstance(answer, Assignment)
    assert communication_ratio(request.problem, answer) == 1
    size = request.problem.cluster.size
    level = answer.levels[0][0]
    domain_of = request.problem.cluster.domain_of(level)
    one, other = 0, int(np.flatnonzero(domain_of != domain_of[0])[0])
    zigzag = replace(answer, nodes=np.array([one, other, one, other], dtype=np.int32))
    assert size > 2
    assert communication_ratio(request.problem, zigzag) > 1
