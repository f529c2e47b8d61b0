"""Several sources of the fabric at once, as the configuration lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.objects import gang_pods, node_object
from scheduler.config import load_config, parse_config
from scheduler.fabrics import OBJECTS, resources_of
from scheduler.model import InvalidInput
from tests.test_cli import lockstep
from topology.combined import SourceEntry
from topology.synthetic import LEAF, SPINE, nvl72

HEAD = "apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\n"
NODES = [f"nvl-{rack}-{tray:02}" for rack in (1, 2) for tray in range(1, 19)]


def hypernode(name: str, tier: int, *members: str, kind: str = "Node") -> dict[str, Any]:
    return {
        "apiVersion": "topology.volcano.sh/v1alpha1",
        "kind": "HyperNode",
        "metadata": {"name": name},
        "spec": {
            "tier": tier,
            "members": [{"type": kind, "selector": {"exactMatch": {"name": one}}} for one in members],
        },
    }


def write(folder: Path, sources: str, *objects: dict[str, Any], conf: str = "") -> tuple[str, str]:
    """The configuration and the snapshot: two NVL72 racks with labels, and some objects."""
    (folder / "topology.conf").write_text(conf)
    config, snapshot = folder / "config.yaml", folder / "nodes.json"
    config.write_text(f"{HEAD}topology:\n{sources}")
    items = [*(node_object(node) for node in nvl72(2)), *objects]
    snapshot.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
    return str(config), str(snapshot)


def show(config: str, snapshot: str) -> dict[str, Any]:
    done = lockstep("topology", "show", "--config", config, "--snapshot", snapshot, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


CONF = """\
SwitchName=top Switches=a,b
SwitchName=a Nodes=nvl-1-[01-18],nvl-2-01
SwitchName=b Nodes=nvl-2-[02-18],ghost
"""


def test_a_file_before_the_labels(tmp_path: Path) -> None:
    config, snapshot = write(
        tmp_path, "  sources: [{file: topology.conf, format: slurm}, labels]\n", conf=CONF
    )
    document = show(config, snapshot)
    nodes = {one["name"]: one["domains"] for one in document["nodes"]}
    assert nodes["nvl-2-01"] == {
        "spine": "top", "leaf": "top/a", "rack": "top/a/nvl-rack-2", "nvlink": nodes["nvl-2-02"]["nvlink"],
    }  # fmt: skip
    assert (
        document["evidence"][0] == f"source 1, file {tmp_path}/topology.conf: spine, leaf on 36 of 36 nodes"
    )
    assert document["evidence"][1] == "source 2, labels: spine, leaf, rack, nvlink on 36 of 36 nodes"
    told = {(one["code"], one["count"]) for one in document["warnings"]}
    assert ("SourcesDisagree", 36) in told
    done = lockstep("topology", "lint", "--config", config, "--snapshot", snapshot, "-o", "json")
    assert done.returncode == 2
    found = {one["code"]: one for one in json.loads(done.stdout)["findings"]}
    assert set(found["SourcesDisagree"]["names"]) == set(NODES)
    assert found["NotInCluster"]["names"] == ["ghost"]


def test_the_labels_before_a_file(tmp_path: Path) -> None:
    config, snapshot = write(tmp_path, "  sources:\n  - labels\n  - {file: topology.conf}\n", conf=CONF)
    nodes = {one["name"]: one["domains"] for one in show(config, snapshot)["nodes"]}
    assert nodes["nvl-2-01"]["leaf"] == "spine-1/leaf-2"


def test_hypernodes_place_a_gang(tmp_path: Path) -> None:
    """Two HyperNodes across the racks: `plan` keeps a gang in one of them."""
    tree = (
        hypernode("odd", 1, *NODES[::2]),
        hypernode("even", 1, *NODES[1::2]),
        hypernode("all", 2, "odd", "even", kind="HyperNode"),
    )
    config, snapshot = write(tmp_path, "  sources: [{objects: hypernode}]\n", *tree)
    pods = tmp_path / "pods.json"
    gang = gang_pods("g", 18, gpus=4, annotations={"required": "gang=leaf"})
    pods.write_text(json.dumps({"kind": "List", "items": gang}))
    done = lockstep("plan", "-f", str(pods), "--config", config, "--snapshot", snapshot, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    (planned,) = json.loads(done.stdout)["gangs"]
    assert {one["domains"]["leaf"] for one in planned["pods"]} in ({"all/odd"}, {"all/even"})
    assert resources_of(load_config(config).sources) == ("topology.volcano.sh/v1alpha1/hypernodes",)


def test_kueue_levels_over_the_labels_of_the_nodes(tmp_path: Path) -> None:
    levels = [{"nodeLabel": key} for key in (SPINE, LEAF, "kubernetes.io/hostname")]
    topology = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Topology", "metadata": {"name": "t"},
                "spec": {"levels": levels}}  # fmt: skip
    config, snapshot = write(tmp_path, "  sources: [{objects: kueue}, labels]\n", topology)
    document = show(config, snapshot)
    assert [one["name"] for one in document["levels"]] == ["spine", "leaf", "rack", "nvlink"]
    assert document["warnings"] == []


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        ((), "NoObjects", "the cluster has no objects of kind hypernode"),
        (({**hypernode("h", 1, "nvl-1-01"), "apiVersion": "topology.volcano.sh/v2"},), "SourceUnreadable",
         "a later version than we read"),
    ],
)  # fmt: skip
def test_objects_that_cannot_be_used_are_told_and_the_labels_are_read(
    tmp_path: Path, objects: tuple[dict[str, Any], ...], code: str, words: str
) -> None:
    config, snapshot = write(tmp_path, "  sources: [{objects: hypernode}, labels]\n", *objects)
    document = show(config, snapshot)
    assert [(one["code"], words in one["message"]) for one in document["warnings"]] == [(code, True)]
    assert {one["domains"]["leaf"] for one in document["nodes"]} == {"spine-1/leaf-1", "spine-1/leaf-2"}


def test_a_file_that_cannot_be_used_is_told_by_its_line(tmp_path: Path) -> None:
    config, snapshot = write(tmp_path, "  sources: [{file: topology.conf}]\n", conf="SwitchName=a Nodes=n[1-")
    done = lockstep("topology", "show", "--config", config, "--snapshot", snapshot)
    assert (done.returncode, done.stdout) == (2, "")
    assert "topology.conf:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_sources_of_a_configuration() -> None:
    text = f"{HEAD}topology: {{sources: [{{file: x/y.conf}}, {{objects: kai}}, labels], family: aws}}\n"
    config = parse_config(text, name="folder/c.yaml")
    assert config.sources == (
        SourceEntry("file", "folder/x/y.conf"),
        SourceEntry("objects", "kai"),
        SourceEntry("labels"),
    )
    assert config.family == "aws"


@pytest.mark.parametrize(
    ("topology", "told"),
    [
        ("sources: []", "topology.sources is ''; expected: a list, the first goes first"),
        ("sources: labels", "a list, the first goes first"),
        ("sources: [label]", "topology.sources[0] is 'label'; expected: labels, {objects: kueue}"),
        ("sources: [labels, labels]", "topology.sources[1] is 'labels'; expected: each source once"),
        ("sources: [{objects: visio}]", f"one of {', '.join(OBJECTS)}"),
        ("sources: [{objects: kai, file: x}]", "one of labels, {objects: kueue}"),
        ("sources: [{objects: kai, format: slurm}]", "one of labels, {objects: kueue}"),
        ("sources: [{file: x, format: visio}]", "sources[0].format is 'visio'"),
        ("sources: [{flie: x}]", "did you mean 'file'?"),
        ("family: visio", "topology.family is 'visio'; expected: one of topograph"),
        (
            "{family: aws, levels: [{name: rack, label: x/rack}]}",
            "topology.levels or topology.family, not both",
        ),
    ],
)
def test_wrong_sources_are_told_by_line_and_field(topology: str, told: str) -> None:
    block = topology if topology.startswith("{") else f"\n  {topology}"
    with pytest.raises(InvalidInput) as error:
        parse_config(f"{HEAD}topology: {block}\n", name="c.yaml")
    assert told in str(error.value)
    assert "c.yaml:" in str(error.value)
    assert yaml.safe_load(f"{HEAD}topology: {block}\n")
