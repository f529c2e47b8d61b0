"""The cluster in a simulation: the ledger that serves, and the placement problems that it gives rise to.

A problem is formulated once per shape and kept until nodes change: only what is free differs
from one decision to the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.linkmodel import system_of
from benchmarks.simulate.pricing import ALONE, Fabric, Sizes, fabric_of
from benchmarks.simulate.traces.job import GPU, PRODUCT, Job, invalid
from scheduler.holds import Hold
from scheduler.model import Constraint, Gang, GangKey, Member, NodeName, Parallelism, PodKey, PodShape
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Cluster, Int32, Int64, PlacementProblem, Rejection
from scheduler.world import World

Key = tuple[int, int, int, int, tuple[str, ...]]
_FOREVER_S = float("inf")
_MOST_KINDS = 4096
"""Kinds of gangs whose problems are kept; past that they are made again."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What every gang of the simulation asks for: levels, the objective policy, and tensor- and
    pipeline-parallel sizes (gangs that they do not divide have none)."""

    constraints: tuple[Constraint, ...] = ()
    policy: str = ""
    sizes: Sizes = ALONE

    def sizes_of(self, job: Job) -> Sizes:
        """The sizes of one job."""
        return self.sizes if self.sizes.suits(job.gpus, job.gpus_per_pod) else ALONE


class Site:
    """A world with the gangs that run in it, each as one hold of the ledger.

    `levels`: the fabric's levels, coarse to fine, without the node; `domain_of`: per level the
    domain of every node. Both as at the start: a node that fails keeps its place. `changes`: how
    often a node has failed or come back.
    """

    def __init__(self, source: ClusterSource, wishes: Wishes) -> None:
        self.world = World()
        self.world.upsert_nodes(source.nodes)
        for pod in source.background:
            self.world.ledger.observe_pod(pod)
        self._ledger = self.world.ledger
        self._wishes = wishes
        self._problems: dict[Key, PlacementProblem] = {}
        self._least: dict[Key, tuple[tuple[int, ...], Int32]] = {}
        self._shapes: dict[Key, PodShape] = {}
        self._running: dict[str, tuple[Job, Int32]] = {}
        self.names = self._ledger.names
        self.levels = tuple(part.name for part in self.world.fabric.arrays().partitions)
        self.domain_of = {part.name: part.domain_of for part in self.world.fabric.arrays().partitions}
        products = sorted({node.labels.get(PRODUCT, "") for node in source.nodes} - {""})
        self.fabric: Fabric = fabric_of(
            self.levels, self.domain_of, system_of(products[0] if products else "")
        )
        self._gpu_row = self._ledger.resources.index(GPU) if GPU in self._ledger.resources else -1
        self.busy_gpus = 0
        self.changes = 0
        self._recount()

    @property
    def free_gpus(self) -> int:
        """GPUs free on nodes that are ready and not cordoned."""
        return self._open_gpus - self.busy_gpus

    @property
    def open_gpus(self) -> int:
        """G(t): GPUs on usable nodes, those of the background aside."""
        return self._open_gpus

    def problem(self, job: Job, *, free: Int64 | None = None) -> PlacementProblem:
        """The placement problem of a job on what is free now, or on `free` (int64[resources, nodes])."""
        known = self._problems.get(key_of(job))
        if known is None:
            known = formulate(_gang(job, self._wishes), self.world.view())
            if known.cluster.resources == self._ledger.resources:
                if len(self._problems) >= _MOST_KINDS:
                    self._problems.clear()
                self._problems[key_of(job)] = known
            elif free is None:
                return known
        return _on(known, self._ledger.free() if free is None else free)

    def has_room(self, job: Job) -> bool:
        """Whether the free GPUs of all nodes, as they lie, are enough; no more than a first look."""
        each = job.gpus_per_pod
        if not each:
            return True
        room = sum(nodes * (free // each) for free, nodes in self._with_free.items() if free >= each)
        return bool(room >= job.pods)

    def least(self, job: Job) -> tuple[int, ...]:
        """Per level the fewest domains that hold a gang with nothing else on the nodes but the background.

        Raises InvalidInput for a gang that these nodes could never hold.
        """
        return self._alone(job)[0]

    def ideal(self, job: Job) -> Int32:
        """The node of every rank as the engine places the gang with nothing else on the nodes."""
        return self._alone(job)[1]

    def sizes(self, job: Job) -> Sizes:
        """Tensor- and pipeline-parallel sizes of a job."""
        return self._wishes.sizes_of(job)

    def needed_level(self, job: Job) -> str | None:
        """The finest level that the gang must stay in, as it asks; where it asks for none, the finest
        one of which one empty domain could hold it; None when only the whole cluster could."""
        stated = [one.level for one in self._wishes.constraints if one.required and one.scope == "gang"]
        fitting = [level for level, least in zip(self.levels, self.least(job), strict=True) if least == 1]
        asked = [level for level in fitting if level in stated]
        return asked[-1] if asked else fitting[-1] if fitting else None

    def take(self, job: Job, nodes: Int32) -> None:
        """The whole gang takes its room in one step."""
        shape, names, at = self._shape(job), self.names, nodes.tolist()
        pods = {str(rank): (NodeName(names[node]), shape) for rank, node in enumerate(at)}
        self._counted(at, -job.gpus_per_pod)
        self._ledger.hold(Hold(GangKey("", job.id), "", _FOREVER_S, pods))
        self._running[job.id] = (job, nodes)
        self.busy_gpus += job.gpus

    def give_back(self, job: Job) -> None:
        """The gang has ended, or was ended."""
        self._ledger.release(GangKey("", job.id))
        self._counted(self._running.pop(job.id)[1].tolist(), job.gpus_per_pod)
        self.busy_gpus -= job.gpus

    def running(self) -> dict[str, tuple[Job, Int32]]:
        """Every gang that runs, with the node of every rank; not to be kept."""
        return self._running

    def use_of(self, job: Job, nodes: Int32) -> Int64:
        """int64[resources, nodes]: what a gang takes on the nodes of its ranks."""
        pods = np.bincount(nodes, minlength=len(self.names))
        asked = dict(self._shape(job).demand)
        return np.array([asked.get(name, 0) for name in self._ledger.resources])[:, None] * pods

    def set_ready(self, name: str, *, ready: bool) -> None:
        """A node fails, or is repaired. Gangs on it must have been ended before."""
        node = self._ledger.nodes[NodeName(name)]
        self.world.upsert_nodes([replace(node, ready=ready)])
        self._problems.clear()
        self.changes += 1
        self._recount()

    def free(self) -> Int64:
        """int64[resources, nodes]: what is free, a new array."""
        return self._ledger.free()

    def gpu_rows(self) -> tuple[Int64, Int64]:
        """Free and total GPUs per node, 0 on nodes that may not be used."""
        if self._gpu_row < 0:
            none = np.zeros(len(self.names), dtype=np.int64)
            return none, none
        usable = self._ledger.usable
        free = self._ledger.free()[self._gpu_row]
        return np.where(usable, free, 0), np.where(usable, self._ledger.total[self._gpu_row], 0)

    def all_gpus(self) -> Int64:
        """GPUs per node, also of those that are out."""
        row: Int64 = self._ledger.total[self._gpu_row]
        return row if self._gpu_row >= 0 else np.zeros(len(self.names), dtype=np.int64)

    def _shape(self, job: Job) -> PodShape:
        key = key_of(job)
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = job.shape()
        return found

    def _counted(self, nodes: Sequence[int], gpus: int) -> None:
        """So many more GPUs are free on each of these nodes."""
        free, counts = self._free_on, self._with_free
        for node in nodes:
            before = free[node]
            free[node] = before + gpus
            counts[before] -= 1
            counts[before + gpus] = counts.get(before + gpus, 0) + 1

    def _recount(self) -> None:
        free, _ = self.gpu_rows()
        self._free_on = free.tolist()
        self._with_free = dict(Counter(self._free_on))
        self._open_gpus = int(np.maximum(free, 0).sum()) + self.busy_gpus

    def _alone(self, job: Job) -> tuple[tuple[int, ...], Int32]:
        key = key_of(job)
        found = self._least.get(key)
        if found is None:
            if len(self._least) >= _MOST_KINDS:
                self._least.clear()
            found = self._least[key] = self._fewest(job)
        return found

    def _fewest(self, job: Job) -> tuple[tuple[int, ...], Int32]:
        problem = self.problem(job)
        used = self._ledger.sums()[0]
        shapes = tuple(replace(shape, eligible=shape.ever) for shape in problem.shapes)
        if problem.cluster.resources != self._ledger.resources:
            room = problem.cluster.total
        else:
            room = self._ledger.total - used
        everywhere = np.ones(len(self.names), dtype=np.bool_)
        empty = replace(
            problem, shapes=shapes, cluster=replace(problem.cluster, free=room, usable=everywhere)
        )
        answer = place(empty)
        if isinstance(answer, Rejection):
            wanted = f"a job that this cluster could hold ({answer.message})"
            raise invalid(job.where or job.id, "gpus", f"{job.pods} x {job.gpus_per_pod}", wanted)
        least = {level: count for level, _, count in answer.levels}
        return tuple(least[level] for level in self.levels), answer.nodes


def _on(known: PlacementProblem, free: Int64) -> PlacementProblem:
    """The same problem on other free capacity (written out: `replace` takes longer than the decision)."""
    old = known.cluster
    return PlacementProblem(
        known.gang,
        Cluster(old.names, old.resources, free, old.total, old.usable, old.partitions),
        known.shapes,
        known.shape_of,
        known.rules,
        known.stage_of,
        known.replica_of,
        known.fixed,
        known.primary,
        known.terms,
        known.excluded,
        known.notes,
    )


def key_of(job: Job) -> Key:
    """What decides where a job can be: equal keys are the same problem."""
    return job.pods, job.gpus_per_pod, job.cpu_millis, job.memory_bytes, job.products


def _gang(job: Job, wishes: Wishes) -> Gang:
    shape = job.shape()
    members = tuple(
        Member(PodKey("", f"{job.id}-{rank}"), f"{rank}", rank, "", shape) for rank in range(job.pods)
    )
    sizes = wishes.sizes_of(job)
    return Gang(
        GangKey("", job.id),
        job.pods,
        members,
        "trace",
        _parallelism(job, sizes) if sizes != ALONE else Parallelism(),
        constraints=wishes.constraints,
        policy=wishes.policy,
    )


def _parallelism(job: Job, sizes: Sizes) -> Parallelism:
    replicas = job.gpus // (sizes.tensor * sizes.pipeline)
    return Parallelism(sizes.tensor, sizes.pipeline, replicas)
