"""The running service under load, as its own process on the real control plane.

Filter calls while a solve runs, hundreds of gangs at once, and a restart in a large cluster. Calls are
timed by a client on a kept-alive connection, as kube-scheduler makes them: what waits for the event loop
counts.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from statistics import median, quantiles
from typing import Any

from benchmarks.figures import Figure
from benchmarks.path import fabric, running
from deploy.local.lab import PODS, Lab
from deploy.local.objects import gang_pods

Tell = Callable[[str], None]

_DECIDED = ("reserved", "committing", "bound", "blocked", "invalid")
_LIMIT_S = 300.0
_PROBE = "probe"


def figures(*, runs: int, tell: Tell) -> list[Callable[[], Figure]]:
    """What `python -m benchmarks serving` measures; labs are shared where that changes nothing."""
    return [
        lambda: filter_beside_solve(1_000, calls=300 * runs, target=5, tell=tell),
        lambda: filter_beside_solve(5_000, calls=300 * runs, target=15, tell=tell),
        lambda: many_gangs(5_000, 500, runs=runs, target=100, tell=tell),
        lambda: restart(5_000, 50_000, target=10, tell=tell),
        lambda: resident(target=400),
    ]


def filter_beside_solve(nodes: int, *, calls: int, target: float, tell: Tell) -> Figure:
    """p99 of filter with all node names, while what-ifs are being solved without a pause."""
    machines = fabric(nodes)
    with Lab() as lab:
        lab.add_nodes(machines)
        lab.start_lockstep()
        body = _probe(lab, [one.name for one in machines])
        idle = _timed(lab.port, body, calls=calls // 2, pause_s=0.005)
        with _Solving(lab.port) as solving:
            busy = _timed(lab.port, body, calls=calls, pause_s=0.005)
    detail = (
        f"{calls} calls, median {median(busy):.2f}, slowest {max(busy):.1f} ms, "
        f"beside {solving.done} what-ifs; "
        f"with nothing else to do p99 {_p99(idle):.2f} ms"
    )
    tell(f"filter beside a solve, {nodes} names: p99 {_p99(busy):.2f} ms; {detail}")
    return Figure(
        f"filter p99 with a solve running, {nodes} names, at the client", _p99(busy), "ms", target, detail
    )


def many_gangs(nodes: int, gangs: int, *, runs: int, target: float, tell: Tell) -> Figure:
    """Gangs of 8 whole nodes that arrive together: until all are decided, and the slowest filter call."""
    bursts = sorted((_burst(nodes, gangs, tell=tell) for _ in range(runs)), key=lambda burst: burst[0])
    slowest, detail = bursts[len(bursts) // 2]
    each = ", ".join(f"{one:.0f}" for one, _ in bursts)
    return Figure(
        f"slowest filter call while {gangs} gangs arrive at once on {nodes} nodes, median of {runs} runs",
        slowest,
        "ms",
        target,
        f"{each} ms; in that run {detail}",
    )


def _burst(nodes: int, gangs: int, *, tell: Tell) -> tuple[float, str]:
    """Milliseconds of the slowest call of one run, and what else is to be said of it."""
    machines = fabric(nodes)
    with Lab() as lab:
        lab.add_nodes(machines)
        lab.start()
        body = _probe(lab, [one.name for one in machines])
        pods = [pod for at in range(gangs) for pod in gang_pods(f"g{at}", 8, gpus=8)]
        with _Calling(lab.port, body) as calling:
            began = time.monotonic()
            lab.client.create(pods, in_flight=32)
            created_s = time.monotonic() - began
            states = _decided(lab, gangs + 1)
            decided_s = time.monotonic() - began
        times = calling.times
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    detail = (
        f"{gangs} gangs of 8 x 8 GPUs created in {created_s:.1f} s, all decided {decided_s:.1f} s after the "
        f"first pod: {told}; {len(times)} calls beside kube-scheduler's own, median {median(times):.1f}, "
        f"p99 {_p99(times):.1f} ms"
    )
    tell(f"{gangs} gangs at once: slowest {max(times):.1f} ms; {detail}")
    return max(times), detail


class _Calling:
    """Filter calls one after the other, from a process of their own: threads that create pods would make
    them wait for each other."""

    def __init__(self, port: int, body: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._ended, self._found = context.Event(), context.Queue()
        self._process = context.Process(target=_call, args=(port, body, self._ended, self._found))
        self.times: list[float] = []

    def __enter__(self) -> _Calling:
        self._process.start()
        self._found.get(timeout=60)  # the first call is answered
        return self

    def __exit__(self, *about: object) -> None:
        self._ended.set()
        self.times = self._found.get(timeout=60)
        self._process.join()


def _call(port: int, body: bytes, ended: Event, found: multiprocessing.Queue[list[float]]) -> None:
    found.put(_timed(port, body, calls=1, pause_s=0))
    found.put(_timed(port, body, until=ended, pause_s=0.02))


_memory: list[tuple[float, str]] = []


def restart(nodes: int, pods: int, *, target: float, tell: Tell) -> Figure:
    """Seconds from the start of the process until it is ready, with so many running pods."""
    machines = fabric(nodes)
    with Lab() as lab:
        lab.add_nodes(machines)
        tell(f"creating {pods} running pods")
        lab.client.create([running(at, machines[at % nodes].name) for at in range(pods)], in_flight=32)
        times = []
        for _ in range(3):
            began = time.monotonic()
            lab.start_lockstep()
            times.append(time.monotonic() - began)
            time.sleep(2)
        most, now = _status_mib(lab.pid, "VmHWM"), _status_mib(lab.pid, "VmRSS")
    told = f"at {nodes} nodes and {pods} pods, peak {most:.0f} MiB while reading"
    _memory.append((now, told))
    tell(f"restart: {', '.join(f'{one:.1f}' for one in times)} s; {now:.0f} MiB, {told}")
    return Figure(
        f"restart at {nodes} nodes and {pods} pods: process start to ready",
        median(times),
        "s",
        target,
        f"median of 3, slowest {max(times):.1f} s; real API server",
    )


def resident(*, target: float) -> Figure:
    """What the service of the restart keeps."""
    now, told = _memory[-1]
    return Figure(f"resident memory of the service {told.partition(',')[0]}", now, "MiB", target, told)


class _Solving:
    """What-ifs one after the other, from a thread of this process: their solve runs in the service."""

    def __init__(self, port: int) -> None:
        self._port, self._ended, self.done = port, threading.Event(), 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Solving:
        self._thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *about: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        bodies = [json.dumps({"kind": "List", "items": pods}).encode() for pods in _questions()]
        while not self._ended.is_set():
            connection.request("POST", "/v1/plan", bodies[self.done % len(bodies)])
            reply = connection.getresponse()
            text = reply.read()
            if reply.status != 200:
                raise RuntimeError(f"/v1/plan: {reply.status} {text[:200]!r}")
            self.done += 1


def _questions() -> list[list[dict[str, Any]]]:
    """One that the tree answers, one for the integer model, and one that does not fit and is explained."""
    tree = gang_pods("tree", 256, gpus=8, annotations={"preferred": "gang=rack"})
    mixed = [
        pod
        for at, gpus in enumerate((1, 2, 3, 4))
        for pod in gang_pods("mixed", 24, gpus=gpus, annotations={"group": f"g{gpus}"})[at * 6 : at * 6 + 6]
    ]
    large = gang_pods("large", 900, gpus=8, annotations={"required": "gang=rack"})
    return [tree, mixed, large]


def _probe(lab: Lab, names: Sequence[str]) -> bytes:
    """A filter request for a member of a gang that is planned; nobody binds it."""
    lab.client.create(gang_pods(_PROBE, 16, gpus=8))
    lab.eventually(lambda: lab.state(_PROBE) in _DECIDED, what="the probe's plan")
    time.sleep(2)  # until its pods carry the plan and the watch has brought that back
    pod = lab.client.get(f"{PODS}/{_PROBE}-0")
    return json.dumps({"Pod": pod, "Nodes": None, "NodeNames": list(names)}).encode()


def _timed(
    port: int,
    body: bytes,
    *,
    pause_s: float,
    calls: int | None = None,
    until: threading.Event | Event | None = None,
) -> list[float]:
    """Milliseconds of each filter call."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found: list[float] = []
    while (calls is None or len(found) < calls) and not (until and until.is_set()):
        began = time.perf_counter()
        connection.request("POST", "/extender/filter", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        found.append((time.perf_counter() - began) * 1000)
        if reply.status != 200:
            raise RuntimeError(f"filter: {reply.status} {text[:200]!r}")
        time.sleep(pause_s)
    connection.close()
    return found


def _decided(lab: Lab, count: int) -> dict[str, int]:
    """Wait until so many gangs are known and none waits for a decision; how many are in each state."""
    began = time.monotonic()
    while time.monotonic() - began < _LIMIT_S:
        rows = lab.ask("/v1/gangs")["gangs"]
        states = [str(row["state"]) for row in rows]
        if len(rows) == count and all(state in _DECIDED for state in states):
            return {state: states.count(state) for state in set(states)}
        time.sleep(0.5)
    raise TimeoutError(f"after {_LIMIT_S:.0f} s: {len(rows)} gangs known, {states.count('pending')} pending")


def _p99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98]


def _status_mib(pid: int, name: str) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        return int(next(line for line in status if line.startswith(name)).split()[1]) / 1024
