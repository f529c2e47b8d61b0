"""Before a plan is reserved: does it still hold?"""

from __future__ import annotations

import numpy as np

from scheduler.eligibility import ineligible
from scheduler.engine.plans import Plan
from scheduler.engine.roster import GangRecord
from scheduler.ledger import Ledger
from scheduler.model import GangKey, InvalidInput, NodeName
from scheduler.placement.check import Violation, violations
from scheduler.placement.formulate import View, formulate


def endangered(ledger: Ledger, changed: set[NodeName]) -> tuple[GangKey, ...]:
    """Owners of holds that a change of these nodes has made impossible."""
    found: dict[GangKey, None] = {}
    for name in sorted(changed):
        known, overdrawn = ledger.nodes.get(name), ledger.overdrawn(name)
        for owner, shape in ledger.held_on(name):
            if known is None or overdrawn or ineligible(shape, known) is not None:
                found[owner] = None
    return tuple(found)


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
