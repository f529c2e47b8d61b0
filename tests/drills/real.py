"""Real replicas of Lockstep on the real control plane, each on a way to the API server that we hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import yaml

from deploy.local.component import free_ports, spawned
from deploy.local.lab import PODS, Lab
from deploy.local.objects import GPU, gang_pods
from tests.drills.wires import Way, Wires
from topology.synthetic import SyntheticNode, nvl72

LOG_BROKEN = "broken promise"
_ROOT = Path(__file__).parents[2]


class Process:
    """One Lockstep process. `prefix`: the beginning of its command line; `server`: the API server that it
    is told of, when not the real one on a way that we hold; `environment`: variables beside ours."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        *,
        service: dict[str, Any],
        prefix: Sequence[str] = (),
        server: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.stage = name, stage
        self.way: Way = stage.wires.way()
        (self.port,) = free_ports(1)
        folder = stage.lab.plane.folder
        config = folder / f"{name}.yaml"
        document = {
            "apiVersion": "lockstep.scheduling/v1alpha1",
            "kind": "LockstepConfiguration",
            "service": {"port": self.port, "paranoid": True, **service},
        }
        config.write_text(json.dumps(document), encoding="utf-8")
        self.log = stage.lab.plane.logs / f"{name}.log"
        command = [*prefix, sys.executable, "-m", "scheduler.cli", "serve", f"--config={config}"]
        command.append(f"--kubeconfig={self._kubeconfig(folder, server)}")
        self.process = spawned(command, log=self.log, folder=_ROOT, environment=environment)
        stage.wires.backends.append(self.url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9; nothing more of it reaches the API server."""
        self.way.closed = True
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)

    def ended(self) -> None:
        """Collect the process, by force if it must be."""
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.url in self.stage.wires.backends:
            self.stage.wires.backends.remove(self.url)

    def readiness(self) -> tuple[int, str]:
        """Status and text of /readyz; 0 while nobody listens."""
        try:
            with urlopen(self.url + "/readyz", timeout=2) as reply:
                return int(reply.status), reply.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def ready(self) -> bool:
        return self.readiness()[0] == 200

    def logged(self) -> str:
        """All that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def gangs(self) -> dict[str, str]:
        """State by gang."""
        with urlopen(self.url + "/v1/gangs", timeout=5) as reply:
            return {row["gang"]: row["state"] for row in json.load(reply)["gangs"]}

    def _kubeconfig(self, folder: Path, server: str) -> Path:
        config = yaml.safe_load(self.stage.lab.plane.kubeconfig("lockstep").read_text())
        config["clusters"][0]["cluster"] = {"server": server or self.way.url}
        file = folder / f"{self.name}.kubeconfig"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return file


class Meanwhile:
    """Something that is done again and again while a block lasts."""

    def __init__(self, act: Callable[[], None], *, every_s: float) -> None:
        self._act, self._every_s, self._end = act, every_s, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *about: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            self._act()


class Stage:
    """A control plane with kube-scheduler, and processes of Lockstep that come and go."""

    def __init__(self, nodes: Iterable[SyntheticNode] | None = None) -> None:
        self.lab = Lab()
        self._nodes = tuple(nodes) if nodes is not None else nvl72(2)
        self._number = 0
        self.processes: list[Process] = []

    def __enter__(self) -> Stage:
        self.lab.__enter__()
        self.lab.add_nodes(self._nodes)
        self.wires = Wires(api=self.lab.plane.url, ca_file=str(self.lab.plane.ca_file))
        self.wires.__enter__()
        self.extender = self.wires.balancer() + "/extender"
        return self

    def __exit__(self, *about: Any) -> None:
        for one in self.processes:
            one.kill()
            one.ended()
        self.wires.__exit__()
        self.lab.__exit__(*about)

    def start_scheduler(self) -> None:
        self.lab.plane.start_scheduler(extender_url=self.extender)

    def start(
        self,
        *,
        ready: bool = True,
        prefix: Sequence[str] = (),
        server: str = "",
        environment: Mapping[str, str] | None = None,
        **service: Any,
    ) -> Process:
        """One more process; `service` is that section of its configuration."""
        self._number += 1
        process = Process(
            self,
            f"lockstep-{self._number}",
            service=service,
            prefix=prefix,
            server=server,
            environment=environment,
        )
        self.processes.append(process)
        if ready:
            self.lab.eventually(process.ready, timeout_s=60, what="lockstep to be ready")
        return process

    def replica(self, *, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Process:
        """One more that competes for the lease."""
        identity = f"replica-{self._number + 1}"
        return self.start(
            ready=False, prefix=prefix, environment=environment, leadership={"identity": identity}
        )

    def create(self, name: str, size: int, *, gpus: int = 4, **annotations: str) -> set[str]:
        """A gang; the names of its pods."""
        pods = gang_pods(name, size, gpus=gpus, annotations=annotations)
        self.lab.client.create(pods)
        return {pod["metadata"]["name"] for pod in pods}

    def bound(self, names: set[str]) -> int:
        return len(self.lab.nodes_of(names))

    def all_bound(self, names: set[str], *, within_s: float) -> bool:
        """Whether all of the pods have their nodes in time."""
        try:
            self.lab.wait_bound(names, timeout_s=within_s)
        except TimeoutError:
            return False
        return True

    def whole_or_released(self, names: set[str], *, within_s: float) -> tuple[str, float]:
        """What became of a gang, and after how many seconds; raises TimeoutError while it is half."""
        began = time.monotonic()
        self.lab.eventually(
            lambda: self.bound(names) in (0, len(names)), timeout_s=within_s, what="a whole gang or none"
        )
        taken_s = time.monotonic() - began
        return ("whole" if self.bound(names) else "released"), taken_s

    def overfull(self) -> list[str]:
        """Nodes with more GPUs bound than they have."""
        total = {
            one["metadata"]["name"]: int(one["status"]["allocatable"].get(GPU, 0))
            for one in self.lab.client.get("/api/v1/nodes")["items"]
        }
        used: Counter[str] = Counter()
        for pod in self.lab.client.get(PODS)["items"]:
            limits = pod["spec"]["containers"][0]["resources"].get("limits", {})
            used[pod["spec"].get("nodeName", "")] += int(limits.get(GPU, 0))
        return [node for node, amount in sorted(used.items()) if node and amount > total.get(node, 0)]

    def clean(self) -> None:
        """No pods left."""
        self.lab.client.delete(PODS, gracePeriodSeconds="0")
        self.lab.eventually(lambda: not self.lab.client.get(PODS)["items"], what="all pods to be gone")

    def broken_promises(self) -> list[str]:
        """Lines in which a process in paranoid mode says that a safety property does not hold."""
        return [line for one in self.processes for line in one.logged().splitlines() if LOG_BROKEN in line]
