"""Figures of the engine alone: one decision, one filter call, one `lockstep plan`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import instances
from benchmarks.figures import Figure
from deploy.local.objects import gang_pods, node_object
from scheduler.config import Config
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.kube.objects import from_dict
from scheduler.model import Node, Pod
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment
from scheduler.service import Service
from topology.synthetic import hgx, nvl72

Tell = Callable[[str], None]


def placing(nodes: int, pods: int, *, load: float, runs: int, target: float, tell: Tell) -> Figure:
    """`place()` from arrays, a fresh cluster object every time, so that nothing is remembered."""
    times = []
    for seed in range(3):
        problem = instances.tensor_pairs(instances.nvl72(nodes, load, seed), pods, 4)
        place(problem)
        for _ in range(runs):
            fresh = replace(problem, cluster=replace(problem.cluster))
            started = time.perf_counter()
            answer = place(fresh)
            times.append((time.perf_counter() - started) * 1000)
            assert isinstance(answer, Assignment)
            assert answer.proof == "optimal"
    tell(f"place: {min(times):.2f} to {max(times):.2f} ms")
    return Figure(
        name=f"place(): {pods} pods on {nodes} NVL72 nodes at {load:.0%} load, from arrays, p50",
        value=median(times),
        unit="ms",
        target=target,
        detail=f"three seeds, {runs} runs each; every answer proven optimal",
    )


def filtering(nodes: int, *, calls: int, target: float, tell: Tell) -> Figure:
    """A filter call for a planned member with all node names, as the server answers it."""
    service, pods, names = asyncio.run(_planned_service(nodes))
    body = json.dumps({"Pod": pods[0], "Nodes": None, "NodeNames": names}).encode()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        reply = service.filter(body)
        times.append((time.perf_counter() - started) * 1000)
        assert len(json.loads(reply)["NodeNames"]) == 1
    tell(f"filter: median {median(times):.2f} ms")
    return Figure(
        name=f"filter call, plan ready, {nodes} names, server side p99",
        value=quantiles(times, n=100)[98],
        unit="ms",
        target=target,
        detail=f"{calls} calls, median {median(times):.2f} ms",
    )


async def _planned_service(nodes: int) -> tuple[Service, list[dict[str, Any]], list[str]]:
    machines = hgx(max(nodes // 200, 1), 10, 20)[:nodes]
    service = Service(Config())
    service.observe(NodesSeen(tuple(_read(Node, node_object(one)) for one in machines)))
    pods = gang_pods("g", 16, gpus=8)
    for pod in pods:
        pod["metadata"]["uid"] = f"uid-{pod['metadata']['name']}"
        service.observe(PodSeen(_read(Pod, pod)))
    request = service.engine.next_request(0.0)
    assert request is not None
    assert service.engine.settle(request, place(request.problem), now_s=0.0, time_ms=0.0)
    return service, pods, [one.name for one in machines]


def _read(kind: type[Any], document: dict[str, Any]) -> Any:
    found = from_dict(str(document["kind"]), document)
    assert isinstance(found, kind)
    return found


def planning(nodes: int, *, runs: int, target: float, tell: Tell) -> Figure:
    """`lockstep plan` on a snapshot, the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot, manifest = Path(folder) / "snapshot.json", Path(folder) / "gang.json"
        items = [node_object(one) for one in nvl72(-(-nodes // 18))[:nodes]]
        snapshot.write_text(json.dumps({"kind": "List", "items": items}))
        gang = gang_pods("g", 32, gpus=4, annotations={"tensor-parallel": "16"})
        manifest.write_text(json.dumps(gang))
        command = [
            sys.executable,
            "-m",
            "scheduler.cli",
            "plan",
            "-f",
            str(manifest),
            "--snapshot",
            str(snapshot),
        ]
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
            times.append(time.perf_counter() - started)
    tell(f"plan: {min(times):.2f} to {max(times):.2f} s")
    return Figure(
        name=f"`lockstep plan` on a snapshot of {nodes} nodes, whole process",
        value=median(times),
        unit="s",
        target=target,
        detail=f"32 pods, tensor-parallel 16; median of {runs}",
    )
