"""Before a plan is reserved: does it still hold?"""

from __future__ import annotations

import numpy as np

from scheduler.engine.plans import Plan
from scheduler.engine.roster import GangRecord
from scheduler.ledger import Ledger
from scheduler.model import InvalidInput
from scheduler.placement.check import Violation, violations
from scheduler.placement.formulate import View, formulate


def violated(ledger: Ledger, view: View, record: GangRecord, plan: Plan) -> tuple[Violation, ...]:
    """What speaks against a plan now, by the referee and not by the solver, in the gang's own view."""
    gone = [slot.node for slot in plan.slots.values() if slot.node not in ledger.nodes]
    if gone:
        return (Violation("node", f"node {gone[0]} is gone"),)
    try:
        gang = record.assembled()
        problem = formulate(gang, view)
    except InvalidInput as error:
        return (Violation("gang", str(error)),)
    nodes = [ledger.index(plan.slots[member.uid].node) for member in gang.members]
    return violations(problem, np.array(nodes, dtype=np.int32))
