"""The kube-scheduler configuration that makes Lockstep its extender: one source for every use.

The local control plane runs with it, and `python -m deploy.local.scheduler_config`
prints the file that is shipped as `deploy/manifests/scheduler-config.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

EXAMPLE_FILE = Path(__file__).parents[1] / "manifests" / "scheduler-config.yaml"
GANG_MARKER = "lockstep.scheduling/gang"
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")
SCHEDULER_NAME = "lockstep"
HTTP_TIMEOUT_S = 20

_EXAMPLE_URL = "http://127.0.0.1:8888/extender"
_EXAMPLE_HEADER = """\
# Rendered by `python -m deploy.local.scheduler_config`; a test compares the two.
# The configuration of a kube-scheduler that has Lockstep beside it in the same pod
# and serves the pods that say `schedulerName: lockstep`.
"""


def scheduler_configuration(
    *,
    extender_url: str | None = None,
    http_timeout_s: int = HTTP_TIMEOUT_S,
    scheduler_name: str | None = None,
    kubeconfig: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A KubeSchedulerConfiguration as a document.

    `extender_url` is the address of Lockstep's extender including its path;
    without one this is a stock scheduler. `scheduler_name` is what pods ask for;
    without one the scheduler serves every pod that asks for none. `overrides`
    replaces top-level keys.
    """
    connection: dict[str, Any] = {
        "qps": 5000,
        "burst": 5000,
    }  # the defaults (50, 100) throttle a gang's binds
    if kubeconfig:
        connection["kubeconfig"] = str(kubeconfig)
    document: dict[str, Any] = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": connection,
        "leaderElection": {"leaderElect": False},
        # Otherwise the extender sees about 500 of 5,000 nodes, and rarely the planned one.
        "percentageOfNodesToScore": 100,
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 3,
    }
    if scheduler_name:
        document["profiles"] = [{"schedulerName": scheduler_name}]
    if extender_url:
        document["extenders"] = [extender_entry(extender_url, http_timeout_s=http_timeout_s)]
    return document | dict(overrides or {})


def extender_entry(url: str, *, http_timeout_s: int = HTTP_TIMEOUT_S) -> dict[str, Any]:
    """Lockstep's entry in `extenders`: asked about GPU pods and about gang pods without GPUs."""
    gpus = [{"name": name, "ignoredByScheduler": False} for name in GPU_RESOURCES]
    return {
        "urlPrefix": url,
        "filterVerb": "filter",
        "prioritizeVerb": "prioritize",
        "bindVerb": "bind",
        "preemptVerb": "preempt",
        "weight": 5,
        "nodeCacheCapable": True,
        "ignorable": False,
        "httpTimeout": f"{http_timeout_s}s",
        "managedResources": [*gpus, {"name": GANG_MARKER, "ignoredByScheduler": True}],
    }


def render(document: Mapping[str, Any]) -> str:
    """The document as YAML, in the order it was written."""
    return yaml.safe_dump(dict(document), sort_keys=False)


def example() -> str:
    """Text of the shipped example file."""
    return _EXAMPLE_HEADER + render(
        scheduler_configuration(extender_url=_EXAMPLE_URL, scheduler_name=SCHEDULER_NAME)
    )


if __name__ == "__main__":
    print(example(), end="")
