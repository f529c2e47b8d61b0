"""After a restart: the plan that a gang's pods carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.engine.plans import Plan, Request, plan_of
from scheduler.engine.roster import GangRecord
from scheduler.ledger import Ledger
from scheduler.model import ANNOTATION_NODE, ANNOTATION_PLAN, NodeName
from scheduler.placement.check import violations


def carried_plan(record: GangRecord, request: Request, ledger: Ledger) -> Plan | None:
    """The plan in the annotations, if it is whole and still right; None when it must be made anew."""
    if record.absent:
        return None
    waiting = [record.pods[m.uid] for m in request.gang.members if m.node is None]
    ids = {pod.annotations.get(ANNOTATION_PLAN) for pod in waiting}
    if len(ids) != 1 or None in ids:
        return None
    found = []
    for member in request.gang.members:
        name = member.node or record.pods[member.uid].annotations.get(ANNOTATION_NODE, "")
        if name not in ledger.nodes:
            return None
        found.append(ledger.index(NodeName(name)))
    nodes = np.array(found, dtype=np.int32)
    if violations(request.problem, nodes):
        return None
    return replace(plan_of(request.gang, request.problem.cluster.names, nodes, None), id=str(ids.pop()))
