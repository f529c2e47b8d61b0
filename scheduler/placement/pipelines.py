"""Many pipelines of one pod shape on nested levels, some of which must hop: chains, then the other terms.

Levels at which every pipeline can stay inside one domain are settled: no pipeline leaves it. The next
level is where hops begin, and the one below it counts them too; both together are a problem of chains
(`chains`), exact in itself. What the policy asks beyond hops is told with its bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.objective import evaluate, with_bounds
from scheduler.placement.problem import Assignment, Int32, Int64, Limits, PlacementProblem
from scheduler.placement.tree import TreeForm

CHAINS_S = 0.5
"""Deterministic seconds for chains over two levels before an answer with a gap is given."""

Paths = tuple[tuple[int, ...], ...]
"""Domains in the order in which they are filled."""

Slots = list[list[int]]
"""Of one domain, the nodes of every stage that has room, in the order of the fabric."""


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """Pipelines and the level they are chained at. Per domain of it: its stages, its coarse domain, and
    the region that no chain may leave. `fine`, `coarse`: the tree levels; `two`: coarse hops count, too;
    `single`: levels whose domains hold one stage; `more`: pipelines that fit into no domain alone."""

    fine: int
    coarse: int
    single: tuple[int, ...]
    stages: int
    pipelines: int
    slots: list[Slots]
    outer: Int64
    region: Int64
    two: bool

    @property
    def capacity(self) -> Int64:
        return np.array([len(own) for own in self.slots], dtype=np.int64)

    @property
    def more(self) -> int:
        return self.pipelines - int((self.capacity // self.stages).sum())


def chained(problem: PlacementProblem, form: TreeForm, limits: Limits) -> Assignment | None:
    """An assignment with the fewest hops, where some are needed; None where this is not such a problem."""
    setting = _setting(problem, form)
    if setting is None or setting.more <= 0:
        return None
    limits.go_on()
    found = _chains(setting, min(limits.deterministic_s, CHAINS_S))
    if found is None:
        return None
    paths, least = found
    nodes = _laid(problem, setting, paths)
    if nodes is None:
        return None
    values = evaluate(problem, nodes)
    bounds = dict.fromkeys(problem.terms, 0) | _bounds(problem, form, setting, least)
    terms = with_bounds(problem.terms, values, bounds)
    proof = "optimal" if all(term.value == term.bound for term in terms) else "gap"
    return Assignment(nodes, terms, proof, method="chains")


def _setting(problem: PlacementProblem, form: TreeForm) -> _Setting | None:
    """The levels at which hops begin; None when hops do not lead the policy, or more than two levels hop."""
    hops = [term for term in problem.terms if term.startswith("pipeline_hops_")]
    first = [term for term in problem.terms if term != "tp_crossings"][: len(hops)]
    wishes = any(rule.scope == "tp" and rule.preferred for rule in problem.rules)
    outside = any(rule.required for rule in problem.rules if rule.scope in ("gang", "group", "ep"))
    if not hops or hops != first or wishes or outside or "pp" not in form.blocks:
        return None
    per_stage, tied = form.blocks.get("tp", (1, len(form.levels)))
    size, bound = form.blocks["pp"]
    if size == problem.pods or (problem.stage_of < 0).any():
        return None
    positions = sorted({form.position(term.removeprefix("pipeline_hops_")) for term in hops})
    positions = [at for at in positions if at > bound and (per_stage == 1 or tied >= at)]
    stages, pipelines = size // per_stage, problem.pods // size
    slots = {at: _slots(form, at, per_stage, tied) for at in positions}
    split = [at for at in positions if sum(len(s) // stages for s in slots[at]) < pipelines]
    single = tuple(at for at in positions if max(map(len, slots[at])) <= 1)
    split = [at for at in split if at not in single]
    whole = [at for at in (bound, *positions) if at >= 0 and at not in split and at < min(split, default=-1)]
    if not split or len(split) > 2:
        return None
    fine, coarse = split[-1], split[0] if len(split) == 2 else max(whole, default=-1)
    return _Setting(
        fine,
        coarse,
        single,
        stages,
        pipelines,
        slots[fine],
        outer=_above(form, fine, coarse),
        region=_above(form, fine, max(whole, default=-1)),
        two=len(split) == 2,
    )


def _above(form: TreeForm, fine: int, coarse: int) -> Int64:
    """int64[domains]: the coarse domain of every fine one; one for all without a coarse level."""
    if coarse < 0:
        return np.zeros(form.levels[fine].domains, dtype=np.int64)
    return form.levels[coarse].domain_of[form.levels[fine].first].astype(np.int64)


def _slots(form: TreeForm, level: int, per_stage: int, tied: int) -> list[Slots]:
    """Per domain of a level the stages that have room there, each inside its own level."""
    used = np.flatnonzero((form.room > 0) & (form.levels[level].domain_of >= 0))
    keys = [one.domain_of[used] for one in form.levels]
    used = used[np.lexsort(keys[::-1])]
    found: list[Slots] = [[] for _ in range(form.levels[level].domains)]
    places = np.repeat(used, form.room[used])
    cell = form.levels[tied].domain_of[places] if per_stage > 1 else np.arange(len(places))
    for own in np.split(places, np.flatnonzero(np.diff(cell)) + 1) if len(places) else []:
        for at in range(0, len(own) - per_stage + 1, per_stage):
            stage = own[at : at + per_stage].tolist()
            found[int(form.levels[level].domain_of[stage[0]])].append(stage)
    return found


def _chains(setting: _Setting, limit_s: float) -> tuple[Paths, tuple[int, int]] | None:
    """The chains, and the least coarse hops and hops that are proven."""
    from scheduler.placement.chains import least_hops  # noqa: PLC0415  (loads CP-SAT)

    stages, rest = setting.stages, (setting.capacity % setting.stages).tolist()
    one = [0] * len(rest)
    free = least_hops(rest, one, one, stages=stages, extra=setting.more, limit_s=limit_s)
    if free is None:
        return None
    if len(np.unique(setting.region)) == 1 and not setting.two:
        return free.paths, (0, free.least[1])
    coarse, long = _coarse(setting, limit_s) if setting.two else (0, ())
    found = least_hops(
        rest,
        setting.outer.tolist(),
        setting.region.tolist(),
        stages=stages,
        extra=setting.more,
        limit_s=limit_s,
        known=(coarse, free.least[1]),
    )
    if found is None:
        return (long, (coarse, free.least[1])) if long else None
    return found.paths, (coarse, max(found.least[1], free.least[1]))


def _coarse(setting: _Setting, limit_s: float) -> tuple[int, Paths]:
    """The least hops between coarse domains, whatever happens inside them, and chains that hop so often:
    all domains of a coarse one, and then of those behind it."""
    from scheduler.placement.chains import least_hops  # noqa: PLC0415  (loads CP-SAT)

    sums = np.bincount(setting.outer, weights=setting.capacity).astype(np.int64)
    region = np.zeros(len(sums), dtype=np.int64)
    region[setting.outer] = setting.region
    more = setting.pipelines - int((sums // setting.stages).sum())
    own, rest = region.tolist(), (sums % setting.stages).tolist()
    found = least_hops(rest, own, own, stages=setting.stages, extra=more, limit_s=limit_s)
    if found is None:
        return 0, ()
    chained = {coarse for path in found.paths for coarse in path}
    runs = [*found.paths, *((coarse,) for coarse in range(len(sums)) if coarse not in chained)]
    inside = [np.flatnonzero(setting.outer == coarse).tolist() for coarse in range(len(sums))]
    paths = (tuple(domain for coarse in run for domain in inside[coarse]) for run in runs)
    return found.least[1], tuple(path for path in paths if path)


def _laid(problem: PlacementProblem, setting: _Setting, paths: Paths) -> Int32 | None:
    """int32[pods]: the pipelines along the chains, then in the domains that stand alone."""
    inside = {domain for path in paths for domain in path}
    runs = [*paths, *((domain,) for domain in range(len(setting.slots)) if domain not in inside)]
    whole: list[Slots] = []
    for run in runs:
        places = [stage for domain in run for stage in setting.slots[domain]]
        for at in range(0, len(places) // setting.stages * setting.stages, setting.stages):
            whole.append(places[at : at + setting.stages])
    if len(whole) < setting.pipelines:
        return None
    nodes = np.empty(problem.pods, dtype=np.int32)
    order = np.lexsort((np.arange(problem.pods), problem.stage_of, problem.replica_of))
    flat = [node for pipeline in whole[: setting.pipelines] for stage in pipeline for node in stage]
    nodes[order] = flat
    return nodes


def _bounds(
    problem: PlacementProblem, form: TreeForm, setting: _Setting, least: tuple[int, int]
) -> dict[str, int]:
    """What is proven of the hops of each level: of domains with room for one stage, that all stages hop."""
    bounds: dict[str, int] = {}
    for term in problem.terms:
        if term.startswith("pipeline_hops_"):
            at = form.position(term.removeprefix("pipeline_hops_"))
            bounds[term] = least[1] if at >= setting.fine else 0
            if at == setting.coarse and setting.two:
                bounds[term] = least[0]
            elif at in setting.single:
                bounds[term] = setting.pipelines * (setting.stages - 1)
    return bounds
