"""One decision in the form that is shown: the objects of `lockstep plan -o json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scheduler.devices import gpus_of
from scheduler.model import Code, Gang, GangKey, InvalidField, Parallelism
from scheduler.placement.problem import Assignment, PlacementProblem, Rejection

SCHEMA = "lockstep.plan/v1"


def placed_report(
    gang: Gang, problem: PlacementProblem, answer: Assignment, *, time_ms: float
) -> dict[str, Any]:
    """A gang that was placed: every pod with its node, rank and domains, and what is proven."""
    return {
        "gang": str(gang.key),
        "verdict": "placed",
        "proof": answer.proof,
        "source": gang.source,
        "shape": shape_of(gang),
        "pods": _pods(gang, problem, answer),
        "levels": {level: {"used": used, "least": least} for level, used, least in answer.levels},
        "objective": [{"term": t.term, "value": t.value, "bound": t.bound} for t in answer.terms],
        "method": answer.method,
        "notes": [*gang.warnings, *problem.notes],
        "time_ms": round(time_ms, 3),
    }


def refused_report(
    gang: Gang, problem: PlacementProblem, answer: Rejection, *, time_ms: float
) -> dict[str, Any]:
    """A gang that was not placed: blocked (not now) or impossible (never on these nodes), and why."""
    unknown = answer.proof == "timed_out"
    return {
        "gang": str(gang.key),
        "verdict": "blocked" if answer.possible or unknown else "impossible",
        "proof": answer.proof,
        "source": gang.source,
        "shape": shape_of(gang),
        "reason": {
            "code": str(answer.code),
            "message": answer.message,
            "level": answer.level,
            "needed": answer.needed,
            "best": answer.best,
            "blocking": [{"kind": b.kind, "name": b.name, "fact": b.fact} for b in answer.blocking],
            "fixes": [
                {"change": f.change, "kind": f.kind, "detail": dict(f.detail), "verified": f.verified}
                for f in answer.fixes
            ],
        },
        "notes": [*gang.warnings, *problem.notes],
        "time_ms": round(time_ms, 3),
    }


def invalid_report(key: GangKey, faults: Sequence[InvalidField]) -> dict[str, Any]:
    """A gang whose description contradicts itself; what many pods say alike is told once."""
    told = _each_once(faults)
    return {
        "gang": str(key).removeprefix("/"),
        "verdict": "invalid",
        "proof": "proven",
        "reason": {
            "code": str(Code.INVALID),
            "message": "; ".join(told.values()),
            "level": "",
            "needed": 0,
            "best": 0,
            "blocking": [
                {"kind": "constraint", "name": f"{fault.object}: {fault.field}", "fact": text}
                for fault, text in told.items()
            ],
            "fixes": [],
        },
    }


def unreadable_report(fault: InvalidField) -> dict[str, Any]:
    """An object that is no gang's description: listed under its own name, else by where it stands."""
    namespace, slash, name = fault.object.rpartition(" ")[2].partition("/")
    own = bool(slash) and fault.object.count(" ") == 1
    return invalid_report(GangKey(namespace, name) if own else GangKey("", fault.object), (fault,))


def _each_once(faults: Sequence[InvalidField]) -> dict[InvalidField, str]:
    """The words by the first fault of every kind: field, value and what would be right."""
    alike: dict[tuple[str, str, str], list[InvalidField]] = {}
    for fault in dict.fromkeys(faults):
        alike.setdefault((fault.field, fault.value, fault.wanted), []).append(fault)
    return {
        first: str(replace(first, object=f"{first.object} and {len(more)} more") if more else first)
        for first, *more in alike.values()
    }


def shape_of(gang: Gang) -> dict[str, Any]:
    """Size of a gang in pods, GPUs and ranks, and where each number was read."""
    groups = Counter(member.group for member in gang.members)
    parallel, by_group = gang.parallelism, dict(gang.by_group)
    return {
        "pods": gang.size,
        "gpus": sum(gpus_of(member.shape) for member in gang.members),
        "tp": parallel.tensor,
        "pp": parallel.pipeline,
        "dp": parallel.data,
        "ep": parallel.expert,
        "groups": [
            {"name": name, "pods": count, **_own_sizes(by_group.get(name))} for name, count in groups.items()
        ],
        "sources": dict(parallel.sources),
    }


def _own_sizes(sizes: Parallelism | None) -> dict[str, Any]:
    """The sizes of a role that has its own."""
    if sizes is None:
        return {}
    own = {"tp": sizes.tensor, "pp": sizes.pipeline, "dp": sizes.data, "ep": sizes.expert}
    return {**own, "sources": dict(sizes.sources)}


def _pods(gang: Gang, problem: PlacementProblem, answer: Assignment) -> list[dict[str, Any]]:
    partitions = problem.cluster.partitions
    return [
        {
            "pod": str(member.pod),
            "node": problem.cluster.names[node],
            "rank": member.rank,
            "group": member.group,
            "domains": {p.name: p.names[p.domain_of[node]] for p in partitions},
        }
        for member, node in zip(gang.members, answer.nodes.tolist(), strict=True)
    ]
