"""A plan: which member goes where, under one id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.model import Gang, GangKey, NodeName, PodKey
from scheduler.placement.problem import Assignment, Int32, PlacementProblem


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one member. `bound` when the plan found it already running there."""

    pod: PodKey
    uid: str
    node: NodeName
    rank: int
    bound: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The answer for a whole gang; `slots` by uid, in rank order.

    `id` follows from the members and their nodes alone: the same plan has the
    same id after a restart. `assignment` is None for a plan read back from its pods.
    """

    id: str
    gang: GangKey
    slots: Mapping[str, Slot]
    assignment: Assignment | None
    notes: tuple[str, ...] = ()


def plan_of(
    gang: Gang, names: tuple[str, ...], nodes: Int32, answer: Assignment | None, notes: tuple[str, ...] = ()
) -> Plan:
    """The plan that puts each member (in rank order) on the node of that index."""
    slots = {
        member.uid: Slot(member.pod, member.uid, NodeName(names[node]), member.rank, member.node is not None)
        for member, node in zip(gang.members, nodes, strict=True)
    }
    return Plan(plan_id(gang.key, slots), gang.key, slots, answer, notes)


def plan_id(gang: GangKey, slots: Mapping[str, Slot]) -> str:
    """Twelve hexadecimal digits that name these members on these nodes."""
    text = "\n".join([str(gang), *(f"{slot.uid} {slot.node}" for slot in slots.values())])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def line_of(plan: str) -> str:
    """What the plans of one start have in common: a start that is repaired goes on under the same line."""
    return plan.partition("-")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A gang to be placed, as it and the cluster were at one moment."""

    gang: Gang
    problem: PlacementProblem
    version: int
    generation: int
