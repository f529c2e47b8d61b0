"""What people see of gangs and of the fabric, as documents; the commands turn them into tables."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scheduler.devices import is_gpu
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.model import NodeName
from scheduler.workloads.expected import Expected
from scheduler.world import World
from topology.model import Fabric
from topology.reading import NOTE
from topology.spec import NVLINK

_NAMED = 5

TOPOLOGY_SCHEMA = "lockstep.topology/v1"


def gang_row(record: GangRecord, fabric: Fabric, *, now_s: float) -> dict[str, Any]:
    """One line about a gang: state, size, where, since when, why."""
    gpus = sum(amount for pod in record.pods.values() for name, amount in pod.shape.requests if is_gpu(name))
    return {
        "gang": str(record.key),
        "state": record.state.value,
        "pods": {
            "present": len(record.pods),
            "wanted": max(record.size, len(record.pods)),
            "bound": record.bound,
        },
        "gpus": gpus,
        "where": where_of(record, fabric),
        "since_s": round(max(now_s - record.since_s, 0.0), 1),
        "reason": reason_text(record),
        "plan": record.plan.id if record.plan else "",
    }


def awaited_row(one: Expected) -> dict[str, Any]:
    """The line of a gang whose owner exists and none of whose pods does yet."""
    return {
        "gang": str(one.gang),
        "state": State.FORMING.value,
        "pods": {"present": 0, "wanted": one.pods, "bound": 0},
        "gpus": 0,
        "where": "",
        "since_s": 0.0,
        "reason": f"0 of {one.pods} pods exist; the {one.source} is there",
        "plan": "",
    }


def awaited_detail(one: Expected) -> dict[str, Any]:
    """All that is known of such a gang."""
    return {"schema": "lockstep.gang/v1", **awaited_row(one), "members": [], "decision": None}


def gang_detail(record: GangRecord, fabric: Fabric, *, now_s: float) -> dict[str, Any]:
    """Everything known of a gang: its line, its members, and its last decision in full."""
    slots = record.plan.slots if record.plan else {}
    return {
        "schema": "lockstep.gang/v1",
        **gang_row(record, fabric, now_s=now_s),
        "members": [
            {
                "pod": str(pod.key),
                "node": pod.node or (slots[uid].node if uid in slots else None),
                "bound": pod.node is not None,
                "rank": slots[uid].rank if uid in slots else None,
            }
            for uid, pod in sorted(
                record.pods.items(), key=lambda item: slots[item[0]].rank if item[0] in slots else 0
            )
        ],
        "decision": record.report,
    }


def where_of(record: GangRecord, fabric: Fabric) -> str:
    """Where a gang runs or is planned."""
    return where(_nodes(record), fabric)


def where(nodes: list[NodeName], fabric: Fabric) -> str:
    """The smallest domain that holds all these nodes, and how many there are; empty for none."""
    known = [node for node in nodes if node in fabric]
    if not known:
        return ""
    paths = [fabric.path(node) for node in dict.fromkeys(known)]
    count = f"{len(paths)} node{'s' if len(paths) > 1 else ''}"
    if len(paths) == 1:
        return str(known[0])
    single = [level for level in fabric.level_names()[:-1] if len({path[level] for path in paths}) == 1]
    if single:
        finest, linked = single[-1], single[-1] == NVLINK and len(single) > 1
        level = single[-2] if linked else finest  # a rack says more than the identifier of its NVLink domain
        note = ", one NVLink domain" if linked else ""
        return f"{level} {paths[0][level]}{note}, {count}"
    level = fabric.level_names()[0]
    spread = len({path[level] for path in paths if level in path}) or 1
    return f"{spread} {level}s, {count}" if level != "node" else count


def _nodes(record: GangRecord) -> list[NodeName]:
    slots = record.plan.slots if record.plan else {}
    found = [pod.node or (slots[uid].node if uid in slots else None) for uid, pod in record.pods.items()]
    return [node for node in found if node is not None]


def reason_text(record: GangRecord) -> str:
    """Why a gang does not have all its nodes, in a sentence; empty when nothing hinders it."""
    if record.state.value == "forming" and not record.size_known:
        return f"{len(record.pods)} pods exist; {record.source} does not say how many there will be"
    if record.state.value == "forming":
        return f"{len(record.pods)} of {record.size} pods exist"
    if record.state.value == "degraded":
        return f"{record.bound} of {record.size} pods run; waiting for the others to be created"
    if record.state.value == "invalid":
        return "; ".join(str(fault) for fault in record.invalid)
    return record.rejection.message if record.rejection else ""


def topology_document(world: World) -> dict[str, Any]:
    """The fabric with its capacity: levels, domains, nodes, warnings."""
    fabric, ledger = world.fabric, world.ledger
    arrays = fabric.arrays()
    free = ledger.free()
    rows = [at for at, name in enumerate(ledger.resources) if is_gpu(name)]
    total_gpus, free_gpus = ledger.total[rows].sum(axis=0), free[rows].sum(axis=0).clip(min=0)
    levels = [
        {
            "name": part.name,
            "label": part.label,
            "domains": len(part.names) - int(part.private.sum()),
            "nodes_without_label": int(part.private[part.domain_of].sum()),
        }
        for part in arrays.partitions
    ]
    nodes = [
        {
            "name": name,
            "domains": fabric.path(name),
            "gpus": int(total_gpus[at]),
            "free_gpus": int(free_gpus[at]),
            "usable": bool(ledger.usable[at]),
        }
        for at, name in enumerate(arrays.names)
    ]
    return {
        "schema": TOPOLOGY_SCHEMA,
        "levels": levels,
        "evidence": list(fabric.spec.evidence),
        "summary": {
            "nodes": len(nodes),
            "usable": int(ledger.usable.sum()),
            "gpus": int(total_gpus.sum()),
            "free_gpus": int(free_gpus[ledger.usable].sum()),
        },
        "warnings": [
            {"code": w.code, "level": w.level, "count": w.count, "nodes": list(w.nodes), "message": w.message}
            for w in fabric.warnings()
        ]
        + [
            {
                "code": one.code,
                "level": "",
                "count": len(one.names),
                "nodes": list(one.names[:_NAMED]),
                "message": f"{one.where}: {one.message}",
            }
            for one in world.findings
            if one.severity != NOTE
        ],
        "nodes": nodes,
    }


def snapshot_summary(world: World) -> dict[str, int]:
    """Nodes, ready nodes, GPUs and free GPUs of usable nodes."""
    summary = topology_counts(world)
    return {
        "nodes": summary["nodes"],
        "ready": summary["ready"],
        "gpus": summary["gpus"],
        "free_gpus": summary["free_gpus"],
    }


def topology_counts(world: World) -> Counter[str]:
    """Sums over all nodes."""
    ledger = world.ledger
    rows = [at for at, name in enumerate(ledger.resources) if is_gpu(name)]
    free = ledger.free()[rows].sum(axis=0).clip(min=0)
    return Counter(
        nodes=len(ledger.nodes),
        ready=sum(node.ready for node in ledger.nodes.values()),
        gpus=int(ledger.total[rows].sum()),
        free_gpus=int(free[ledger.usable].sum()),
    )
