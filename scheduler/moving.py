"""What would have to move so that a refused gang fits: an answer only, nothing is moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.model import InvalidInput, Membership, Pod
from scheduler.placement.changes import Occupant
from scheduler.placement.defragment import Again, Step, defragment, gathered
from scheduler.placement.formulate import formulate
from scheduler.placement.problem import Fix, Limits, PlacementProblem, Rejection
from scheduler.workloads.gangs import assemble
from scheduler.world import World

Owner = tuple[str, str]
Members = Sequence[tuple[Pod, Membership]]
_BOUND_TO_NODE = ("DaemonSet", "Node")
"""Owners of pods that belong to their node and mean nothing elsewhere."""


def move_fix(
    world: World,
    problem: PlacementProblem,
    occupants: Sequence[Occupant],
    members: Mapping[Owner, Members],
    limits: Limits,
) -> Fix | None:
    """The fewest units that move so that the gang fits, step by step; None when moving does not help.

    `members`: the running pods of every owner; whoever is not among them stays.
    """
    movable = [one for one in occupants if _may_move(members.get((one.kind, one.name), ()))]
    found = defragment(problem, movable, _again(world, members), limits)
    if found is None or not found.steps:
        return None
    unit = problem.cluster.resources[problem.primary]
    steps = [_told(step) for step in found.steps]
    names = [f"{step['move']} ({step['amount']} {unit})" for step in steps]
    proven = "proven fewest" if found.proof == "optimal" else f"at least {found.least}"
    total = f"{found.amount} {unit} in all, {proven}"
    change = f"move {', then '.join(names)}: {total}; each step is safe to stop after"
    detail = {
        "steps": steps,
        "resource": unit,
        "amount": found.amount,
        "least": found.least,
        "proof": found.proof,
        "then": sorted({problem.cluster.names[node] for node in found.gang.nodes.tolist()}),
    }
    return Fix(change, "move", detail, verified=True)


def not_found(problem: PlacementProblem, refusal: Rejection, sought: Mapping[str, bool]) -> Iterator[str]:
    """Which fixes that were asked for (by kind: move, evict) a refusal does not have, and why."""
    missing = {kind for kind, wanted in sought.items() if wanted} - {fix.kind for fix in refusal.fixes}
    if refusal.proof != "proven" or not refusal.possible:
        return  # nothing was sought: it is not known whether it fits, or it never will
    asked, free = gathered(problem)
    unit = problem.cluster.resources[problem.primary]
    if "move" in missing and free < asked:
        yield f"moving pods does not help: {asked} {unit} are asked for, {free} are free where they may run"
    elif "move" in missing:
        yield "no moves of running pods were found that make room"
    if "evict" in missing:
        yield "no victims were found whose eviction makes room"


def _may_move(members: Members) -> bool:
    return bool(members) and not any(pod.owner and pod.owner.kind in _BOUND_TO_NODE for pod, _ in members)


def _again(world: World, members: Mapping[Owner, Members]) -> Again:
    """How to place an occupant anew: its own gang's rules, with its own room free again."""

    def again(one: Occupant) -> PlacementProblem | None:
        running = members[one.kind, one.name]
        try:
            gang = assemble([(replace(pod, node=None), membership) for pod, membership in running])
            problem = formulate(gang, world.view())
        except InvalidInput:
            return None
        there = all(pod.node in world.ledger.nodes for pod, _ in running)
        if not gang.complete or not there:
            return None
        nodes = {pod.uid: pod.node for pod, _ in running}
        free = problem.cluster.free.copy()
        for at, member in enumerate(gang.members):
            node = nodes[member.uid]
            if node is not None:
                free[:, world.ledger.index(node)] += problem.shapes[int(problem.shape_of[at])].requests
        return replace(problem, cluster=replace(problem.cluster, free=free), gang=one.name)

    return again


def _told(step: Step) -> dict[str, Any]:
    names = step.problem.cluster.names
    return {
        "move": step.occupant.name,
        "kind": step.occupant.kind,
        "amount": step.amount,
        "from": [names[node] for node in sorted({node for node, _ in step.occupant.use})],
        "to": [names[node] for node in dict.fromkeys(step.nodes.tolist())],
    }
