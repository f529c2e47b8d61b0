"""`lockstep topology` against a real API server: labels written, and the live cluster read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.api import ApiError
from deploy.local.controlplane import ControlPlane
from tests.e2e.test_controlplane import eventually

TIER = "fabric.topograph.run/tier-"
NODES = "/api/v1/nodes"
CONF = """\
SwitchName=spine1 Switches=leaf[1-2]
SwitchName=leaf1 Nodes=topo-[1-2]
SwitchName=leaf2 Nodes=topo-[3-4],elsewhere
"""


@pytest.fixture
def nodes(controlplane: ControlPlane) -> Iterator[dict[str, dict[str, str]]]:
    """Four nodes: one with a label of its own, one with labels of an earlier import."""
    labels: dict[str, dict[str, str]] = {f"topo-{at}": {} for at in range(1, 5)}
    labels["topo-1"]["example.com/own"] = "kept"
    labels["topo-2"] |= {f"{TIER}0": "old-leaf", f"{TIER}1": "spine1"}
    client = controlplane.client()
    for name, own in labels.items():
        client.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": own},
                "status": {
                    "allocatable": {"cpu": "8", "memory": "8Gi", "pods": "110", "nvidia.com/gpu": "8"}
                },
            }
        )
    yield labels
    for name in labels:
        client.delete(f"{NODES}/{name}")


def topology(plane: ControlPlane, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler.cli", "topology", *words]
    env = {**os.environ, "KUBECONFIG": str(plane.kubeconfig())}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def labels_now(plane: ControlPlane) -> dict[str, dict[str, str]]:
    found: dict[str, Any] = plane.client().get(NODES)
    items = [one["metadata"] for one in found["items"] if one["metadata"]["name"].startswith("topo-")]
    return {
        one["name"]: {
            key: value for key, value in one.get("labels", {}).items() if "kubernetes.io" not in key
        }
        for one in items
    }


def test_import_apply_shows_first_and_writes_when_told(
    controlplane: ControlPlane, nodes: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "topology.conf"
    file.write_text(CONF)
    shown = topology(controlplane, "import", str(file), "--to", "labels", "--apply")
    assert shown.returncode == 0, shown.stderr
    assert f"node topo-2\n  ~ {TIER}0=old-leaf -> leaf1\n" in shown.stdout
    assert f"node topo-3\n  + {TIER}1=spine1\n  + {TIER}0=leaf2\n" in shown.stdout
    assert "4 of 4 nodes to change: 6 labels to add, 1 to replace, 0 to remove" in shown.stdout
    assert shown.stdout.endswith("nothing is written; --yes writes this\n")
    assert "elsewhere" in shown.stderr
    assert "[NotInCluster]" in shown.stderr
    assert labels_now(controlplane) == nodes

    written = topology(controlplane, "import", str(file), "--to", "labels", "--apply", "--yes")
    assert (written.returncode, written.stdout.splitlines()[-1]) == (0, "4 nodes written"), written.stderr
    now = labels_now(controlplane)
    assert now["topo-1"] == {"example.com/own": "kept", f"{TIER}0": "leaf1", f"{TIER}1": "spine1"}
    assert {name: one[f"{TIER}0"] for name, one in now.items()} == {
        "topo-1": "leaf1", "topo-2": "leaf1", "topo-3": "leaf2", "topo-4": "leaf2",
    }  # fmt: skip
    again = topology(controlplane, "import", str(file), "--to", "labels", "--apply", "--yes")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "0 nodes written")

    read = topology(controlplane, "lint", "-o", "json")
    document = json.loads(read.stdout)
    assert read.returncode == 0
    assert f"leaf: label {TIER}0 (topograph) on 4 of 4 nodes, 2 values" in document["evidence"]
    assert {one["name"]: one["domains"] for one in document["levels"]} == {"spine": 1, "leaf": 2}
    drawn = topology(controlplane, "draw")
    assert "4 nodes · 32 GPUs · 0 used" in drawn.stdout
    assert "leaf spine1/leaf2  2 nodes" in topology(controlplane, "show").stdout


def test_import_apply_refuses_contradictions_and_names_nodes_it_may_not_write(
    controlplane: ControlPlane, nodes: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "topology.conf"
    file.write_text(CONF + "SwitchName=leaf3 Nodes=topo-4\n")
    refused = topology(controlplane, "import", str(file), "--to", "labels", "--apply", "--yes")
    assert refused.returncode == 2
    assert "[NodeTwice]" in refused.stderr
    assert "the source contradicts itself, so nothing is written" in refused.stderr
    assert labels_now(controlplane) == nodes
    forced = topology(controlplane, "import", str(file), "--to", "labels", "--apply", "--yes", "--force")
    assert (forced.returncode, forced.stdout.splitlines()[-1]) == (2, "4 nodes written")
    file.write_text("SwitchName=other Nodes=topo-[1-4]\n")
    viewer = str(controlplane.kubeconfig("viewer"))
    denied = topology(
        controlplane, "import", str(file), "--to", "labels", "--apply", "--yes", "--kubeconfig", viewer
    )
    assert denied.returncode == 1
    assert "node topo-1: 403 " in denied.stderr
    assert denied.stdout.splitlines()[-1] == "0 nodes written"


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "hypernodes.topology.volcano.sh"},
    "spec": {
        "group": "topology.volcano.sh",
        "scope": "Cluster",
        "names": {"kind": "HyperNode", "plural": "hypernodes", "singular": "hypernode"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
HYPERNODES = "/apis/topology.volcano.sh/v1alpha1/hypernodes"


def hypernode(name: str, *nodes: str) -> dict[str, Any]:
    members = [{"type": "Node", "selector": {"exactMatch": {"name": node}}} for node in nodes]
    return {
        "apiVersion": "topology.volcano.sh/v1alpha1",
        "kind": "HyperNode",
        "metadata": {"name": name},
        "spec": {"tier": 1, "members": members},
    }


def test_hypernodes_of_the_cluster_are_a_source(
    controlplane: ControlPlane, nodes: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\n"
        "topology: {sources: [{objects: hypernode}, labels]}\n"
    )
    client = controlplane.client()
    before = topology(controlplane, "lint", "--config", str(config))
    assert "the cluster has no objects of kind hypernode [NoObjects]" in before.stdout
    client.apply(CRD)
    assert eventually(lambda: hypernodes_served(controlplane))
    client.apply([hypernode("h1", "topo-1", "topo-3"), hypernode("h2", "topo-2", "topo-4", "ghost")])
    shown = topology(controlplane, "show", "--config", str(config), "-o", "json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert {one["name"]: one["domains"]["leaf"].split("/")[-1] for one in document["nodes"]} == {
        "topo-1": "h1", "topo-2": "h2", "topo-3": "h1", "topo-4": "h2",
    }  # fmt: skip
    (told,) = [one["message"] for one in document["warnings"] if one["code"] == "SourcesDisagree"]
    assert "topo-2 in h2 by objects hypernode, in old-leaf by labels; the earlier source counts" in told
    client.delete(f"{HYPERNODES}/h1")
    client.delete(f"{HYPERNODES}/h2")


def hypernodes_served(plane: ControlPlane) -> bool:
    try:
        return plane.client().get(HYPERNODES)["items"] == []
    except ApiError:
        return False


def test_a_snapshot_shows_what_the_cluster_shows(
    controlplane: ControlPlane, nodes: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """Read by the commands that a user would use it with."""
    env = {**os.environ, "KUBECONFIG": str(controlplane.kubeconfig())}
    taken = subprocess.run(
        [sys.executable, "-m", "scheduler.cli", "snapshot", "--keep-names"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert taken.returncode == 0, taken.stderr
    file = tmp_path / "cluster.json"
    file.write_text(taken.stdout)
    shown = [
        topology(controlplane, "show", "-o", "json", *more).stdout for more in ((), ("--snapshot", str(file)))
    ]
    live, kept = map(json.loads, shown)
    assert live == kept and "topo-1" in shown[1]
