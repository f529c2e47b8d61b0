"""Detection of label families: which levels, from which labels, and why."""

import pytest

from topology.detect import detect
from topology.model import Fabric, FabricNode, FabricSpec, InvalidTopology
from topology.sources.configured import configured

Rows = list[dict[str, str]]


def shape(spec: FabricSpec) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return (
        [(level.name, level.label) for level in spec.levels],
        [(level.name, level.label) for level in spec.partitions],
    )


def names(spec: FabricSpec) -> tuple[list[str], list[str]]:
    return [level.name for level in spec.levels], [level.name for level in spec.partitions]


CLIQUE = ("nvlink", "nvidia.com/gpu.clique")


def test_no_labels_at_all() -> None:
    spec = detect([{}, {}])
    assert shape(spec) == ([], [CLIQUE])
    assert "each node is its own domain" in spec.evidence[0]
    assert shape(detect([])) == ([], [CLIQUE])


def test_aws_numbers_from_the_top() -> None:
    key = "topology.k8s.aws/network-node-layer-"
    spec = detect([{key + "1": "t", key + "2": "m", key + "3": leaf} for leaf in ("x", "y")])
    assert shape(spec) == ([("core", key + "1"), ("spine", key + "2"), ("leaf", key + "3")], [CLIQUE])
    assert spec.evidence[2] == f"leaf: label {key}3 (aws) on 2 of 2 nodes, 2 values"


def test_aws_ultraserver_is_an_nvlink_domain() -> None:
    assert shape(detect([{"topology.k8s.aws/ultraserver-id": "us1"}])) == (
        [],
        [("nvlink", "topology.k8s.aws/ultraserver-id")],
    )


def test_gcp_host_is_no_level() -> None:
    key = "cloud.google.com/gce-topology-"
    spec = detect([{key + "block": "b", key + "subblock": "s", key + "host": "h"}])
    assert shape(spec) == ([("spine", key + "block"), ("leaf", key + "subblock")], [CLIQUE])


def test_oci() -> None:
    key = "oci.oraclecloud.com/"
    row = {key + "rdma.hpc_island_id": "i", key + "rdma.network_block_id": "n", key + "host.rack_id": "r"}
    spec = detect([{**row, key + "rdma.local_block_id": "l", key + "host.network_block_id": "n"}])
    assert shape(spec)[0] == [
        ("core", key + "rdma.hpc_island_id"),
        ("spine", key + "rdma.network_block_id"),
        ("leaf", key + "rdma.local_block_id"),
        ("rack", key + "host.rack_id"),
    ]


@pytest.mark.parametrize("host", ["backend", "ib"])
def test_coreweave(host: str) -> None:
    key = f"{host}.coreweave.cloud/"
    row = {key + "fabric": "f", key + "superpod": "p", key + "leafgroup": "g"}
    spec = detect([{**row, "node.coreweave.cloud/rack": "r", "ds.coreweave.com/nvlink.domain": "d"}])
    assert shape(spec) == (
        [
            ("core", key + "fabric"),
            ("spine", key + "superpod"),
            ("leaf", key + "leafgroup"),
            ("rack", "node.coreweave.cloud/rack"),
        ],
        [("nvlink", "ds.coreweave.com/nvlink.domain")],
    )


def test_topograph_tiers_count_from_the_node() -> None:
    tier = "fabric.topograph.run/tier-"
    accelerator = "accelerator.topograph.run/"
    row = {f"{tier}{number}": f"s{number}" for number in range(5)}
    spec = detect([{**row, accelerator + "domain": "d", accelerator + "sub-domain": "d1"}])
    assert shape(spec)[0] == [
        ("tier-4", tier + "4"),
        ("tier-3", tier + "3"),
        ("core", tier + "2"),
        ("spine", tier + "1"),
        ("leaf", tier + "0"),
    ]
    assert names(spec)[1] == ["nvlink", "nvlink-sub"]
    assert Fabric(spec).level_names()[-3:] == ("nvlink", "nvlink-sub", "node")


OLD = "network.topology.nvidia.com/"


def test_topograph_before_one() -> None:
    row = {OLD + "leaf": "s1", OLD + "spine": "s2", OLD + "core": "s3", OLD + "accelerator": "nvl1"}
    assert shape(detect([row])) == (
        [("core", OLD + "core"), ("spine", OLD + "spine"), ("leaf", OLD + "leaf")],
        [("nvlink", OLD + "accelerator")],
    )


def test_a_block_of_early_topograph_is_a_leaf() -> None:
    row = {OLD + "block": "s1", OLD + "spine": "s2", OLD + "datacenter": "s3", OLD + "accelerator": "nvl1"}
    assert shape(detect([row])) == (
        [("core", OLD + "datacenter"), ("spine", OLD + "spine"), ("leaf", OLD + "block")],
        [("nvlink", OLD + "accelerator")],
    )
    assert names(detect([{OLD + "block": "s1"}]))[0] == ["leaf"]
    assert names(detect([{OLD + "spine": "s1"}]))[0] == ["spine"]


def test_two_generations_of_topograph_at_once() -> None:
    later = {OLD + "leaf": "s1", OLD + "spine": "s2"}
    earlier = {OLD + "block": "s1", OLD + "spine": "s2"}
    assert shape(detect([later, earlier, earlier]))[0][-1] == ("leaf", OLD + "block")
    spec = detect([later, {**later, **earlier}])
    assert shape(spec)[0] == [("spine", OLD + "spine"), ("leaf", OLD + "leaf")]
    assert any(
        "2 nodes carry the labels leaf or core and 1 block or datacenter" in why for why in spec.evidence
    )


def test_the_clique_goes_before_derived_nvlink_labels() -> None:
    row = {"nvidia.com/gpu.clique": "u.1", OLD + "accelerator": "nvl1", OLD + "leaf": "l"}
    spec = detect([row, {OLD + "accelerator": "nvl1"}])
    assert shape(spec)[1] == [CLIQUE]
    assert "on 1 of 2 nodes" in spec.evidence[-1]


def test_one_family_gives_the_switches() -> None:
    aws = {"topology.k8s.aws/network-node-layer-3": "a"}
    measured = {"fabric.topograph.run/tier-0": "t"}
    both = {**aws, **measured}
    assert shape(detect([both, both]))[0] == [("leaf", "fabric.topograph.run/tier-0")]
    spec = detect([both, aws])
    assert shape(spec)[0] == [("leaf", "topology.k8s.aws/network-node-layer-3")]
    assert "topograph: its switch labels are left aside, as aws gives leaf on 2 nodes" in spec.evidence


ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


def test_zones_that_differ_lead_every_path() -> None:
    rows = [{REGION: "eu", ZONE: zone, "example.com/rack": "1"} for zone in ("a", "b")]
    spec = detect(rows)
    assert shape(spec) == ([("zone", ZONE), ("rack", "example.com/rack")], [("region", REGION), CLIQUE])
    fabric = Fabric(spec, [FabricNode(f"n{at}", row) for at, row in enumerate(rows)])
    assert fabric.level_names() == ("region", "zone", "rack", "nvlink", "node")
    assert fabric.path("n1") == {"region": "eu", "zone": "b", "rack": "b/1", "nvlink": "n1"}


def test_a_single_zone_keeps_paths_short_until_a_second_appears() -> None:
    spec = detect([{ZONE: "a", "example.com/rack": "1"}])
    fabric = Fabric(spec, [FabricNode("n1", {ZONE: "a", "example.com/rack": "1"})])
    assert fabric.path("n1") == {"zone": "a", "rack": "1", "nvlink": "n1"}
    assert fabric.resolve_level(ZONE) == "zone"
    assert not fabric.warnings()
    fabric.upsert(FabricNode("n2", {ZONE: "b", "example.com/rack": "1"}))
    (warning,) = fabric.warnings()
    assert (warning.code, warning.level, warning.count) == ("DetectAgain", "zone", 2)


def test_example_keys_are_whole_paths() -> None:
    key = "cloud.provider.com/topology-"
    rows = [{key + "block": block, key + "rack": "r1"} for block in ("b1", "b2")]
    spec = detect(rows)
    assert names(spec) == (["block", "rack"], ["nvlink"])
    fabric = Fabric(spec, [FabricNode(f"n{at}", row) for at, row in enumerate(rows)])
    assert fabric.path("n1")["rack"] == "b2/r1"


def test_suffixes_fill_in_what_no_family_declares() -> None:
    row = {f"example.com/{word}": word for word in ("rack", "leaf", "spine", "superspine", "block")}
    assert names(detect([row]))[0] == ["core", "spine", "block", "leaf", "rack"]
    row["topology.k8s.aws/network-node-layer-3"] = "a"
    spec = detect([row])
    assert dict(shape(spec)[0])["leaf"] == "topology.k8s.aws/network-node-layer-3"
    assert dict(shape(spec)[0])["core"] == "example.com/superspine"


def test_racks_across_leaves_are_a_partition_of_their_own() -> None:
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [
        {tier + "1": "s1", tier + "0": leaf, "example.com/rack": rack}
        for leaf, rack in (("l1", "r1"), ("l1", "r2"), ("l2", "r2"), ("l2", "r3"))
    ]
    spec = detect(rows)
    assert names(spec) == (["spine", "leaf"], ["rack", "nvlink"])
    assert any("a partition of its own, as rack r2 lies in leaf l1 and l2" in why for why in spec.evidence)
    fabric = Fabric(spec, [FabricNode(f"n{at}", row) for at, row in enumerate(rows)])
    assert fabric.path("n1")["rack"] == fabric.path("n2")["rack"] == "r2"
    assert fabric.level_names() == ("spine", "leaf", "rack", "nvlink", "node")


def test_leaves_across_blocks_are_a_partition_of_their_own() -> None:
    rows: Rows = [
        {"topology.k8s.aws/network-node-layer-3": "l1", "example.com/block": block} for block in ("x", "y")
    ]
    assert names(detect(rows)) == (["leaf"], ["block", "nvlink"])


@pytest.mark.parametrize("other", ["r1", "7"])
def test_rack_names_used_again_stay_apart(other: str) -> None:
    """Names that stand under every spine, or are bare numbers, are different racks."""
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [{tier + "1": f"s{at}", tier + "0": f"l{at}", "example.com/rack": other} for at in range(2)]
    assert names(detect(rows)) == (["spine", "leaf", "rack"], ["nvlink"])


def test_configured_levels() -> None:
    spec = configured(
        [("row", "example.com/row"), ("host", "kubernetes.io/hostname")], [("power", "example.com/feed")]
    )
    assert shape(spec) == ([("row", "example.com/row")], [("power", "example.com/feed"), CLIQUE])
    own = configured([], [("nvlink", "example.com/nvl")])
    assert shape(own) == ([], [("nvlink", "example.com/nvl")])


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([("a", "kubernetes.io/hostname"), ("b", "x")], "can only be the last level"),
        ([("a", "x"), ("b", "x")], "given to two levels"),
        ([("a", "x"), ("a", "y")], "listed twice"),
        ([("", "x")], "needs a name and a label"),
        ([("node", "x")], "finest level"),
    ],
)
def test_configured_levels_that_contradict(levels: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(InvalidTopology, match=words):
        configured(levels)
