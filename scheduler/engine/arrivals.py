"""Members that come after the others take the places that the gang's plan holds for them.

They were planned as their owner describes them. Planning again for each would be work for the same answer,
and would write a new plan on all that wait.
"""

from __future__ import annotations

from dataclasses import replace

from scheduler.eligibility import ineligible
from scheduler.engine.plans import Plan, Slot, line_of, plan_id
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.ledger import Ledger
from scheduler.model import Membership, Pod
from scheduler.workloads.absent import identity

Absent = tuple[tuple[Pod, Membership], ...]


def adopt(record: GangRecord, before: Absent, ledger: Ledger) -> None:
    """Let every new member take the place of the awaited one that it is (`before`: who was awaited). Nothing
    changes where one of them is nobody's, or is not as it was planned: then the gang is planned again."""
    plan, hold = record.plan, ledger.holds.get(record.key)
    if plan is None or hold is None or record.state not in (State.RESERVED, State.COMMITTING):
        return
    new = [pod for uid, pod in record.pods.items() if uid not in plan.slots]
    awaited = _awaited(record, before, plan)
    taken: dict[str, Pod] = {}
    for pod in new:
        slot = _place_of(pod, record, awaited)
        if slot is None or slot.uid in taken or not _as_planned(pod, slot, record, before, ledger):
            return
        taken[slot.uid] = pod
    if taken:
        record.plan = _renamed(plan, taken)
        pods = {taken[uid].uid if uid in taken else uid: place for uid, place in hold.pods.items()}
        ledger.hold(replace(hold, plan=record.plan.id, pods=pods))
        _tell(record, plan, taken)


def _awaited(record: GangRecord, before: Absent, plan: Plan) -> dict[object, Slot]:
    """The places of those who are no longer awaited, by name and by group and number."""
    still = {pod.uid for pod, _ in record.absent}
    found: dict[object, Slot] = {}
    for pod, membership in before:
        slot = plan.slots.get(pod.uid)
        if slot is not None and pod.uid not in still:
            found[pod.key] = slot
            if (number := identity(pod, membership)) is not None:
                found[number] = slot
    return found


def _place_of(pod: Pod, record: GangRecord, awaited: dict[object, Slot]) -> Slot | None:
    membership = record.memberships.get(pod.uid)
    number = identity(pod, membership) if membership is not None else None
    return awaited.get(pod.key) or (awaited.get(number) if number is not None else None)


def _as_planned(pod: Pod, slot: Slot, record: GangRecord, before: Absent, ledger: Ledger) -> bool:
    """Whether a member asks for what was planned, says of the gang what was expected, and may run there."""
    expected, said = next(one for one in before if one[0].uid == slot.uid)
    node = ledger.nodes.get(slot.node)
    same = pod.shape.demand == expected.shape.demand and record.memberships.get(pod.uid) == said
    return same and pod.node in (None, slot.node) and node is not None and not ineligible(pod.shape, node)


def _renamed(plan: Plan, taken: dict[str, Pod]) -> Plan:
    """The same places under the uids of those who came; another id of the same line, for another member is
    let through by it."""
    slots: dict[str, Slot] = {}
    for uid, slot in plan.slots.items():
        pod = taken.get(uid)
        own = slot if pod is None else replace(slot, pod=pod.key, uid=pod.uid)
        slots[own.uid] = own
    return replace(plan, id=f"{line_of(plan.id)}-{plan_id(plan.gang, slots)}", slots=slots)


def _tell(record: GangRecord, plan: Plan, taken: dict[str, Pod]) -> None:
    """The report of the decision names those who came."""
    names = {str(plan.slots[uid].pod): str(pod.key) for uid, pod in taken.items()}
    pods = (record.report or {}).get("pods")
    if record.report is not None and pods:
        told = [{**one, "pod": names.get(one["pod"], one["pod"])} for one in pods]
        record.report = {**record.report, "pods": told}
