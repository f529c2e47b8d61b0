"""topograph's models and graphs. The models here are our own, in the shape of theirs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.topology.formats.helpers import codes, fuzz_values, holed_fabrics, only, same, whole_fabrics
from topology.formats import topograph
from topology.reading import InvalidSource, Reading, fabric_of

MODEL: dict[str, Any] = {
    "switches": {
        "core": {"labels": {"topology.kubernetes.io/region": "north"}, "switches": ["spine-1", "spine-2"]},
        "spine-1": {"labels": {"topology.kubernetes.io/zone": "z1"}, "switches": ["leaf-1", "leaf-2"]},
        "spine-2": {"labels": {"topology.kubernetes.io/zone": "z2"}, "switches": ["leaf-3"]},
    },
    "blocks": [
        {
            "switch": "leaf-1",
            "nodes": ["a[01-04]"],
            "annotations": {
                "accelerator.topology.test/domain": "nvl-1",
                "accelerator.topology.test/sub-domain": "s1",
            },
        },
        {
            "switch": "leaf-2",
            "nodes": ["b[01-04]", "c1"],
            "annotations": {
                "accelerator.topology.test/domain": "nvl-1",
                "accelerator.topology.test/sub-domain": "s2",
            },
        },
        {"switch": "leaf-3", "nodes": ["d1"], "labels": {"accelerated.topology.nvidia.com/level-0": "nvl-2"}},
        {"switch": "leaf-3", "nodes": ["d2"]},
    ],
}

EARLY: dict[str, Any] = {
    "switches": {
        "S1": {"switches": ["S2", "S3"]},
        "S2": {"nodes": ["I[21-22]", "I25"]},
        "S3": {"nodes": ["I34"]},
    },
    "nodes": {"I21": {"type": "H100", "attributes": {"nvlink": "CB2"}}, "I22": {"attributes": None}},
    "capacity_blocks": {"CB2": {"nodes": ["I[21-22]"]}},
}

GRAPH: dict[str, Any] = {
    "instances": [
        {
            "id": "n1",
            "network_layers": ["l1", "s1", "c"],
            "labels": {"accelerator.topograph.run/domain": "x"},
        },
        {"id": "n2", "network_layers": ["l2", "s1", "c"], "labels": {"nvidia.com/gpu.clique": "u.1"}},
        {"id": "n3", "network_layers": ["l3", "", "c"]},
        {"id": "n4", "network_layers": [], "attributes": {"nvlink": "y"}},
    ]
}


def test_a_model() -> None:
    found = topograph.read(MODEL)
    assert (found.levels, found.partitions) == (
        ("core", "spine", "leaf"),
        ("region", "zone", "nvlink", "nvlink-sub"),
    )
    assert found.nodes["c1"] == {
        "leaf": "leaf-2", "spine": "spine-1", "core": "core", "region": "north", "zone": "z1",
        "nvlink": "nvl-1", "nvlink-sub": "s2",
    }  # fmt: skip
    assert "nvlink" not in found.nodes["d2"]
    assert found.nodes["d1"]["nvlink"] == "nvl-2"
    assert (len(found.nodes), found.findings) == (11, ())
    assert fabric_of(found).path("a03")["leaf"] == "core/spine-1/leaf-1"


def test_an_early_model() -> None:
    found = topograph.read(EARLY)
    assert (found.levels, found.partitions) == (("spine", "leaf"), ("nvlink",))
    assert found.nodes["I21"] == {"leaf": "S2", "spine": "S1", "nvlink": "CB2"}
    assert found.nodes["I34"] == {"leaf": "S3", "spine": "S1"}


def test_a_graph_names_the_nearest_switch_first() -> None:
    found = topograph.read(GRAPH)
    assert (found.levels, found.partitions) == (("core", "spine", "leaf"), ("nvlink",))
    assert found.nodes["n1"] == {"leaf": "l1", "spine": "s1", "core": "c", "nvlink": "x"}
    assert found.nodes["n2"]["nvlink"] == "u.1"
    assert found.nodes["n3"] == {"leaf": "l3", "core": "c"}
    assert found.nodes["n4"] == {"nvlink": "y"}


def block(switch: str, nodes: str, domain: str = "") -> dict[str, Any]:
    marks = {"annotations": {"accelerator.topology.test/domain": domain}} if domain else {}
    return {"switch": switch, "nodes": [nodes], **marks}


@pytest.mark.parametrize(
    ("model", "code", "names"),
    [
        ({"switches": {"a": {"switches": ["b"]}, "b": {"switches": ["a"]}}, "blocks": [block("l", "n1")]},
         "Cycle", ("a", "b")),
        ({"switches": {"a": {"switches": ["l"]}, "b": {"switches": ["l"]}}, "blocks": [block("l", "n1")]},
         "TwoParents", ("a", "b", "l")),
        ({"switches": {}, "blocks": [block("l", "n1"), block("m", "n1")]}, "NodeTwice", ("l", "m", "n1")),
        ({"switches": {}, "blocks": [block("l", "n", "x"), block("l", "n", "y")]}, "NodeTwice", tuple("nxy")),
        ({"switches": {"l": {"labels": {"a": "b"}}}, "blocks": [block("l", "n1")]}, "LabelLeftOut", ("l",)),
        ({"switches": {"s": {"switches": ["l", "m"]}}, "blocks": [block("l", "n1")]}, "EmptySwitch", ("m",)),
        ({"instances": [{"id": "a"}, {"id": "a", "network_layers": ["l"]}]}, "DuplicateNode", ("a",)),
    ],
)  # fmt: skip
def test_contradictions_are_findings(model: Any, code: str, names: tuple[str, ...]) -> None:
    found = topograph.read(model)
    assert names in {one.names for one in found.findings if one.code == code}, codes(found)


@pytest.mark.parametrize(
    "document",
    [
        None, [], "x", {}, {"switches": {}}, {"switches": []}, {"switches": {"a": 1}}, {"switches": {1: {}}},
        {"switches": {}, "blocks": [{"switch": "", "nodes": ["n1"]}]},
        {"switches": {}, "blocks": [block("l", "n[1-")]},
        {"switches": {}, "blocks": [block("l", "n[1-99999999]")]}, {"instances": []}, {"instances": [{}]},
        {"instances": [{"id": "a", "network_layers": ["s"] * 17}]},
        {"instances": [{"id": "a", "network_layers": "leaf"}]},
    ],
)  # fmt: skip
def test_what_cannot_be_used(document: Any) -> None:
    with pytest.raises(InvalidSource, match="expected"):
        topograph.read(document, name="f")


def reread(reading: Reading) -> Reading:
    return topograph.read(topograph.write(reading).document)


@given(whole_fabrics)
@settings(max_examples=40, deadline=None)
def test_round_trip(reading: Reading) -> None:
    part = only(reading, "core", "spine", "leaf", "nvlink", "nvlink-sub")
    assert same(reread(part), part)


def test_the_two_nvlink_levels_come_back() -> None:
    part = only(topograph.read(MODEL), "core", "spine", "leaf", "nvlink", "nvlink-sub")
    assert same(reread(part), part)


@given(holed_fabrics)
@settings(max_examples=20, deadline=None)
def test_nodes_without_a_leaf_are_named(reading: Reading) -> None:
    part = only(reading, "spine", "leaf")
    written = topograph.write(part)
    named = {name for one in written.findings if one.code == "NodesLeftOut" for name in one.names}
    assert set(topograph.read(written.document).nodes) == set(part.nodes) - named
    assert named == {node for node, path in part.nodes.items() if "leaf" not in path}


def test_broken_documents_never_crash() -> None:
    assert min(fuzz_values([MODEL, EARLY, GRAPH], topograph.read, rounds=2000)) > 100
