"""The controllers of Kubernetes itself that the local control plane runs, and their settings."""

from __future__ import annotations

from pathlib import Path

_WORKLOADS = (
    "job-controller",
    "statefulset-controller",
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "ttl-after-finished-controller",
    "disruption-controller",
)
_NODES = ("node-lifecycle-controller", "taint-eviction-controller")

LEASE_S = 20
"""How long a node's lease lasts; whoever plays the kubelet renews it four times in that time."""

_GRACE_S = 16  # more than the longest wait for a renewal, on a machine that is busy besides


def manager_arguments(kubeconfig: Path, *, node_lifecycle: bool) -> list[str]:
    """Flags of kube-controller-manager.

    With `node_lifecycle` a node whose lease is not renewed becomes NotReady after 16 s and its
    pods are evicted when their tolerations say so; without kubelets that would be every node.
    """
    controllers = (*_WORKLOADS, *(_NODES if node_lifecycle else ()))
    patience = [f"--node-monitor-grace-period={_GRACE_S}s", "--node-monitor-period=2s"]
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(controllers)}",
        "--leader-elect=false",
        *(patience if node_lifecycle else []),
    ]
