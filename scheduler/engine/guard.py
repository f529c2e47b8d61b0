"""Before a plan is reserved: does it still hold?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.eligibility import ineligible
from scheduler.engine.plans import Plan
from scheduler.engine.roster import GangRecord
from scheduler.ledger import Ledger
from scheduler.model import GangKey, InvalidInput, NodeName
from scheduler.placement.check import Violation, violations
from scheduler.placement.formulate import View, formulate


def _endangered(ledger: Ledger, changed: set[NodeName]) -> tuple[tuple[GangKey, str], ...]:
    """Owner and uid of each share of a hold that a change of these nodes has made impossible."""
    found: list[tuple[GangKey, str]] = []
    for name in sorted(changed):
        known, overdrawn = ledger.nodes.get(name), ledger.overdrawn(name)
        for owner, uid, shape in ledger.held_on(name):
            if known is None or overdrawn or ineligible(shape, known) is not None:
                found.append((owner, uid))
    return tuple(found)


def give_up_endangered(
    ledger: Ledger, gangs: Mapping[GangKey, GangRecord], changed: set[NodeName]
) -> dict[GangKey, None]:
    """Give up plans that a change of these nodes has made impossible, and room that is gone; those gangs.

    What a Binding is on its way to stays held, and a plan of which nothing else is in danger stays: its
    outcome decides. Room that is kept for a successor (a hold without plan) is looked after elsewhere.
    """
    found: dict[GangKey, None] = {}
    for owner, uid in _endangered(ledger, changed):
        record = gangs.get(owner)
        if record is not None and ledger.holds[owner].plan and uid not in record.in_flight:
            ledger.give_back(uid)
            record.plan = None
            found[owner] = None
    return found


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
