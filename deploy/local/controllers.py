"""Controllers beside the control plane: LeaderWorkerSet and JobSet with their webhooks, and KWOK's nodes.

All are the released upstream packages, linked into programs of our own (`build.py`). LeaderWorkerSet
and JobSet make the pods that they make in any cluster; KWOK plays the kubelets: bound pods become
Running and Ready, deleted ones go, and nodes renew their leases.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.api import Object, load_documents
from deploy.local.build import CONTROLLERS, KWOK, binary_of, manifests_of
from deploy.local.component import Component, answers, free_ports, with_free_ports
from deploy.local.controlplane import ControlPlane
from deploy.local.manager import LEASE_S

KUBELET_LABEL = "lab.lockstep.scheduling/kubelet"
"""Nodes with this label are alive by KWOK; take it away, and the node's kubelet is dead."""

_READY_S = 90.0
_CRD = "CustomResourceDefinition"


@dataclass(frozen=True, slots=True)
class _Family:
    """A workload controller: its program, its module, and the label that all its pods have."""

    program: str
    module: str
    pod_label: str


_FAMILIES = {
    "lws": _Family("leaderworkerset", "sigs.k8s.io/lws", "leaderworkerset.sigs.k8s.io/name"),
    "jobset": _Family("jobset", "sigs.k8s.io/jobset", "jobset.sigs.k8s.io/jobset-name"),
}
NAMES = (*_FAMILIES, "kwok")


class Controllers:
    """Controllers of a running control plane, by name out of NAMES, from `start` to `stop`."""

    def __init__(self, plane: ControlPlane, names: Sequence[str]) -> None:
        unknown = sorted(set(names) - set(NAMES))
        if unknown:
            raise ValueError(f"unknown controllers {', '.join(unknown)}; there are {', '.join(NAMES)}")
        self._plane = plane
        self._names = tuple(name for name in NAMES if name in names)
        self._running: dict[str, Component] = {}

    def start(self) -> None:
        """Run them until their webhooks answer; raises BuildError or StartError.

        The controller-manager comes between their CRDs and them: its garbage collector looks for
        new kinds only twice a minute, and until then deletes nothing that they own.
        """
        if not self._names:
            return
        families = [_FAMILIES[name] for name in self._names if name in _FAMILIES]
        crds = [one for family in families for one in _documents(family) if one["kind"] == _CRD]
        self._plane.apply(crds)
        self._plane.client().await_groups({one["spec"]["group"] for one in crds})
        self._plane.start_controller_manager(node_lifecycle="kwok" in self._names)
        for family in families:
            self._start_family(family)
        if "kwok" in self._names:
            with_free_ports(self._start_kwok)

    def stop(self) -> None:
        """End them, KWOK last: it finishes the deletions that the others ask for."""
        for name in tuple(self._running):
            self._running.pop(name).stop()

    def pids(self) -> dict[str, int]:
        """Process id of every running controller, by program."""
        return {name: component.pid for name, component in self._running.items()}

    def _start_family(self, family: _Family) -> None:
        with_free_ports(lambda: self._run_family(family))
        url = f"https://127.0.0.1:{self._webhook_port}"
        authority = (self._certificates(family) / "tls.crt").read_bytes()
        self._plane.apply(webhooks(_documents(family), family=family, url=url, authority=authority))

    def _run_family(self, family: _Family) -> None:
        self._webhook_port, health_port = free_ports(2)
        arguments = [
            f"--kubeconfig={self._plane.kubeconfig('controller-manager')}",
            f"--cert-dir={self._certificates(family)}",
            f"--webhook-port={self._webhook_port}",
            f"--health-port={health_port}",
        ]
        command = [str(binary_of(CONTROLLERS)), family.program, *arguments]
        self._run(family.program, command, health=f"http://127.0.0.1:{health_port}/readyz")

    def _start_kwok(self) -> None:
        (port,) = free_ports(1)
        command = [
            str(binary_of(KWOK)),
            f"--kubeconfig={self._plane.kubeconfig('controller-manager')}",
            *(f"--config={file}" for file in manifests_of(KWOK, "sigs.k8s.io/kwok")),
            "--manage-all-nodes=false",
            f"--manage-nodes-with-label-selector={KUBELET_LABEL}",
            f"--node-lease-duration-seconds={LEASE_S}",
            "--node-ip=127.0.0.1",
            f"--server-address=127.0.0.1:{port}",
        ]
        self._run("kwok", command, health=f"http://127.0.0.1:{port}/healthz")

    def _run(self, name: str, command: Sequence[str], *, health: str) -> None:
        component = Component(name, command, log=self._plane.logs / f"{name}.log")
        self._running[name] = component
        component.wait_ready(lambda: answers(health), timeout_s=_READY_S)

    def _certificates(self, family: _Family) -> Path:
        return self._plane.folder / "certs" / family.program


def _documents(family: _Family) -> list[Object]:
    """The CRDs and webhook configurations of a family, as upstream ships them."""
    return [one for file in manifests_of(CONTROLLERS, family.module) for one in load_documents(file)]


def webhooks(documents: Iterable[Object], *, family: _Family, url: str, authority: bytes) -> list[Object]:
    """A family's webhook configurations, made to reach a program on loopback.

    Upstream's name a Service; all have the same names; and their pod webhooks see every pod of
    the cluster: here those with the family's label, so that one family's end stops no other's pods.
    """
    trusted = base64.b64encode(authority).decode()
    found = []
    for document in (one for one in documents if one["kind"].endswith("WebhookConfiguration")):
        document["metadata"] = {"name": f"{family.program}-{document['kind'].lower()}"}
        for hook in document["webhooks"]:
            path = hook["clientConfig"]["service"]["path"].lstrip("/")
            hook["clientConfig"] = {"url": f"{url}/{path}", "caBundle": trusted}
            if any("pods" in rule["resources"] for rule in hook["rules"]):
                hook["objectSelector"] = {
                    "matchExpressions": [{"key": family.pod_label, "operator": "Exists"}]
                }
        found.append(document)
    return found
