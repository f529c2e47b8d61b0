"""Lint: clean fabrics are clean, and each thing that can be wrong is found with all that are involved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from topology.formats.labels import of_labels
from topology.lint import NodeFacts, Report, lint
from topology.products import product_of
from topology.reading import Reading
from topology.synthetic import (
    CLIQUE,
    GPU_COUNT,
    LEAF,
    PRODUCT,
    RACK,
    SPINE,
    SyntheticNode,
    hgx,
    mixed,
    nvl72,
)

ZONE = "topology.kubernetes.io/zone"


KEYS = {
    "leaf": LEAF,
    "spine": SPINE,
    "rack": RACK,
    "clique": CLIQUE,
    "product": PRODUCT,
    "count": GPU_COUNT,
    "zone": ZONE,
    "replicas": "nvidia.com/gpu.replicas",
}


def report(nodes: list[SyntheticNode]) -> Report:
    labels = {node.name: node.labels for node in nodes}
    return lint(of_labels(labels), {node.name: NodeFacts(node.labels, node.gpus) for node in nodes})


def relabel(nodes: list[SyntheticNode], which: Callable[[str], bool], **labels: str) -> list[SyntheticNode]:
    changed = {KEYS[key]: value for key, value in labels.items()}
    return [
        replace(node, labels={k: v for k, v in {**node.labels, **changed}.items() if v})
        if which(node.name)
        else node
        for node in nodes
    ]


@pytest.mark.parametrize("nodes", [nvl72(4, racks_per_spine=2), hgx(2, 3, 8), mixed()])
def test_a_sound_fabric_is_clean(nodes: tuple[SyntheticNode, ...]) -> None:
    found = report(list(nodes))
    assert found.findings == ()
    assert found.nodes == len(nodes)
    assert all(one.nodes == len(nodes) for one in found.coverage if one.level != "nvlink")


def test_coverage() -> None:
    rows = {one.level: one for one in report(list(mixed())).coverage}
    assert (rows["leaf"].domains, rows["leaf"].smallest, rows["leaf"].largest) == (6, 4, 18)
    assert (rows["nvlink"].nodes, rows["nvlink"].domains, rows["nvlink"].nested) == (36, 2, False)


NVL = list(nvl72(4, racks_per_spine=2))
HGX = list(hgx(2, 3, 8))


def offering(gpus: int) -> list[SyntheticNode]:
    """HGX with one node that offers so many GPUs."""
    return [replace(node, gpus=gpus) if node.name == "hgx-1-1-01" else node for node in HGX]


@pytest.mark.parametrize(
    ("nodes", "code", "severity", "involved"),
    [
        (relabel(HGX, lambda name: name == "hgx-1-1-01", spine="spine-2"), "TwoParents", "error",
         {"leaf-1-1", "spine-1", "spine-2", "hgx-1-1-01", "hgx-1-1-08"}),
        (relabel(HGX, lambda name: name == "hgx-1-1-01", rack="rack-2-1-1"), "TwoParents", "error",
         {"rack-2-1-1", "hgx-1-1-01", "hgx-2-1-01"}),
        (relabel(HGX, lambda name: name == "hgx-1-1-01", leaf=""), "MissingLevel", "warning", {"hgx-1-1-01"}),
        (relabel(HGX, lambda name: name == "hgx-1-1-01", leaf="", spine="", rack=""), "NoPlace", "warning",
         {"hgx-1-1-01"}),
        (relabel(HGX, lambda name: True, leaf="", spine="", rack=""), "NoLevels", "warning", {"hgx-2-3-08"}),
        (relabel(HGX, lambda name: name == "hgx-1-1-01", leaf="leaf-x"), "LonelyDomain", "warning",
         {"leaf-x", "hgx-1-1-01"}),
        (relabel(NVL, lambda name: name == "nvl-1-01", product="NVIDIA-GB300"), "MixedProducts", "error",
         {"nvl-1-01", "nvl-1-18"}),
        (relabel(NVL, lambda name: name == "nvl-1-01", rack="nvl-rack-2"), "CliqueAcrossRacks", "warning",
         {"nvl-rack-1", "nvl-rack-2", "nvl-1-01"}),
        (relabel(relabel(NVL, lambda name: True, zone="a"), lambda name: name == "nvl-1-01", zone="b"),
         "CliqueAcrossPlaces", "error", {"a", "b", "nvl-1-01"}),
        (relabel(NVL, lambda name: name == "nvl-1-01", clique=""), "NoNvlinkDomain", "warning", {"nvl-1-01"}),
        (offering(7), "GpuCount", "warning", {"hgx-1-1-01"}),
        (relabel(offering(7), lambda name: name == "hgx-1-1-01", count="7"), "GpuCount", "warning",
         {"hgx-1-1-01"}),
        (relabel(offering(32), lambda name: name == "hgx-1-1-01", replicas="4"), "SharedGpus", "note",
         {"hgx-1-1-01"}),
    ],
)  # fmt: skip
def test_each_oddity_is_found(
    nodes: list[SyntheticNode], code: str, severity: str, involved: set[str]
) -> None:
    found = [one for one in report(nodes).findings if one.code == code]
    assert found, [one.code for one in report(nodes).findings]
    assert found[0].severity == severity
    assert involved <= set(found[0].names)


def test_nodes_without_gpus_need_no_place() -> None:
    reading = Reading("x", ("leaf",), (), {"n1": {"leaf": "a"}, "n2": {"leaf": "a"}, "control": {}})
    bare = lint(reading, {"control": NodeFacts({}, 0)})
    assert [(one.code, one.severity, one.names) for one in bare.findings] == [
        ("NoPlace", "note", ("control",))
    ]
    assert [one.severity for one in lint(reading, {"control": NodeFacts({}, 8)}).findings] == ["warning"]


def test_sliced_gpus_are_not_counted() -> None:
    labels = {PRODUCT: "NVIDIA-H100-80GB-HBM3", GPU_COUNT: "8", "nvidia.com/mig-1g.10gb.count": "56"}
    reading = Reading("x", ("leaf",), (), {"n1": {"leaf": "a"}})
    assert lint(reading, {"n1": NodeFacts(labels, 0)}).findings == ()
    labels.popitem()
    assert [one.code for one in lint(reading, {"n1": NodeFacts(labels, 0)}).findings] == ["GpuCount"]


def test_the_nodes_that_are_most_likely_wrong_are_told() -> None:
    nodes = relabel(HGX, lambda name: name == "hgx-1-1-03", spine="spine-2")
    (finding,) = [
        one for one in report(nodes).findings if one.code == "TwoParents" and "leaf-1-1" in one.names
    ]
    assert "(hgx-1-1-03)" in finding.message
    assert "7 nodes in spine-1; 1 nodes in spine-2" in finding.message


def test_names_that_are_numbers_are_used_again() -> None:
    reading = Reading("x", ("spine", "rack"), (), {
        f"n{spine}{rack}": {"spine": f"s{spine}", "rack": str(rack)} for spine in (1, 2) for rack in (1, 2)
    })  # fmt: skip
    assert lint(reading).findings == ()


def test_names_are_used_again_in_another_zone() -> None:
    reading = Reading("x", ("zone", "spine", "rack"), (), {
        f"n{zone}{rack}": {"zone": zone, "spine": f"s{zone}", "rack": f"r{rack}"}
        for zone in "ab" for rack in (1, 2)
    })  # fmt: skip
    (found,) = lint(reading).findings
    assert (found.code, found.severity, found.names) == ("RepeatedNames", "note", ("r1", "r2"))


def test_racks_that_mostly_lie_across_are_so_by_design() -> None:
    reading = Reading("x", ("leaf",), ("rack",), {
        f"n{leaf}{rack}": {"leaf": f"l{leaf}", "rack": f"r{rack}"} for leaf in (1, 2) for rack in (1, 2)
    })  # fmt: skip
    assert [(one.code, one.severity) for one in lint(reading).findings] == [("OwnPartition", "note")]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM3"), ("NVIDIA-GB200", "NVIDIA-GB200"),
        ("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-SXM4"), ("NVIDIA-H200-NVL", None), ("NVIDIA-H100-PCIe", None),
        ("NVIDIA-H100-80GB-HBM3-SHARED", None), ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", None), ("", None),
        ("NVIDIA-B2000", None),
    ],
)  # fmt: skip
def test_products(label: str, name: str | None) -> None:
    product = product_of(label)
    assert (product.name if product else None) == name


def zoned(*rows: tuple[str, str, str, str]) -> Report:
    """Lint of nodes with (zone, core, spine, leaf), by the levels that detection finds."""
    keys = (ZONE, "fabric.topograph.run/tier-2", SPINE, LEAF)
    return lint(of_labels({f"n{at}": dict(zip(keys, row, strict=True)) for at, row in enumerate(rows)}))


def test_a_core_over_two_zones_is_told() -> None:
    report = zoned(*((zone, "c1", f"s-{zone}", f"l-{zone}") for zone in "ab" for _ in range(3)))
    assert [(one.level, one.domains) for one in report.coverage][:2] == [("core", 1), ("zone", 2)]
    (found,) = report.findings
    assert (found.code, found.severity, found.names) == ("AcrossZones", "note", ("c1",))
    assert "each one domain: core c1 in a, b" in found.message


def test_one_node_in_the_wrong_zone_is_named_once() -> None:
    rows = [(zone, f"c-{zone}", f"s-{zone}", f"l-{zone}") for zone in "ab" for _ in range(10)]
    report = zoned(("b", *rows[0][1:]), *rows[1:])
    found, *lonely = report.findings
    assert (found.code, found.severity) == ("TwoParents", "error")
    assert {one.code for one in lonely} == {"LonelyDomain"}
    assert "leaf l-a lies in 2 domains of zone: 9 nodes in a; 1 nodes in b (n0)" in found.message


def test_compute_domains_and_cliques() -> None:
    nodes = {f"n{at}": {CLIQUE: f"u.{at // 2}"} for at in range(4)}
    uids = ("one", "two", "one", "")
    facts = {
        node: NodeFacts({**labels, "resource.nvidia.com/computeDomain": uid})
        for (node, labels), uid in zip(nodes.items(), uids, strict=True)
    }
    found = {one.code: one for one in lint(of_labels(nodes), facts).findings}
    assert found["ComputeDomainAcrossCliques"].names == ("one", "u.0", "u.1")
    assert found["CliqueShared"].names == ("one", "two", "u.0")


def test_sharing_is_told_by_any_of_its_labels() -> None:
    facts = {"n1": NodeFacts({"nvidia.com/gpu.sharing-strategy": "mps"}), "n2": NodeFacts({})}
    report = lint(of_labels({"n1": {LEAF: "l"}, "n2": {LEAF: "l"}}), facts)
    assert [(one.code, one.names) for one in report.findings] == [("SharedGpus", ("n1",))]
