"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-scheduler, nothing faked.

    with ControlPlane() as plane:
        plane.apply(Path("nodes.yaml"))
        plane.start_scheduler(extender_url="http://127.0.0.1:8888/extender")

There are no kubelets: nodes are objects somebody creates, pods get bound and
stay Pending, which is all that a scheduler sees of the world.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local import access
from deploy.local.api import ApiClient, ApiError, Documents, Object
from deploy.local.build import CONTROLPLANE, binary_of
from deploy.local.component import Component, answers, free_ports, with_free_ports
from deploy.local.manager import manager_arguments
from deploy.local.runfolder import RunFolder
from deploy.local.scheduler_config import HTTP_TIMEOUT_S, render, scheduler_configuration

MANIFESTS = Path(__file__).parents[1] / "manifests"

_READY_TIMEOUT_S = 90.0  # four seconds on an idle machine; shared runners can be far slower
_WORKLOAD_GATES = "GenericWorkload=true,TopologyAwareWorkloadScheduling=true,CompositePodGroup=true"
_WORKLOAD_APIS = "scheduling.k8s.io/v1beta1=true,scheduling.k8s.io/v1alpha3=true"
# LeaderWorkerSet 0.8 admits `maxUnavailable: 0`, the usual setting beside a surge, and copies it
# into its StatefulSet, where Kubernetes 1.37 refuses it unless this is off.
_API_GATES = "MaxUnavailableStatefulSet=false"


class ControlPlane:
    """etcd and kube-apiserver for as long as the `with` block lasts; a scheduler and controllers on request.

    `folder` holds data, keys, kubeconfigs and `logs/`; by default it is a new
    one in the user's cache, removed at the end unless `keep` is set or the
    block ended in an exception. Nothing keeps running when the caller dies,
    not even by SIGKILL. Methods raise StartError, with the end of the log,
    when a component does not come up.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        workload_api: bool = True,
        controller_manager: bool = False,
        keep: bool = False,
    ) -> None:
        self.keep = keep
        self._workload_api = workload_api
        self._controller_manager = controller_manager
        self._run = RunFolder(folder)
        self._running: dict[str, Component] = {}
        self._clients: dict[str, ApiClient] = {}

    def __enter__(self) -> Self:
        self._binary = binary_of(CONTROLPLANE)
        self.folder = self._run.open()
        self._tokens = access.write_tokens(self._token_file)
        access.write_signing_key(self._signing_key)
        try:
            with_free_ports(self._start_api)
            self._prepare_api()
            if self._controller_manager:
                self.start_controller_manager()
        except BaseException:
            self._end(failed=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(failed=error is not None)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._api_port}"

    @property
    def ca_file(self) -> Path:
        """Certificate that the API server is to be trusted by."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def token(self, identity: str = "admin") -> str:
        """Bearer token of `admin`, `lockstep` (exactly the rights of rbac.yaml) or `viewer`."""
        return self._tokens[identity]

    def kubeconfig(self, identity: str = "admin") -> Path:
        """A kubeconfig file that any kubectl or client library can use."""
        file = self.folder / f"{identity}.kubeconfig"
        access.write_kubeconfig(
            file, url=self.url, ca_file=self.ca_file, identity=identity, token=self.token(identity)
        )
        return file

    def client(self, identity: str = "admin") -> ApiClient:
        """A blocking HTTP client under that identity; closed with the control plane."""
        if identity not in self._clients:
            self._clients[identity] = self._new_client(identity)
        return self._clients[identity]

    def apply(self, documents: Documents) -> list[Object]:
        """Server-side apply as admin: a manifest file, a folder, YAML text, one object or several."""
        return self.client().apply(documents)

    def install_gate(self) -> None:
        """Apply gate.yaml and wait until the API server acts on it, about a second."""
        self.apply(MANIFESTS / "gate.yaml")
        self._running["kube-apiserver"].wait_ready(self._gate_works, timeout_s=_READY_TIMEOUT_S)

    def start_scheduler(
        self,
        *,
        extender_url: str | None = None,
        config: Mapping[str, Any] | None = None,
        http_timeout_s: int = HTTP_TIMEOUT_S,
        extender: Mapping[str, Any] | None = None,
    ) -> None:
        """Run kube-scheduler until it is ready; stock, or with Lockstep's extender at `extender_url`.

        `config` replaces top-level keys of the configuration, `extender` those of the entry. A running
        scheduler is stopped first.
        """
        self.stop_scheduler()
        file = self.folder / "scheduler.yaml"
        document = scheduler_configuration(
            extender_url=extender_url,
            http_timeout_s=http_timeout_s,
            kubeconfig=self.kubeconfig("scheduler"),
            overrides=config,
            extender=extender,
        )
        file.write_text(render(document), encoding="utf-8")
        arguments = [
            f"--config={file}",
            *([f"--feature-gates={_WORKLOAD_GATES}"] if self._workload_api else []),
        ]
        with_free_ports(lambda: self._start_client("kube-scheduler", arguments))

    def stop_scheduler(self) -> None:
        """Stop the scheduler if it runs."""
        self._stop("kube-scheduler")

    def start_controller_manager(self, *, node_lifecycle: bool = False) -> None:
        """Run Kubernetes' own controllers until they are ready; `manager_arguments` says which."""
        kubeconfig = self.kubeconfig("controller-manager")
        arguments = manager_arguments(kubeconfig, node_lifecycle=node_lifecycle)
        with_free_ports(lambda: self._start_client("kube-controller-manager", arguments))

    def restart_apiserver(self, *, down_s: float = 0.0) -> None:
        """Kill the API server and start it again on the same address and data, after `down_s`."""
        self._running.pop("kube-apiserver").kill()
        time.sleep(down_s)
        self._start_apiserver()

    def restart_etcd(self, *, down_s: float = 0.0) -> None:
        """Kill etcd under the running API server and start it again on its data, after `down_s`."""
        self._running.pop("etcd").kill()
        time.sleep(down_s)
        self._start_etcd()

    def pids(self) -> dict[str, int]:
        """Process id of every running component, by program name."""
        return {name: component.pid for name, component in self._running.items()}

    @property
    def _token_file(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def _signing_key(self) -> Path:
        return self.folder / "service-account.key"

    def _start_api(self) -> None:
        """etcd from an empty folder, then the API server; they come and go together."""
        self._kill_api()
        data = self.folder / "data"
        shutil.rmtree(data)
        data.mkdir()
        client_port, peer_port, self._api_port = free_ports(3)
        self._etcd_url = f"http://127.0.0.1:{client_port}"
        peer_url = f"http://127.0.0.1:{peer_port}"
        self._etcd_flags = [f"--data-dir={data}", f"--client-url={self._etcd_url}", f"--peer-url={peer_url}"]
        self._start_etcd()
        self._start_apiserver()

    def _start_etcd(self) -> None:
        etcd = self._launch("etcd", self._etcd_flags)
        etcd.wait_ready(lambda: answers(f"{self._etcd_url}/health"), timeout_s=_READY_TIMEOUT_S)

    def _start_apiserver(self) -> None:
        server = self._launch("kube-apiserver", self._apiserver_flags())
        server.wait_ready(self._api_ready, timeout_s=_READY_TIMEOUT_S)

    def _apiserver_flags(self) -> list[str]:
        flags = [
            f"--etcd-servers={self._etcd_url}",
            f"--secure-port={self._api_port}",
            "--bind-address=127.0.0.1",
            # Both so that a machine without a default route can run this too.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.ca_file.parent}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self._signing_key}",
            f"--service-account-key-file={self._signing_key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._token_file}",
            # The first asks for objects that only the controller-manager makes; the second taints
            # every new node as not ready, for a node controller to lift that does not run.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        ]
        if self._workload_api:
            gates = f"--feature-gates={_WORKLOAD_GATES},{_API_GATES}"
            return [*flags, gates, f"--runtime-config={_WORKLOAD_APIS}"]
        return [*flags, f"--feature-gates={_API_GATES}"]

    def _api_ready(self) -> bool:
        """Whether the API server is ready and the default namespace, made after that, is there."""
        if not self.ca_file.exists():
            return False
        try:
            with self._new_client("admin") as probe:
                probe.get("/readyz")
                probe.get("/api/v1/namespaces/default")
        except (ApiError, OSError):
            return False
        return True

    def _new_client(self, identity: str) -> ApiClient:
        return ApiClient(self.url, ca_file=self.ca_file, token=self.token(identity))

    def _prepare_api(self) -> None:
        self.apply(MANIFESTS / "rbac.yaml")
        self.apply(access.VIEWER_BINDINGS)

    def _gate_works(self) -> bool:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "gate-probe", "annotations": {"lockstep.scheduling/gang": "gate-probe"}},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        }
        spec = self.client().request("POST", "/api/v1/namespaces/default/pods", pod, dryRun="All")["spec"]
        return "schedulingGates" in spec and "limits" in spec["containers"][0]["resources"]

    def _start_client(self, name: str, arguments: Sequence[str]) -> None:
        """A component that serves only its own health; ready when that says so."""
        (port,) = free_ports(1)
        serving = [f"--secure-port={port}", "--bind-address=127.0.0.1"]
        trust = ["--authentication-skip-lookup=true", "--authorization-always-allow-paths=*"]
        component = self._launch(name, [*arguments, *serving, *trust])
        # The controller-manager has no /readyz.
        path = "readyz" if name == "kube-scheduler" else "healthz"
        component.wait_ready(lambda: answers(f"https://127.0.0.1:{port}/{path}"), timeout_s=_READY_TIMEOUT_S)

    def _launch(self, name: str, arguments: Sequence[str]) -> Component:
        component = Component(name, [str(self._binary), name, *arguments], log=self.logs / f"{name}.log")
        self._running[name] = component
        return component

    def _stop(self, name: str) -> None:
        if component := self._running.pop(name, None):
            component.stop()

    def _kill_api(self) -> None:
        """End API server and etcd at one moment: either without the other hangs for a minute."""
        pair = [self._running.pop(name) for name in ("kube-apiserver", "etcd") if name in self._running]
        for component in pair:
            component.send_kill()
        for component in pair:
            component.kill()

    def _end(self, *, failed: bool) -> None:
        for client in self._clients.values():
            client.close()
        self._stop("kube-scheduler")
        self._stop("kube-controller-manager")
        self._kill_api()
        kept = self.keep or failed
        self._run.close(keep=kept)
        if kept:
            print(f"control plane: logs kept in {self.logs}", file=sys.stderr)
