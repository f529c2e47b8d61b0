"""The configuration of kube-scheduler that is shipped, adapted to a control plane on loopback.

What the end-to-end tests run with is `deploy/manifests/scheduler-config.yaml`, as the chart renders it;
only addresses, identities and the time-out that a test asks for are changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).parents[1] / "manifests" / "scheduler-config.yaml"
HTTP_TIMEOUT_S = 20


def scheduler_configuration(
    *,
    extender_url: str | None = None,
    http_timeout_s: int = HTTP_TIMEOUT_S,
    kubeconfig: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    extender: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A KubeSchedulerConfiguration as a document, which serves the pods that ask for no scheduler too.

    `extender_url` is the address of Lockstep's extender including its path; without one this is a
    stock scheduler. `overrides` replaces top-level keys, `extender` keys of Lockstep's entry.
    """
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    (entry,) = document.pop("extenders")
    document["profiles"].insert(0, {"schedulerName": "default-scheduler"})
    if kubeconfig:
        document["clientConnection"]["kubeconfig"] = str(kubeconfig)
    if extender_url:
        changed = {"urlPrefix": extender_url, "httpTimeout": f"{http_timeout_s}s", **(extender or {})}
        document["extenders"] = [{**entry, **changed}]
    return document | dict(overrides or {})


def render(document: Mapping[str, Any]) -> str:
    """The document as YAML, in the order it was written."""
    return yaml.safe_dump(dict(document), sort_keys=False)
