"""The service's own engine on a snapshot: what would it say of the gangs in it?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from scheduler import manifests
from scheduler.config import load_config
from scheduler.engine.engine import Engine
from scheduler.engine.facts import GroupSeen, NodesSeen, PodSeen, WorkloadSeen
from scheduler.model import GangKey
from scheduler.placement.explain import explain
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Limits
from scheduler.report import refused_report
from scheduler.show import gang_detail, gang_row
from scheduler.surroundings import surroundings
from scheduler.worlds import world_of


def rows(snapshots: Sequence[str], config: str | None) -> list[dict[str, Any]]:
    """One line per gang of the snapshot."""
    engine = _engine(snapshots, config)
    fabric = engine.world.fabric
    return [gang_row(engine.gangs[key], fabric, now_s=0.0) for key in sorted(engine.gangs)]


def detail(snapshots: Sequence[str], config: str | None, key: GangKey) -> dict[str, Any] | None:
    """Everything about one gang of the snapshot; None when it is not there."""
    engine = _engine(snapshots, config)
    record = engine.gangs.get(key)
    if record is None:
        return None
    found = gang_detail(record, engine.world.fabric, now_s=0.0)
    if record.rejection is not None:
        gang = record.assembled()
        problem = formulate(gang, engine.world.view(key))
        around = surroundings(engine.world, engine.owners()(), problem, gang)
        told = explain(problem, record.rejection, around, limits=Limits())
        found["decision"] = refused_report(gang, problem, told, time_ms=found["decision"]["time_ms"])
    return found


def _engine(snapshots: Sequence[str], config: str | None) -> Engine:
    documents = manifests.load(snapshots)
    configured = load_config(config)
    found = manifests.snapshot(documents, configured.kinds)
    engine = Engine(world_of(configured, [one.object for one in documents if one.fault is None]))
    engine.observe(NodesSeen(tuple(found.nodes)))
    for group in found.pod_groups:
        engine.observe(GroupSeen(group))
    for workload in found.workloads:
        engine.observe(WorkloadSeen(workload))
    for pod in found.pods:
        engine.observe(PodSeen(pod))
    while (request := engine.next_request(0.0)) is not None:
        started = time.perf_counter()
        answer = place(request.problem)
        engine.settle(request, answer, now_s=0.0, time_ms=(time.perf_counter() - started) * 1000)
    return engine
