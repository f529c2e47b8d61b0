"""Before a plan is reserved: does it still hold?"""

from __future__ import annotations

import numpy as np

from scheduler.engine.plans import Plan
from scheduler.engine.roster import GangRecord
from scheduler.model import InvalidInput
from scheduler.placement.check import Violation, violations
from scheduler.placement.formulate import formulate
from scheduler.world import World


def violated(world: World, record: GangRecord, plan: Plan) -> tuple[Violation, ...]:
    """What speaks against a plan now, by the referee and not by the solver."""
    gone = [slot.node for slot in plan.slots.values() if slot.node not in world.ledger.nodes]
    if gone:
        return (Violation("node", f"node {gone[0]} is gone"),)
    try:
        gang = record.assembled()
        problem = formulate(gang, world.view(record.key))
    except InvalidInput as error:
        return (Violation("gang", str(error)),)
    nodes = [world.ledger.index(plan.slots[member.uid].node) for member in gang.members]
    return violations(problem, np.array(nodes, dtype=np.int32))
