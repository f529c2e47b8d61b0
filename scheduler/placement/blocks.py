"""How a gang's ranks fall into blocks, and what holds for blocks when nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.devices import gpus_of
from scheduler.model import Gang, InvalidField, InvalidInput, Member, Parallelism, Scope
from scheduler.placement.anew import unfixed
from scheduler.placement.problem import Int32, PlacementProblem, dense, only, slots
from scheduler.placement.tree import tree_form

NVLINK, LEAF = "nvlink", "leaf"


def blocks_of(gang: Gang) -> tuple[list[tuple[Scope, Int32]], Int32, Int32]:
    """Block ids per scope (int32[pods], -1 for none), from the gang down, and each pod's pipeline
    stage and replica. Raises InvalidInput for a segment size that does not divide the gang."""
    pods = len(gang.members)
    blocks: list[tuple[Scope, Int32]] = [("gang", np.zeros(pods, dtype=np.int32))]
    groups = _groups(gang, pods)
    if groups is not None:
        blocks.append(("group", groups))
    expert, pipeline, tensor, stage, replica = (np.full(pods, -1, dtype=np.int32) for _ in range(5))
    for everybody, sizes in _roles(gang):
        own = [
            at for at in everybody if gpus_of(gang.members[at].shape)
        ]  # a router or a launcher has no rank
        per_pod = {gpus_of(gang.members[at].shape) for at in own}
        if len(per_pod) != 1 or (gpus := per_pod.pop()) == 0:
            continue
        if sizes.expert:
            expert[own] = expert.max(initial=-1) + 1 + expert_groups(len(own), sizes, gpus)
        if not sizes.tensor:
            continue
        per_tp = max(sizes.tensor // gpus, 1)
        per_pipeline = max(sizes.tensor * (sizes.pipeline or 1) // gpus, 1)
        rank = np.arange(len(own), dtype=np.int32)
        tensor[own] = tensor.max(initial=-1) + 1 + rank // per_tp
        if (sizes.pipeline or 1) > 1:
            pipeline[own] = pipeline.max(initial=-1) + 1 + rank // per_pipeline
            stage[own], replica[own] = rank % per_pipeline // per_tp, pipeline[own]
    found: list[tuple[Scope, Int32]] = [("pp", pipeline), ("tp", tensor)]
    if any(wish.scope == "ep" for wish in gang.constraints):  # outside pipelines, or inside tensor groups
        wide = any((sizes.expert or 0) > (sizes.tensor or 0) for _, sizes in _roles(gang))
        found.insert(0 if wide else 2, ("ep", expert))
    return [*blocks, *(one for one in found if (one[1] >= 0).any())], stage, replica


def expert_groups(pods: int, sizes: Parallelism, gpus: int) -> Int32:
    """int32[pods]: the expert-parallel group of every pod, by rank, of `gpus` each.

    A group is `expert` ranks of one pipeline stage: part of a tensor-parallel group, or the same stage of
    neighbouring replicas. A group smaller than a pod is the pod.
    """
    rank, expert, tensor = np.arange(pods, dtype=np.int32), sizes.expert or 1, sizes.tensor or 1
    stages = sizes.pipeline or 1
    if expert <= tensor or stages == 1:
        return rank // max(expert // gpus, 1)
    per_stage, per_pipeline = max(tensor // gpus, 1), max(tensor * stages // gpus, 1)
    in_a_pod = max(gpus // (tensor * stages), 1)  # whole pipelines
    replicas = rank // per_pipeline * in_a_pod // (expert // tensor)
    return dense(replicas * per_pipeline + rank % per_pipeline // per_stage)


def _roles(gang: Gang) -> list[tuple[list[int], Parallelism]]:
    """Members, by rank, whose ranks are counted together, and their sizes: all, or those of each role."""
    if not gang.by_group:
        return [(list(range(len(gang.members))), gang.parallelism)]
    return [(_of_group(gang.members, name), sizes) for name, sizes in gang.by_group]


def _of_group(members: Sequence[Member], name: str) -> list[int]:
    return [at for at, member in enumerate(members) if member.group == name]


def _groups(gang: Gang, pods: int) -> Int32 | None:
    if gang.segment_size:
        if pods % gang.segment_size and gang.segment_remainder == "forbid":
            wanted = f"a divisor of the gang's {pods} pods, or segment-remainder: allow"
            raise InvalidInput(
                InvalidField(f"gang {gang.key}", "segment-size", str(gang.segment_size), wanted)
            )
        return (np.arange(pods) // gang.segment_size).astype(np.int32)
    names = list(dict.fromkeys(member.group for member in gang.members))
    if names == [""]:
        return None
    return np.array([names.index(member.group) for member in gang.members], dtype=np.int32)


def with_default_levels(problem: PlacementProblem, known: tuple[str, ...]) -> PlacementProblem:
    """What holds when sizes are known and nothing is said: tensor-parallel groups in one NVLink
    domain, a pipeline under one leaf if an empty leaf could hold it, else preferred where one could.
    `known`: the cluster's levels, coarse to fine."""
    for at in reversed(range(len(problem.rules))):  # what a pipeline needs depends on its inner groups
        rule = problem.rules[at]
        if rule.required or rule.preferred:
            continue
        if rule.scope == "tp" and NVLINK in known:
            problem = _constrained(problem, at, required=NVLINK)
        if rule.scope == "pp":
            problem = _pipeline_default(problem, at, known)
    return problem


def _pipeline_default(problem: PlacementProblem, at: int, known: tuple[str, ...]) -> PlacementProblem:
    if LEAF in known and _could_hold(problem, at, LEAF):
        return _constrained(problem, at, required=LEAF)
    order = (
        reversed(known[: known.index(LEAF)]) if LEAF in known else reversed([k for k in known if k != NVLINK])
    )
    level = next((level for level in order if _could_hold(problem, at, level)), None)
    if level is None:
        return replace(problem, notes=(*problem.notes, "no level of this cluster could hold a pipeline"))
    note = f"no leaf could hold a pipeline even when empty; preferred in one {level}"
    if LEAF not in known:
        note = f"no leaf level; pipelines preferred in one {level}"
    return _constrained(replace(problem, notes=(*problem.notes, note)), at, preferred=level)


def _constrained(
    problem: PlacementProblem, at: int, *, required: str = "", preferred: str = ""
) -> PlacementProblem:
    rule = problem.rules[at]
    changed = replace(
        rule,
        required=(*rule.required, *([required] if required else [])),
        preferred=(*rule.preferred, *([preferred] if preferred else [])),
    )
    return replace(problem, rules=(*problem.rules[:at], changed, *problem.rules[at + 1 :]))


def _could_hold(problem: PlacementProblem, at: int, level: str) -> bool:
    """Whether some empty domain of a level could hold one pipeline, tensor-parallel groups whole."""
    pods = np.flatnonzero(problem.rules[at].block_of >= 0)
    own = unfixed(only(_constrained(problem, at, required=level), pods))
    size = int(np.bincount(problem.rules[at].block_of[pods]).max())
    form = tree_form(own, ever=True)
    if form is not None:
        return bool(form.capacity[form.position(level)].max(initial=0) >= size)
    room = slots(own, int(own.shape_of[0]), ever=True)
    return bool(np.bincount(problem.cluster.domain_of(level), weights=room).max(initial=0) >= size)
