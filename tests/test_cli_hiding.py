"""A snapshot without names: nothing of a name is left, and everything that is decided stays."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.objects import gang_pods, node_object
from scheduler.cli import offline
from scheduler.cli.hiding import Names
from scheduler.cli.output import Format
from scheduler.cli.planning import Asked, plan
from scheduler.cli.sources import Source
from topology.synthetic import nvl72

Object = dict[str, Any]
SECRET = ("acme", "falcon", "hopper", "tenant", "gold")


def cluster() -> list[Object]:
    """Two racks; a gang that runs, one that waits for room, one that cannot be, a LeaderWorkerSet's."""
    nodes = [node_object(one) for one in nvl72(2)]
    for node in nodes:
        name = node["metadata"]["name"].replace("nvl", "acme-nvl")
        node["metadata"]["name"] = name
        node["metadata"]["labels"] |= {"kubernetes.io/hostname": name, "acme.example/pool": "gold"}
        node["status"]["addresses"] = [{"type": "Hostname", "address": name}]
    running = gang_pods("falcon", 12, gpus=4)
    for at, pod in enumerate(running):
        pod["spec"]["nodeName"] = nodes[2 * at]["metadata"]["name"]
    waiting = gang_pods("hopper", 18, gpus=4, annotations={"required": "gang=nvlink"})
    waiting += gang_pods("hopper-v2", 19, gpus=4, annotations={"required": "gang=nvlink"})
    for pod in waiting:
        pod["spec"]["nodeSelector"] = {"acme.example/pool": "gold"}
        pod["metadata"]["annotations"]["acme.example/owner"] = "falcon"
    served = [worker(group, index) for group in range(2) for index in range(2)]
    pods = [*running, *waiting, *served]
    for at, pod in enumerate(pods):
        pod["metadata"] |= {"namespace": "tenant-a", "uid": f"u{at}"}
    return [*nodes, *pods]


def worker(group: int, index: int) -> Object:
    """A pod as the controller of LeaderWorkerSets makes it."""
    (pod,) = gang_pods(f"acme-llm-{group}" + (f"-{index}" if index else ""), 1, gpus=4)
    own = "leaderworkerset.sigs.k8s.io/"
    pod["metadata"]["labels"] = {
        own + "name": "acme-llm",
        own + "group-index": str(group),
        own + "worker-index": str(index),
        own + "template-revision-hash": "f00d",
    }
    pod["metadata"]["annotations"] = {own + "size": "2"}
    return pod


def hidden(objects: list[Object]) -> list[Object]:
    return Names(b"a key").hidden(objects)


def written(folder: Path, objects: list[Object]) -> str:
    file = folder / "cluster.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return str(file)


def test_nothing_is_left_of_a_name() -> None:
    text = json.dumps(hidden(cluster()))
    text = text.replace("acme.example/pool", "")  # a label key is none
    assert [word for word in SECRET if word in text] == []


def test_the_same_gangs_are_found_and_decided_alike(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = offline.rows([written(tmp_path / "plain", cluster())], None)
    found = offline.rows([written(tmp_path, hidden(cluster()))], None)

    def what(row: Object) -> Object:
        numbers = re.findall(r"\d+", row["gang"])
        return {**{k: row[k] for k in ("state", "pods", "gpus")}, "numbers": numbers}

    assert [row["state"] for row in plain].count("blocked") == 2
    key = json.dumps
    assert sorted(map(key, map(what, found))) == sorted(map(key, map(what, plain)))
    assert len({row["gang"] for row in found}) == len(plain) == 5


def test_a_plan_on_it_has_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain").mkdir()
    manifest = tmp_path / "new.yaml"
    answers = []
    for size, code in ((6, 0), (17, 3), (19, 4)):
        pods = gang_pods("new", size, gpus=4, annotations={"required": "gang=nvlink"})
        manifest.write_text(yaml.safe_dump_all(pods))
        for file in (written(tmp_path / "plain", cluster()), written(tmp_path, hidden(cluster()))):
            asked = Asked(jointly=False, evict=False, moves=False)
            given = plan([str(manifest)], Source([file]), asked, namespace="default", output=Format.JSON)
            assert given == code
            (gang,) = json.loads(capsys.readouterr().out)["gangs"]
            answers.append((gang["verdict"], gang.get("levels"), gang.get("reason", {}).get("code")))
    assert answers[::2] == answers[1::2]


def test_numbers_and_what_names_have_in_common_stay() -> None:
    objects = [{"kind": "Pod", "metadata": {"name": f"falcon-worker-{at}"}} for at in range(3)]
    objects.append({"kind": "Job", "metadata": {"name": "falcon"}})
    *pods, job = (one["metadata"]["name"] for one in hidden(objects))
    assert pods == [f"{job}-worker-{at}" for at in range(3)]
    assert job.isalpha() and job != "falcon"


def test_another_key_gives_other_words() -> None:
    one = {"kind": "Job", "metadata": {"name": "falcon"}}
    assert Names(b"a").hidden([one]) != Names(b"b").hidden([one])


def test_quantities_products_and_constraints_stay() -> None:
    """Although a namespace is called `m`, and another `rack`."""
    objects: list[Object] = [
        {"kind": "Namespace", "metadata": {"name": "m"}},
        {
            "kind": "Node",
            "metadata": {
                "name": "m-1",
                "labels": {"example.com/rack": "m", "nvidia.com/gpu.product": "NVIDIA-H100"},
            },
            "status": {"allocatable": {"cpu": "100m"}},
        },
        {
            "kind": "Pod",
            "metadata": {
                "name": "m-2",
                "namespace": "rack",
                "annotations": {"lockstep.scheduling/required": "gang=example.com/rack"},
            },
        },
    ]
    _, node, pod = hidden(objects)
    assert node["status"] == {"allocatable": {"cpu": "100m"}}
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-H100"
    assert node["metadata"]["labels"]["example.com/rack"] != "m"
    assert pod["metadata"]["annotations"] == {"lockstep.scheduling/required": "gang=example.com/rack"}
