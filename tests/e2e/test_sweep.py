"""The sweep's Indexed Job as Kubernetes expands it: every pod's command is run, and the shards are merged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from deploy.local.controlplane import ControlPlane

MANIFEST = Path(__file__).parents[2] / "deploy" / "sweep" / "job.yaml"
PODS = "/api/v1/namespaces/default/pods"
INDEX = "JOB_COMPLETION_INDEX"
SHORTER = {"--seeds": 1, "--queues": 1, "--loads": 1}
"""Of these words so many values are kept, for time."""


def test_shards_of_the_indexed_job_make_one_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ControlPlane(controller_manager=True) as plane:
        plane.apply(MANIFEST)
        pods = expanded(plane, count=4)
    files(tmp_path)
    indexes = {run(pod, tmp_path) for pod in pods}
    assert indexes == {0, 1, 2, 3}
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "out"), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["missing"] == []
    assert {group["policy"] for group in found["groups"]} == {"lockstep", "greedy-groups", "best-fit"}


def expanded(plane: ControlPlane, *, count: int) -> list[dict[str, Any]]:
    """The pods that the Job's controller has made."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        items: list[dict[str, Any]] = plane.client().get(PODS)["items"]
        if len(items) == count:
            return items
        time.sleep(0.2)
    raise AssertionError(f"{len(items)} pods, not {count}")


def files(folder: Path) -> None:
    """What the volume holds before."""
    assert main(["generate", "cluster", "hgx:1x2x4", "--out", str(folder / "cluster.json")]) == 0
    sizes = ["--jobs", "20", "--sizes", "1:0.5,8:0.3,16:0.2"]
    assert main(["generate", "workload", *sizes, "--out", str(folder / "jobs.csv")]) == 0


def run(pod: dict[str, Any], folder: Path) -> int:
    """Run a pod's command here, its volume being a folder; its index."""
    index = int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])
    container = pod["spec"]["containers"][0]
    assert any(one["name"] == INDEX for one in container["env"]), "the controller gives the index"
    words = [word.replace(f"$({INDEX})", str(index)) for word in container["args"]]
    words = [word.replace("/sweep/", f"{folder}/") for word in shortened(words)]
    assert container["command"][0] == "python"
    command = [sys.executable, *container["command"][1:], *words]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    return index


def shortened(words: list[str]) -> list[str]:
    kept: list[str] = []
    left = None
    for word in words:
        if word.startswith("--"):
            left = SHORTER.get(word)
        elif left is not None:
            if left == 0:
                continue
            left -= 1
        kept.append(word)
    return kept
