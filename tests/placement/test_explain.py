"""Explanations are checked by solving: the facts block together, none can be spared, and every fix works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from scheduler.placement.anew import restarted
from scheduler.placement.changes import Bars, Occupant, Surroundings, relaxed, unbarred, usable, without
from scheduler.placement.explain import explain
from scheduler.placement.growth import _grown
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Blocking, Fix, Limits, PlacementProblem, Rejection
from tests.placement.instances import cluster, problem, random_general_problem, random_problem

LIMITS = Limits()


def surrounded(case: PlacementProblem, rng: np.random.Generator) -> tuple[PlacementProblem, Surroundings]:
    """Turn what is not free into pods that run, and take some nodes out of use."""
    case, own = running_itself(case)
    cluster = case.cluster
    occupants = []
    for node in range(cluster.size):
        used = cluster.total[:, node] - cluster.free[:, node] - own[:, node]
        while used.any():
            part = np.minimum(used, rng.integers(0, 3, len(used)))
            if part.any():
                occupants.append(Occupant("pod", f"default/p{len(occupants)}", ((node, part),)))
                used = used - part
    out = [node for node in range(cluster.size) if rng.random() < 0.2]
    shapes = tuple(
        replace(shape, ever=shape.eligible, eligible=shape.eligible & ~np.isin(np.arange(cluster.size), out))
        for shape in case.shapes
    )
    around = Surroundings(tuple(occupants), tuple((node, "cordoned") for node in out))
    return replace(case, shapes=shapes), around


def running_itself(case: PlacementProblem) -> tuple[PlacementProblem, Any]:
    """The problem with room for the members that run, where their nodes are large enough, and what they
    take (int64[resources, nodes])."""
    cluster, fixed = case.cluster, case.fixed.copy()
    own = np.zeros_like(cluster.total)
    for pod in np.flatnonzero(fixed >= 0).tolist():
        more = own[:, fixed[pod]] + case.shapes[int(case.shape_of[pod])].requests
        if (more > cluster.total[:, fixed[pod]]).any():
            fixed[pod] = -1
        else:
            own[:, fixed[pod]] = more
    free = np.minimum(cluster.free, cluster.total - own)
    return replace(case, cluster=replace(cluster, free=free), fixed=fixed), own


def test_facts_block_and_none_can_be_spared_and_fixes_work() -> None:
    blocked = fixed = 0
    for seed in range(160):
        rng = np.random.default_rng(seed)
        make = random_problem if seed % 2 else random_general_problem
        case, around = surrounded(make(rng), rng)
        answer = place(case)
        if not isinstance(answer, Rejection):
            continue
        told = explain(case, answer, around, limits=LIMITS)
        names = {fact.name for fact in told.blocking}
        if any(fact.kind == "resource" for fact in told.blocking):
            assert isinstance(place(only(case, around, set())), Rejection), seed
        else:
            blocked += 1
            assert isinstance(place(only(case, around, names)), Rejection), (seed, "they do not block")
            for name in names:
                left = only(case, around, names - {name})
                assert isinstance(place(left), Assignment), (seed, f"{name} can be spared")
        for fix in told.fixes:
            fixed += 1
            assert fix.verified
            assert isinstance(place(applied(case, around, fix.kind, fix.detail)), Assignment), (seed, fix)
    assert blocked > 25
    assert fixed > 40


def barred(case: PlacementProblem, around: Surroundings, rng: np.random.Generator) -> tuple[Any, Any]:
    """Keep each shape off some nodes for up to three reasons, taints and selectors."""
    kinds = ("taint", "selector", "selector")
    reasons = tuple(Blocking(kind, f"bar{at}", "") for at, kind in enumerate(kinds))
    on = np.where(rng.random((len(case.shapes), case.cluster.size)) < 0.5, rng.integers(0, 8), 0)
    on = (on & rng.integers(0, 8, on.shape)).astype(np.int64)
    shapes = tuple(
        replace(shape, ever=shape.ever & (own == 0), eligible=shape.eligible & (own == 0))
        for shape, own in zip(case.shapes, on, strict=True)
    )
    out = np.isin(np.arange(case.cluster.size), [node for node, _ in around.unusable])
    in_use = replace(case.cluster, usable=case.cluster.usable & ~out)
    return replace(case, shapes=shapes, cluster=in_use), replace(around, bars=Bars(reasons, on))


def test_what_keeps_pods_off_nodes_is_a_fact_like_others() -> None:
    told_of = fixed = 0
    for seed in range(110):
        rng = np.random.default_rng(5_000 + seed)
        make = random_problem if seed % 2 else random_general_problem
        case, around = barred(*surrounded(make(rng), rng), rng)
        answer = place(case)
        if not isinstance(answer, Rejection):
            continue
        told = explain(case, answer, around, limits=LIMITS)
        names = {fact.name for fact in told.blocking}
        if not any(fact.kind == "resource" for fact in told.blocking):
            assert isinstance(place(only(case, around, names)), Rejection), (seed, "they do not block")
            for name in names:
                left = only(case, around, names - {name})
                assert isinstance(place(left), Assignment), (seed, f"{name} can be spared")
            told_of += any(name.startswith("bar") for name in names)
        for fix in told.fixes:
            if "selector" in fix.detail or "taints" in fix.detail:
                fixed += 1
                assert isinstance(place(without_bar(case, around, fix)), Assignment), (seed, fix)
    assert told_of > 8
    assert fixed > 2


def without_bar(case: PlacementProblem, around: Surroundings, fix: Fix) -> PlacementProblem:
    """The problem without one selector, or without the taints of the nodes that a fix names."""
    bars = around.bars
    assert bars is not None
    if "selector" in fix.detail:
        return unbarred(bars, [int(str(fix.detail["selector"])[3:])])(case)
    nodes = [case.cluster.names.index(name) for name in fix.detail["nodes"]]  # type: ignore[attr-defined]
    everywhere = unbarred(bars, [0])(case)
    opened = np.isin(np.arange(case.cluster.size), nodes)
    shapes = tuple(
        replace(old, eligible=np.where(opened, new.eligible, old.eligible))
        for old, new in zip(case.shapes, everywhere.shapes, strict=True)
    )
    return replace(case, shapes=shapes)


def only(case: PlacementProblem, around: Surroundings, names: set[str]) -> PlacementProblem:
    """The problem with only these facts so."""
    started = case if case.gang in names else restarted(case)
    changed = without([one for one in around.occupants if one.name not in names])(started)
    if around.bars is not None:
        lifted = [at for at, reason in enumerate(around.bars.reasons) if reason.name not in names]
        changed = unbarred(around.bars, lifted)(changed)
    cluster = case.cluster
    changed = usable([node for node, _ in around.unusable if cluster.names[node] not in names])(changed)
    for at, rule in enumerate(case.rules):
        for level in rule.required:
            if f"{rule.scope}={level}" not in names:
                changed = relaxed(at, level, None)(changed)
    return changed


def applied(case: PlacementProblem, around: Surroundings, kind: str, detail: object) -> PlacementProblem:
    """The problem with one fix carried out, as its detail says."""
    assert isinstance(detail, dict)
    if kind == "wait":
        return without([one for one in around.occupants if one.name in detail["until_gone"]])(case)
    if kind == "uncordon":
        return usable([case.cluster.names.index(name) for name in detail["nodes"]])(case)
    if kind == "evict":
        assert detail["victims"] == [case.gang]
        return restarted(case)
    if kind == "relax" and "relaxed" in detail:
        for one in detail["relaxed"]:
            at = next(
                i for i, r in enumerate(case.rules) if r.scope == one["scope"] and one["from"] in r.required
            )
            case = relaxed(at, one["from"], None)(case)
        return case
    if kind == "relax":
        at = next(i for i, rule in enumerate(case.rules) if rule.scope == detail["scope"])
        return relaxed(at, detail["from"], detail["to"] or None)(case)
    if kind == "add-nodes":
        return _grown(case, case.cluster.names.index(detail["like"]), detail["nodes"])
    assert kind == "resize"
    pods = detail["pods"]
    return replace(
        case,
        rules=tuple(replace(rule, block_of=rule.block_of[:pods]) for rule in case.rules),
        shape_of=case.shape_of[:pods],
        stage_of=case.stage_of[:pods],
        replica_of=case.replica_of[:pods],
        fixed=case.fixed[:pods],
        terms=(),
    )


def test_a_gang_larger_than_everything_says_so() -> None:
    case = problem(cluster([4, 4], [4, 4], {"leaf": [0, 1]}), pods=9, gpus=1)
    answer = place(case)
    assert isinstance(answer, Rejection)
    told = explain(case, answer, Surroundings(), limits=LIMITS)
    assert [(fact.kind, fact.fact) for fact in told.blocking] == [
        ("resource", "9 gpu asked; all nodes together have 8")
    ]
    assert [fix.change for fix in told.fixes] == [
        "add 1 node like n0 beside it (leaf leaf0)",
        "a gang of 8 pods would fit now",
    ]
