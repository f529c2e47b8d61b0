"""The whole path on the real control plane: from the first pod created to the last one bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.figures import Figure
from deploy.local.api import ApiClient
from deploy.local.lab import PODS, Lab
from deploy.local.objects import Object, gang_pods
from topology.synthetic import SyntheticNode, hgx

GROUPS = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups"
_LIMIT_S = 180.0


def fabric(nodes: int) -> tuple[SyntheticNode, ...]:
    """HGX machines, 20 under a leaf and ten leaves under a spine, or fewer spines for fewer nodes."""
    spines = max(nodes // 200, 1)
    return hgx(spines, 10, nodes // (spines * 10))


def gang_ratio(nodes: int, size: int, *, runs: int, target: float, tell: Callable[[str], None]) -> Figure:
    """A gang of whole-node pods through Lockstep and through upstream's own gang path, in one run."""
    with Lab() as lab:
        lab.add_nodes(fabric(nodes))
        lab.start()
        ours = [_gang(lab.client, f"ours{run}", size, native=False) for run in range(runs + 1)][1:]
        tell(f"{nodes} nodes, {size} pods through Lockstep: {_listed(ours)}")
        lab.stop_lockstep()
        lab.plane.start_scheduler()
        theirs = [_gang(lab.client, f"theirs{run}", size, native=True) for run in range(runs + 1)][1:]
        tell(f"{nodes} nodes, {size} pods through upstream's PodGroup: {_listed(theirs)}")
    return Figure(
        name=f"gang of {size} pods x 8 GPUs, {nodes} nodes: first pod created to last pod bound, "
        "ratio to upstream's PodGroup gang",
        value=median(ours) / median(theirs),
        unit="",
        target=target,
        detail=f"{median(ours):.2f} s against {median(theirs):.2f} s, medians of {runs}",
    )


def plain_rate(nodes: int, pods: int, *, runs: int, target: float, tell: Callable[[str], None]) -> Figure:
    """Pods without GPUs per second through kube-scheduler, with Lockstep registered and without."""
    with Lab() as lab:
        lab.add_nodes(fabric(nodes))
        lab.start_lockstep()
        rates: dict[bool, list[float]] = {True: [], False: []}
        for run in range(runs * 2):
            ours = run % 2 == 0
            if ours:
                lab.start_scheduler()
            else:
                lab.plane.start_scheduler()
            rates[ours].append(pods / _plain(lab, f"plain{run}", pods))
        lab.plane.stop_scheduler()
    tell(f"plain pods per second, with: {_listed(rates[True])}; without: {_listed(rates[False])}")
    return Figure(
        name="plain pods per second through kube-scheduler with Lockstep registered / without",
        value=median(rates[True]) / median(rates[False]),
        unit="",
        target=target,
        least=True,
        detail=f"{median(rates[True]):.0f} against {median(rates[False]):.0f} pods/s, medians of {runs}",
    )


def memory(nodes: int, pods: int, *, target: float, tell: Callable[[str], None]) -> Figure:
    """Resident memory of the service with so many nodes and running pods."""
    machines = fabric(nodes)
    with Lab() as lab:
        lab.add_nodes(machines)
        tell(f"creating {pods} running pods")
        lab.client.create([running(at, machines[at % len(machines)].name) for at in range(pods)])
        lab.start_lockstep()
        time.sleep(2)
        used = _resident_mib(lab.pid)
    return Figure(
        name=f"resident memory of the service at {nodes} nodes and {pods} pods",
        value=used,
        unit="MiB",
        target=target,
        detail="after the first full read",
    )


def _gang(client: ApiClient, name: str, size: int, *, native: bool) -> float:
    """Seconds until a gang is bound; leaves nothing behind."""
    pods = gang_pods(name, size, gpus=8)
    if native:
        client.create([_group(name, size)])
        for pod in pods:
            del pod["metadata"]["annotations"]
            pod["spec"]["schedulingGroup"] = {"podGroupName": name}
    started = time.monotonic()
    client.create(pods)
    _wait(lambda: not _some(client, "spec.nodeName="))
    took = time.monotonic() - started
    _delete_all(client)
    if native:
        client.delete(f"{GROUPS}/{name}")
    return took


def _plain(lab: Lab, name: str, count: int) -> float:
    pods = gang_pods(name, count, gpus=0, cpu="10m")
    for pod in pods:
        del pod["metadata"]["annotations"]
    started = time.monotonic()
    lab.client.create(pods)
    _wait(lambda: not _some(lab.client, "spec.nodeName="))
    took = time.monotonic() - started
    _delete_all(lab.client)
    return took


def _delete_all(client: ApiClient) -> None:
    client.delete(PODS, gracePeriodSeconds="0")
    _wait(lambda: not _some(client, ""))
    time.sleep(1)  # the scheduler's cache


def _some(client: ApiClient, selector: str) -> bool:
    return bool(client.get(PODS, fieldSelector=selector, limit="1")["items"])


def _wait(done: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not done():
        if time.monotonic() - started > _LIMIT_S:
            raise TimeoutError("the pods were not bound in time")
        time.sleep(0.02)


def _group(name: str, size: int) -> Object:
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": size}}},
    }


def running(at: int, node: str) -> Object:
    pod: dict[str, Any] = gang_pods(f"busy{at // 16}", 16, gpus=1, cpu="1")[at % 16]
    pod["spec"]["nodeName"] = node
    return pod


def _resident_mib(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
