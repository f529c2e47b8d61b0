"""Priority classes of a live cluster: what is only asked about is as important as admission would make it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from deploy.local.lab import PODS, Lab
from deploy.local.objects import GPU, Object

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def priority_class(name: str, value: int, **more: Any) -> Object:
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    return {**kind, "metadata": {"name": name}, "value": value, **more}


def whole_node(name: str, node: str, *, priority: str = "") -> Object:
    container = {"name": "main", "image": "none", "resources": {"limits": {GPU: "4"}}}
    spec: Object = {
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": {"kubernetes.io/hostname": node},
        "containers": [container],
    }
    spec |= {"priorityClassName": priority} if priority else {}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def victims(answer: dict[str, Any]) -> list[str]:
    fixes = answer["gangs"][0]["reason"]["fixes"]
    return [name for fix in fixes if fix["kind"] == "evict" for name in fix["detail"]["victims"]]


def by_command(lab: Lab, asked: Object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler.cli", "plan", "-f", "-", "--evict", "-o", "json"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env={**os.environ, "KUBECONFIG": str(lab.plane.kubeconfig("admin"))},
        check=False,
    )
    assert done.returncode == 3, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_classes_come_from_the_cluster_and_change_with_it(lab: Lab) -> None:
    node = sorted(n["metadata"]["name"] for n in lab.client.get("/api/v1/nodes")["items"])[0]
    lab.client.create([priority_class("soft", 10), priority_class("hard", 1000)])
    try:
        lab.client.create(whole_node("busy", node, priority="soft"))
        lab.wait_bound(["busy"])

        def asked(name: str) -> list[str]:
            return victims(lab.ask("/v1/plan?evict=true", whole_node("new", node, priority=name)))

        lab.eventually(lambda: asked("hard") == ["default/busy"])
        assert asked("soft") == []
        assert asked("") == []
        assert victims(by_command(lab, whole_node("new", node, priority="hard"))) == ["default/busy"]
        lab.client.delete(f"{CLASSES}/hard")
        polite = priority_class("hard", 1000, preemptionPolicy="Never")
        lab.client.create(polite)
        lab.eventually(lambda: asked("hard") == [])
        told = lab.ask("/v1/plan?evict=true", whole_node("new", node, priority="hard"))
        assert any("preemptionPolicy Never" in note for note in told["gangs"][0]["notes"])
    finally:
        lab.client.delete(f"{PODS}/busy")
        for name in ("soft", "hard"):
            lab.client.delete(f"{CLASSES}/{name}")
