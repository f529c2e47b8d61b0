"""A cluster to try things on: the real control plane with Lockstep beside its scheduler.

    with Lab() as lab:
        lab.add_nodes(nvl72(2))
        lab.start()
        lab.client.create(gang_pods("g", 8, gpus=4))
        lab.wait_bound(...)

Used alike by the demo, the end-to-end tests and the benchmarks.
"""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from deploy.local.api import ApiClient
from deploy.local.component import free_ports, spawned
from deploy.local.controllers import KUBELET_LABEL, Controllers
from deploy.local.controlplane import ControlPlane
from deploy.local.objects import Object, node_object
from topology.synthetic import SyntheticNode

PODS = "/api/v1/namespaces/default/pods"
_READY_S = 60.0


class Lab:
    """Control plane, Lockstep and kube-scheduler; `start` and the `stop`s in any order.

    `config`: more of Lockstep's configuration, by section. `extender`: keys of the scheduler's entry for
    it, such as its TLS. `controllers`: some of `lws`, `jobset` and `kwok`, beside Kubernetes' own.
    Without `gate` pods are left to a stock scheduler.
    """

    def __init__(
        self,
        *,
        keep: bool = False,
        gate: bool = True,
        controller_manager: bool = False,
        controllers: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        extender: Mapping[str, Any] | None = None,
        folder: Path | None = None,
    ) -> None:
        own = controller_manager and not controllers
        self.plane = ControlPlane(folder, keep=keep, controller_manager=own)
        self.controllers = Controllers(self.plane, controllers)
        self._node_labels = {KUBELET_LABEL: ""} if "kwok" in controllers else {}
        self._gate = gate
        self._config = dict(config or {})
        self._extender = dict(extender or {})
        self._service: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.plane.__enter__()
        try:
            if self._gate:
                self.plane.install_gate()
            self.controllers.start()
        except BaseException:
            self.controllers.stop()
            self.plane.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_lockstep()
        self.controllers.stop()
        self.plane.__exit__(kind, error, trace)

    @property
    def client(self) -> ApiClient:
        """The API server, as admin."""
        return self.plane.client()

    @property
    def url(self) -> str:
        """Where Lockstep listens."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def _scheme(self) -> str:
        return "https" if self._config.get("service", {}).get("tls") else "http"

    def _probe(self) -> str:
        """What kubelet would ask: readiness, on the port of the metrics where that is another."""
        metrics = self._config.get("service", {}).get("metrics")
        return f"{self._scheme}://{metrics}/readyz" if metrics else f"{self.url}/readyz"

    @property
    def log(self) -> Path:
        """Lockstep's own log."""
        return self.plane.logs / "lockstep.log"

    @property
    def pid(self) -> int:
        assert self._service is not None
        return self._service.pid

    def add_nodes(self, nodes: Iterable[SyntheticNode]) -> None:
        """Create the nodes of a synthetic fabric."""
        self.client.create([node_object(node, labels=self._node_labels) for node in nodes])

    def start(self) -> None:
        """Lockstep, then a scheduler with it as extender."""
        self.start_lockstep()
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """A kube-scheduler that asks Lockstep."""
        self.plane.start_scheduler(extender_url=f"{self.url}/extender", extender=self._extender)

    def start_lockstep(self) -> None:
        """Lockstep under exactly the rights of the shipped manifest, until it is ready."""
        self.stop_lockstep()
        (self.port,) = (self.port,) if self.port else free_ports(1)
        file = self.plane.folder / "lockstep.yaml"
        service = {"port": self.port, **self._config.get("service", {})}
        document = {
            "apiVersion": "lockstep.scheduling/v1alpha1",
            "kind": "LockstepConfiguration",
            **self._config,
            "service": service,
        }
        file.write_text(json.dumps(document), encoding="utf-8")
        arguments = [f"--config={file}", f"--kubeconfig={self.plane.kubeconfig('lockstep')}"]
        command = [sys.executable, "-m", "deploy.local.tied", "serve", *arguments]
        root = Path(__file__).parents[2]
        unbuffered = {"PYTHONUNBUFFERED": "1"}
        self._service = spawned(command, log=self.log, folder=root, environment=unbuffered)
        self.eventually(self._ready, timeout_s=_READY_S, what="lockstep to be ready")

    def stop_lockstep(self, *, kill: bool = False) -> None:
        """End Lockstep, politely or at once."""
        if self._service is None:
            return
        self._service.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._service.wait(10)
        except subprocess.TimeoutExpired:
            self._service.kill()
            self._service.wait()
        self._service = None

    def start_missing(self) -> None:
        """Start what a test has stopped."""
        if self._service is None or self._service.poll() is not None:
            self.start_lockstep()
        if "kube-scheduler" not in self.plane.pids():
            self.start_scheduler()

    def cordon(self, node: str, *, unschedulable: bool = True) -> None:
        """Cordon a node, or lift that."""
        path, patch = f"/api/v1/nodes/{node}", {"spec": {"unschedulable": unschedulable}}
        self.client.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def planned(self, gang: str) -> dict[str, str]:
        """Node by pod, as Lockstep has planned or seen it."""
        found = self.gang(gang)
        return {m["pod"].split("/")[1]: m["node"] for m in found["members"] if m["node"]} if found else {}

    def gates(self, names: Iterable[str]) -> set[str]:
        """Those of the pods that still wait behind a scheduling gate."""
        wanted = set(names)
        return {
            pod["metadata"]["name"]
            for pod in self.client.get(PODS)["items"]
            if pod["metadata"]["name"] in wanted and pod["spec"].get("schedulingGates")
        }

    def ask(self, path: str, body: Any = None) -> Any:
        """A document of Lockstep's HTTP API; raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data=data), timeout=30) as reply:
            return json.load(reply)

    def gang(self, name: str) -> Object | None:
        """What Lockstep knows of a gang in the default namespace."""
        try:
            found: Object = self.ask(f"/v1/gangs/default/{name}")
            return found
        except HTTPError as error:
            if error.code == 404:
                return None
            raise

    def state(self, name: str) -> str:
        """The state of a gang, empty for one that is not known."""
        found = self.gang(name)
        return str(found["state"]) if found else ""

    def nodes_of(self, names: Iterable[str]) -> dict[str, str]:
        """Node by pod, of those that are bound."""
        wanted = set(names)
        return {
            pod["metadata"]["name"]: pod["spec"]["nodeName"]
            for pod in self.client.get(PODS)["items"]
            if pod["metadata"]["name"] in wanted and pod["spec"].get("nodeName")
        }

    def wait_bound(self, names: Iterable[str], *, timeout_s: float = 60.0) -> dict[str, str]:
        """Wait until all these pods have nodes; raises TimeoutError."""
        wanted = set(names)
        found: dict[str, str] = {}

        def all_bound() -> bool:
            found.update(self.nodes_of(wanted))
            return len(found) == len(wanted)

        self.eventually(all_bound, timeout_s=timeout_s, what=f"{len(wanted)} pods to be bound", pause_s=0.05)
        return found

    def eventually(
        self, condition: Callable[[], bool], *, timeout_s: float = 30.0, what: str = "", pause_s: float = 0.02
    ) -> float:
        """Seconds until the condition held; raises TimeoutError."""
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > timeout_s:
                raise TimeoutError(f"waited {timeout_s:.0f} s for {what or condition.__name__}")
            time.sleep(pause_s)
        return time.monotonic() - start

    def _ready(self) -> bool:
        assert self._service is not None
        if self._service.poll() is not None:
            raise RuntimeError(f"lockstep ended: {self.log.read_text()[-2000:]}")
        try:
            with urlopen(self._probe(), timeout=5, context=_unverified()):
                return True
        except (URLError, OSError):
            return False


def _unverified() -> ssl.SSLContext:
    """kubelet verifies nothing of who answers its probes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
