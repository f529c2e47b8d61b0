"""Files, snapshots and workloads: what is read, and what is told of broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler import manifests
from scheduler.model import InvalidInput

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def lws(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "m"},
        "spec": {"replicas": 2, "leaderWorkerTemplate": {"size": 3, "workerTemplate": template, **spec}},
    }


def expanded(*objects: Any) -> manifests.Expanded:
    return manifests.workloads(manifests.documents(objects, name="f"))


def test_json_yaml_lists_and_folders_are_the_same_to_us(tmp_path: Path) -> None:
    one = write(tmp_path, "a.json", json.dumps({"kind": "List", "items": [POD]}))
    two = write(tmp_path, "b.yaml", "---\n" + json.dumps(POD).replace('"p"', '"q"') + "\n---\n")
    found = manifests.load([one, two])
    assert [document.object["metadata"]["name"] for document in found] == ["p", "q"]
    assert len(manifests.load([str(tmp_path)])) == 2


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("a.yaml", "a: b\n  c: [\n", 2), ("a.json", '{"a": \n 1,}', 2), ("a.yaml", "kind: Pod\n\tx: 1\n", 2)],
)
def test_broken_files_name_their_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    file = write(tmp_path, name, text)
    with pytest.raises(InvalidInput) as caught:
        manifests.load([file])
    assert caught.value.faults[0].object.startswith(f"{file}:{line}")


def test_files_that_are_not_there() -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        manifests.load(["nowhere.yaml"])


def test_a_leader_worker_set_becomes_the_pods_its_controller_makes() -> None:
    found = expanded(lws())
    assert [str(pod.key) for pod in found.pods] == [
        "default/m-0", "default/m-0-1", "default/m-0-2", "default/m-1", "default/m-1-1", "default/m-1-2",
    ]  # fmt: skip
    assert found.faults == ()


@pytest.mark.parametrize(
    ("kind", "spec", "names"),
    [
        ("StatefulSet", {"replicas": 2}, ["w-0", "w-1"]),
        ("Job", {"parallelism": 2, "completionMode": "Indexed"}, ["w-0", "w-1"]),
        ("Deployment", {"replicas": 1}, ["w-0"]),
        ("StatefulSet", {}, ["w-0"]),
        ("Deployment", {"replicas": 0}, []),
    ],
)
def test_kubernetes_own_workloads(kind: str, spec: dict[str, Any], names: list[str]) -> None:
    group = {"StatefulSet": "apps/v1", "Deployment": "apps/v1", "Job": "batch/v1"}[kind]
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "w"},
        "spec": {"template": template, **spec},
    }
    assert [pod.key.name for pod in expanded(made).pods] == names


@pytest.mark.parametrize("size", [-1, 0, 10_000_000, "three", 2.5])
def test_sizes_out_of_reason_name_field_and_value(size: Any) -> None:
    (fault,) = expanded(lws(size=size)).faults
    assert fault.field == "spec.leaderWorkerTemplate.size"
    assert fault.value == str(size)


def test_unknown_kinds_name_those_that_are_known() -> None:
    (fault,) = expanded({"kind": "RayJob", "metadata": {"name": "x"}}).faults
    assert (fault.field, fault.value) == ("kind", "RayJob")
    assert "LeaderWorkerSet" in fault.wanted


def test_one_bad_object_of_a_snapshot_costs_only_itself() -> None:
    node = {"kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "8"}}}
    empty = {"kind": "Node", "metadata": {"name": "broken"}, "status": {}}
    odd = {"kind": "Node", "metadata": {"name": "odd"}, "status": {"allocatable": {"cpu": "lots"}}}
    found = manifests.snapshot(
        manifests.documents([node, empty, odd, {"kind": "Secret", "metadata": {}}], name="s")
    )
    assert [one.name for one in found.nodes] == ["n"]
    assert [(fault.object, fault.field) for fault in found.faults] == [
        ("node broken", "status.allocatable"),
        ("node odd", "status.allocatable[cpu]"),
    ]
    assert found.ignored == {"Secret": 1}


def test_two_objects_of_one_name() -> None:
    (fault,) = expanded(POD, POD).faults
    assert fault.field == "metadata.name"
