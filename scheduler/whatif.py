"""What would happen: gangs placed one after another on a copy of the cluster, in the order given."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler import manifests
from scheduler.evicting import Rank, evictable, rank_of
from scheduler.files import parse
from scheduler.ledger import Ledger
from scheduler.model import (
    Code,
    Gang,
    GangKey,
    InvalidField,
    InvalidInput,
    Membership,
    NodeName,
    Pod,
    PodGroup,
)
from scheduler.moving import Owner, move_fix, not_found
from scheduler.placement.batch import place_batch
from scheduler.placement.changes import Occupant
from scheduler.placement.explain import explain
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, PlacementProblem, Rejection
from scheduler.priorities import classes_of, ranked, unknown_class, unwilling
from scheduler.report import SCHEMA, invalid_report, placed_report, refused_report, unreadable_report
from scheduler.show import snapshot_summary
from scheduler.surroundings import surroundings
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.known import Known, Workload, known_of
from scheduler.world import World

Report = dict[str, Any]


@dataclass(slots=True)
class _Draft:
    """A gang as it is gathered from the input and from what already runs."""

    key: GangKey
    members: list[tuple[Pod, Membership]] = field(default_factory=list)
    faults: list[InvalidField] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked beside where the gangs go. `owners`, `ranks`: who runs, by uid, growing with what is
    placed; `movable`: the running pods by owner, None when nobody asks who would have to move."""

    owners: dict[str, Owner]
    ranks: dict[str, Rank]
    limits: Limits
    evict: bool
    movable: Mapping[Owner, Sequence[tuple[Pod, Membership]]] | None


def plan_document(
    world: World,
    *,
    pods: Sequence[Pod],
    groups: Iterable[PodGroup] = (),
    workloads: Iterable[Workload] = (),
    running: Iterable[Pod] = (),
    faults: Sequence[InvalidField] = (),
    owners: Mapping[str, Owner] | None = None,
    ranks: Mapping[str, Rank] | None = None,
    limits: Limits,
    jointly: bool = False,
    evict: bool = False,
    moves: bool = False,
) -> Report:
    """The whole answer of `lockstep plan`. `world` is changed: every placed gang takes its room.
    With `evict` a refusal also names the fewest victims that would make room, with `moves` who would
    have to move.

    With `jointly` all gangs are placed as one batch, whatever their order; `batch` then tells the
    units of the primary resource that found no place, the summed terms, and what is proven.

    `running` are pods of the cluster that have a node; those of a gang that is asked about
    are its fixed members. `owners`, `ranks`: who runs, by uid, beside those, and with what priority.
    `faults` are objects of the input that could not be read.
    """
    summary = snapshot_summary(world)
    known = known_of(groups, workloads)
    drafts = _gather(ranked(pods, world.classes), known)
    running = list(running)
    _join_running(drafts, running, known)
    owners = {**(owners or {}), **{pod.uid: owner_of(pod, known) for pod in running}}
    ranks = {**(ranks or {}), **{pod.uid: rank_of(pod) for pod in running}}
    ask = _Ask(owners, ranks, limits, evict, _by_owner(running, owners, known) if moves else None)
    unreadable = [unreadable_report(fault) for fault in faults]
    ready = [one for draft in drafts.values() if (one := _ready(draft, world))] if jointly else []
    if ready:
        batch = _plan_batch(world, list(drafts.values()), ready, ask)
        return {"schema": SCHEMA, "snapshot": summary, **batch, "gangs": [*batch["gangs"], *unreadable]}
    gangs = [_plan_one(world, draft, ask) for draft in drafts.values()]
    return {"schema": SCHEMA, "snapshot": summary, "gangs": [*gangs, *unreadable]}


def _gather(pods: Sequence[Pod], groups: Known) -> dict[GangKey, _Draft]:
    """Gangs in the order in which their first pod appears; a pod without a gang is one of its own."""
    drafts: dict[GangKey, _Draft] = {}
    for pod in pods:
        try:
            membership = membership_of(pod, groups) or _alone(pod)
        except InvalidInput as error:
            key = GangKey(pod.key.namespace, pod.annotations.get("lockstep.scheduling/gang", pod.key.name))
            drafts.setdefault(key, _Draft(key)).faults.extend(error.faults)
            continue
        draft = drafts.setdefault(membership.gang, _Draft(membership.gang))
        draft.members.append((pod, membership))
    return drafts


def _alone(pod: Pod) -> Membership:
    return Membership(GangKey(pod.key.namespace, pod.key.name), "a single pod", size=1)


def _join_running(drafts: Mapping[GangKey, _Draft], running: Iterable[Pod], groups: Known) -> None:
    """Members that already run keep their nodes; the input's own copy of such a pod gives way."""
    for pod in running:
        if pod.finished or pod.deleting or pod.node is None:
            continue
        try:
            membership = membership_of(pod, groups)
        except InvalidInput:
            continue  # it runs; what it says is not asked about
        draft = drafts.get(membership.gang) if membership else None
        if draft is not None and membership is not None:
            draft.members = [one for one in draft.members if one[0].key != pod.key]
            draft.members.append((pod, membership))


_Ready = tuple[_Draft, Gang, PlacementProblem]


def _plan_batch(world: World, drafts: Sequence[_Draft], ready: Sequence[_Ready], ask: _Ask) -> Report:
    """All gangs that are ready as one batch; the others, and those that find no room, on what it leaves."""
    started = time.perf_counter()
    answer = place_batch([problem for _, _, problem in ready], limits=ask.limits, in_order=False)
    each_ms = (time.perf_counter() - started) * 1000 / len(ready)
    reports: dict[GangKey, Report] = {}
    for (draft, gang, problem), own in zip(ready, answer.answers, strict=True):
        if isinstance(own, Assignment):
            _take(world.ledger, draft, gang, [problem.cluster.names[node] for node in own.nodes], ask)
            reports[draft.key] = placed_report(gang, problem, own, time_ms=each_ms)
    for draft in sorted(drafts, key=lambda draft: draft.key):
        if draft.key not in reports:
            reports[draft.key] = _plan_one(world, draft, ask)
    objective = [{"term": t.term, "value": t.value, "bound": t.bound} for t in answer.terms]
    return {
        "gangs": [reports[draft.key] for draft in drafts],
        "batch": {"proof": answer.proof, "objective": objective},
    }


def _ready(draft: _Draft, world: World) -> _Ready | None:
    """A draft with its gang and problem; None when it is faulty or incomplete."""
    if draft.faults:
        return None
    try:
        gang = assemble(draft.members)
        return (draft, gang, formulate(gang, world.view())) if gang.complete else None
    except InvalidInput:
        return None


def owner_of(pod: Pod, groups: Known) -> tuple[str, str]:
    """Whose end would free a pod's room: its gang's, else its own."""
    try:
        membership = membership_of(pod, groups)
    except InvalidInput:
        membership = None
    return ("gang", str(membership.gang)) if membership else ("pod", str(pod.key))


def _plan_one(world: World, draft: _Draft, ask: _Ask) -> Report:
    if draft.faults:
        return invalid_report(draft.key, draft.faults)
    started = time.perf_counter()
    try:
        gang = assemble(draft.members)
        problem = formulate(gang, world.view())
    except InvalidInput as error:
        return invalid_report(draft.key, error.faults)
    problem = replace(problem, notes=(*problem.notes, *_notes(world, draft, ask)))
    answer: Assignment | Rejection = place(problem, limits=ask.limits) if gang.complete else _incomplete(gang)
    time_ms = (time.perf_counter() - started) * 1000
    if isinstance(answer, Rejection):
        if gang.complete:
            answer = _explained(world, (draft, gang, problem), answer, ask)
            sought = {"move": ask.movable is not None, "evict": ask.evict}
            problem = replace(problem, notes=(*problem.notes, *not_found(problem, answer, sought)))
        return refused_report(gang, problem, answer, time_ms=time_ms)
    _take(world.ledger, draft, gang, [problem.cluster.names[node] for node in answer.nodes], ask)
    return placed_report(gang, problem, answer, time_ms=time_ms)


def _notes(world: World, draft: _Draft, ask: _Ask) -> Iterator[str]:
    """What of the pods' priorities changes the answer."""
    pods = [pod for pod, _ in draft.members]
    if (fault := unknown_class(pods, world.classes)) is not None:
        yield f"{fault}; counted as priority 0"
    if ask.evict and (one := unwilling(pods)) is not None:
        yield f"{one.name} has preemptionPolicy Never, so nobody is named as a victim"


def _explained(world: World, ready: _Ready, refusal: Rejection, ask: _Ask) -> Rejection:
    draft, gang, problem = ready
    around = surroundings(world, ask.owners, problem, gang)
    willing = unwilling(pod for pod, _ in draft.members) is None
    victims = _victims(world, draft, around.occupants, ask) if ask.evict and willing else None
    told = explain(problem, refusal, around, limits=ask.limits, evictable=victims)
    if ask.movable is None or refusal.proof != "proven" or not refusal.possible:
        return told
    fix = move_fix(world, problem, around.occupants, ask.movable, ask.limits)
    return replace(told, fixes=(fix, *told.fixes)) if fix is not None else told


def _victims(world: World, draft: _Draft, occupants: Sequence[Occupant], ask: _Ask) -> tuple[Occupant, ...]:
    priority = max((pod.priority for pod, _ in draft.members), default=0)
    return evictable(occupants, ask.owners, ask.ranks, running=world.ledger.running(), priority=priority)


def _by_owner(
    running: Iterable[Pod], owners: Mapping[str, Owner], groups: Known
) -> dict[Owner, list[tuple[Pod, Membership]]]:
    """What runs, by whom it belongs to; pods whose account of themselves is faulty are left out."""
    found: dict[Owner, list[tuple[Pod, Membership]]] = {}
    for pod in running:
        if pod.finished or pod.node is None:
            continue
        with suppress(InvalidInput):
            found.setdefault(owners[pod.uid], []).append((pod, membership_of(pod, groups) or _alone(pod)))
    return found


def _incomplete(gang: Gang) -> Rejection:
    missing = gang.size - len(gang.members)
    one = "one" if missing == 1 else str(missing)
    message = f"{len(gang.members)} of {gang.size} pods exist; the gang waits for the other {one}"
    return Rejection(Code.WAITING_FOR_MEMBERS, message, True, needed=gang.size, best=len(gang.members))


def _take(ledger: Ledger, draft: _Draft, gang: Gang, nodes: Sequence[str], ask: _Ask) -> None:
    pods = {pod.uid: pod for pod, _ in draft.members}
    ask.owners.update((uid, ("gang", str(gang.key))) for uid in pods)
    ask.ranks.update((uid, rank_of(pod)) for uid, pod in pods.items())
    for member, node in zip(gang.members, nodes, strict=True):
        if member.node is None:
            ledger.observe_pod(replace(pods[member.uid], node=NodeName(node)))


_REQUEST = "plan request"
"""What stands for the text of a request in errors."""


def answer_request(
    world: World,
    body: bytes,
    *,
    jointly: bool,
    limits: Limits,
    running: Iterable[Pod] = (),
    owners: Mapping[str, Owner] | None = None,
    ranks: Mapping[str, Rank] | None = None,
    evict: bool = False,
    moves: bool = False,
) -> Report:
    """A plan request: JSON or YAML, one object, several, or a List; the rest as for `plan_document`.

    Raises InvalidInput, and Abandoned when the limits say so.
    """
    if not body.strip():
        raise InvalidInput(InvalidField(_REQUEST, "body", "", "manifests as JSON or YAML"))
    documents = list(manifests.documents(parse(_REQUEST, body), name=_REQUEST))
    world.classes = {**world.classes, **classes_of(documents)}
    expanded = manifests.workloads(documents)
    return plan_document(
        world,
        pods=expanded.pods,
        groups=expanded.pod_groups,
        workloads=expanded.workloads,
        running=running,
        faults=expanded.faults,
        owners=owners,
        ranks=ranks,
        limits=limits,
        jointly=jointly,
        evict=evict,
        moves=moves,
    )
