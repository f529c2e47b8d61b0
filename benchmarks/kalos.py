"""Real gangs on a real fabric through the real scheduler: the Kalos jobs on the Lingjun hosts.

Jobs are submitted in trace order; time is virtual: a job ends its recorded duration after
its last pod was bound. Nothing sleeps, so the 90 days take minutes. Every placement is
handed to the referee with the cluster as it was.
"""

from __future__ import annotations

import csv
import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from deploy.local.lab import PODS, Lab
from deploy.local.objects import Object, gang_pods, node_object
from scheduler.kube.objects import from_dict
from scheduler.model import Node, NodeName, Pod
from scheduler.placement.check import violations
from scheduler.placement.formulate import formulate
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.world import World
from topology.synthetic import from_rows

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One gang of the trace; times in seconds since its first job."""

    name: str
    submit_s: float
    duration_s: float
    pods: int
    gpus: int
    cpu: int


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a job: its wait in virtual seconds, the leaves it used and the least it could have."""

    job: Job
    wait_s: float
    leaves: int
    least: int
    decision_ms: float
    proof: str


def jobs(file: Path, *, speedup: float) -> list[Job]:
    """The jobs of the trace, submitted `speedup` times as fast as they were."""
    with file.open(newline="", encoding="utf-8") as rows:
        return [
            Job(
                f"job-{row['job_id']}",
                float(row["submit_s"]) / speedup,
                float(row["duration_s"]),
                int(row["nodes"]),
                int(row["gpus_per_node"]),
                max(int(float(row["cpu_per_gpu"])) * int(row["gpus_per_node"]), 1),
            )
            for row in csv.DictReader(rows)
        ]


def run(traces: Path, *, speedup: float, limit: int, tell: Tell) -> list[str]:
    """Replay the jobs; lines of a report. Raises AssertionError for a gang in part or a refused placement."""
    with (traces / "alibaba-lingjun-2023-topology" / "hosts.csv").open(newline="", encoding="utf-8") as rows:
        machines = from_rows(csv.DictReader(rows))
    todo = jobs(traces / "acme-kalos-2023" / "jobs.csv", speedup=speedup)[:limit]
    started = time.monotonic()
    with Lab() as lab:
        lab.add_nodes(machines)
        lab.start()
        replay = _Replay(lab, [node_object(one) for one in machines], tell)
        replay.run(todo)
    return _report(replay.placed, len(machines), speedup, time.monotonic() - started)


class _Replay:
    """Virtual time, the gangs that run, and the referee's own books."""

    def __init__(self, lab: Lab, nodes: list[Object], tell: Tell) -> None:
        self.placed: list[Placed] = []
        self._lab, self._tell = lab, tell
        self._world = World()
        self._world.upsert_nodes(_node(one) for one in nodes)
        self._ends: list[tuple[float, str]] = []
        self._running: dict[str, list[Pod]] = {}
        self._waiting: dict[str, Job] = {}

    def run(self, todo: list[Job]) -> None:
        at = 0
        while at < len(todo) or self._ends:
            submit_s = todo[at].submit_s if at < len(todo) else float("inf")
            if self._ends and self._ends[0][0] <= submit_s:
                now_s, name = heapq.heappop(self._ends)
                self._finish(name)
            else:
                now_s = submit_s
                self._submit(todo[at])
                at += 1
            self._settle(now_s)
        assert not self._waiting, f"never placed: {sorted(self._waiting)}"

    def _submit(self, job: Job) -> None:
        extra = {"preferred": "gang=leaf"} | ({"tensor-parallel": "8"} if job.gpus == 8 else {})
        self._lab.client.create(
            gang_pods(job.name, job.pods, gpus=job.gpus, cpu=str(job.cpu), annotations=extra)
        )
        self._waiting[job.name] = job

    def _finish(self, name: str) -> None:
        gone = self._running.pop(name)
        for pod in gone:
            self._lab.client.delete(f"{PODS}/{pod.key.name}", gracePeriodSeconds="0")
            self._world.ledger.forget_pod(pod.uid)
        self._lab.eventually(lambda: self._lab.gang(name) is None, what=f"{name} to be forgotten")

    def _settle(self, now_s: float) -> None:
        """Wait until every gang is bound or refused; then take the bound ones into the books."""
        states: dict[str, Any] = {}

        def quiet() -> bool:
            rows = self._lab.ask("/v1/gangs")["gangs"]
            states.clear()
            states.update({row["gang"].split("/")[1]: row["state"] for row in rows})
            return set(self._waiting) <= set(states) and set(states.values()) <= {"bound", "blocked"}

        self._lab.eventually(quiet, timeout_s=120, what="gangs to be bound or refused")
        for name in [name for name in self._waiting if states[name] == "bound"]:
            self._take(self._waiting.pop(name), now_s)

    def _take(self, job: Job, now_s: float) -> None:
        found = self._lab.client.get(PODS)["items"]
        bound = [_pod(one) for one in found if one["metadata"]["name"].startswith(f"{job.name}-")]
        assert len(bound) == job.pods
        assert all(pod.node for pod in bound), f"{job.name} is bound in part"
        self._judge(bound)
        for pod in bound:
            self._world.ledger.observe_pod(pod)
        self._running[job.name] = bound
        heapq.heappush(self._ends, (now_s + job.duration_s, job.name))
        decision = (self._lab.gang(job.name) or {})["decision"]
        leaf = decision["levels"]["leaf"]
        self.placed.append(
            Placed(
                job, now_s - job.submit_s, leaf["used"], leaf["least"], decision["time_ms"], decision["proof"]
            )
        )
        if len(self.placed) % 20 == 0:
            self._tell(f"{len(self.placed)} jobs placed, {len(self._running)} run, {len(self._waiting)} wait")

    def _judge(self, bound: list[Pod]) -> None:
        """The referee's word on where the scheduler put them."""
        free = [(replace(pod, node=None), _membership(pod)) for pod in bound]
        where: Mapping[str, NodeName] = {pod.uid: pod.node for pod in bound if pod.node}
        gang = assemble(free)
        problem = formulate(gang, self._world.view())
        nodes = [self._world.ledger.index(where[member.uid]) for member in gang.members]
        wrong = violations(problem, np.array(nodes, dtype=np.int32))
        assert not wrong, wrong[0].message


def _node(document: Object) -> Node:
    found = from_dict("Node", document)
    assert isinstance(found, Node)
    return found


def _pod(document: Object) -> Pod:
    found = from_dict("Pod", document)
    assert isinstance(found, Pod)
    return found


def _membership(pod: Pod) -> Any:
    found = membership_of(pod, {})
    assert found is not None
    return found


def _report(placed: list[Placed], hosts: int, speedup: float, took_s: float) -> list[str]:
    waits = [one.wait_s for one in placed]
    spread = [one for one in placed if one.job.pods > 1]
    times = sorted(one.decision_ms for one in placed)
    waited = sum(wait > 0 for wait in waits)
    several = f"{sum(one.leaves == one.least for one in spread)} of {len(spread)}"
    proven = f"{sum(one.proof == 'optimal' for one in placed)} of {len(placed)}"
    mean_leaves = f"{mean(one.leaves for one in spread):.2f}"
    least_leaves = f"{mean(one.least for one in spread):.2f}"
    pods = f"{sum(one.job.pods for one in placed):,}"
    last = times[int(len(times) * 0.99)]
    return [
        f"- {len(placed)} gangs, {pods} pods on {hosts} hosts, {speedup:g} times as fast as recorded",
        f"- {took_s:.0f} s of wall time through the real kube-scheduler, creation and deletion included",
        "- every gang bound whole, every placement accepted by `check.violations`",
        f"- gangs of several pods on the fewest leaves possible: {several}; proven optimal: {proven}",
        f"- leaves per gang of several pods, mean: {mean_leaves} (least possible {least_leaves})",
        f"- {waited} gangs waited; mean {mean(waits):.0f} s, longest {max(waits):.0f} s of virtual time",
        f"- decision time: median {median(times):.1f} ms, 99th percentile {last:.1f} ms",
    ]
