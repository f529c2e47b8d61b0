"""Detection of label families: which levels, from which labels, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topology.detect import detect, detect_seen
from topology.model import Fabric, FabricNode, FabricSpec, InvalidTopology
from topology.sources.configured import configured
from topology.sources.devices import shares
from topology.sources.seen import Seen

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


def test_a_core_over_two_zones_is_one_core_with_the_zones_below_it() -> None:
    """One core switch, the same in both zones, while each leaf stands in one of them."""
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [
        {ZONE: zone, tier + "2": "core", tier + "1": f"s-{zone}", tier + "0": f"l-{zone}-{at}"}
        for zone in ("a", "b")
        for at in range(2)
    ]
    spec = detect(rows)
    assert names(spec) == (["core", "zone", "spine", "leaf"], ["nvlink"])
    assert any("core core stands in zone a and b and each leaf in one" in why for why in spec.evidence)
    fabric = Fabric(spec, [FabricNode(f"n{at}", row) for at, row in enumerate(rows)])
    assert len({fabric.path(f"n{at}")["core"] for at in range(4)}) == 1


def test_cores_and_zones_that_lie_across_each_other() -> None:
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [
        {ZONE: zone, tier + "1": f"plane-{at}", tier + "0": f"l-{zone}-{at}"}
        for zone in ("a", "b")
        for at in range(2)
    ]
    assert names(detect(rows)) == (["spine", "leaf"], ["zone", "nvlink"])


def test_switch_names_used_again_in_each_zone_are_different_switches() -> None:
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [{ZONE: zone, tier + "1": "spine", tier + "0": "leaf"} for zone in ("a", "b")]
    spec = detect(rows)
    assert names(spec)[0] == ["zone", "spine", "leaf"]
    assert any("leaf leaf stands in zone a and b: names repeat" in why for why in spec.evidence)


def test_one_mislabelled_node_changes_no_level() -> None:
    tier = "fabric.topograph.run/tier-"
    rows: Rows = [
        {
            ZONE: zone,
            tier + "1": f"s-{zone}",
            tier + "0": f"l-{zone}",
            "example.com/rack": f"r-{zone}-{at % 2}",
        }
        for zone in ("a", "b")
        for at in range(20)
    ]
    before = detect(rows)
    for key, value in ((ZONE, "b"), (tier + "0", "l-b"), (tier + "1", "s-b"), ("example.com/rack", "r-b-0")):
        assert shape(detect([{**rows[0], key: value}, *rows[1:]])) == shape(before)


def test_volcano_label_discovery() -> None:
    key = "volcano.sh/"
    assert shape(detect([{key + "tor": "t1"}]))[0] == [("leaf", key + "tor")]
    spec = detect([{key + "hypernode": "h1", key + "hypercluster": "c1"}])
    assert shape(spec)[0] == [("spine", key + "hypercluster"), ("leaf", key + "hypernode")]


def test_crusoe() -> None:
    row = {"crusoe.ai/ib.partition.id": "p", "crusoe.ai/pod.id": "d"}
    assert names(detect([row]))[0] == ["spine", "leaf"]


def test_oci_with_host_keys_alone() -> None:
    key = "oci.oraclecloud.com/host."
    spec = detect([{key + "network_block_id": f"b{at // 2}", key + "rack_id": f"r{at}"} for at in range(4)])
    assert shape(spec)[0] == [("spine", key + "network_block_id"), ("rack", key + "rack_id")]


def test_both_spellings_of_coreweave_at_once() -> None:
    new, old = "backend.coreweave.cloud/leafgroup", "ib.coreweave.cloud/leafgroup"
    spec = detect([{new: "g1"}, {new: "g2", old: "g2"}, {old: "g3"}])
    assert shape(spec)[0] == [("leaf", new)]
    told = f"leaf: label {old} (coreweave) is left aside, as {new} is on more nodes; 1 nodes carry it alone"
    assert told in spec.evidence


def test_azure_has_cliques_and_no_switches() -> None:
    row = {"kubernetes.azure.com/cluster": "mc", ZONE: "eastus-1", "nvidia.com/gpu.clique": "u.1"}
    spec = detect([row, row])
    assert names(spec) == ([], ["zone", "nvlink"])
    assert any(
        why.startswith("azure: 2 nodes of AKS, which has no labels for switches") for why in spec.evidence
    )


def test_hashed_values_of_topograph_are_domains_like_any_other() -> None:
    rows = [
        {"fabric.topograph.run/tier-0": value} for value in ("x5f0c2d9ab34e6a71", "x5f0c2d9ab34e6a71", "l2")
    ]
    fabric = Fabric(detect(rows), [FabricNode(f"n{at}", row) for at, row in enumerate(rows)])
    assert fabric.path("n0")["leaf"] == fabric.path("n1")["leaf"] == "x5f0c2d9ab34e6a71"


@pytest.mark.parametrize(
    ("labels", "shared"),
    [
        ({"nvidia.com/gpu.replicas": "4"}, True),
        ({"nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.sharing-strategy": "none"}, False),
        ({"nvidia.com/gpu.sharing-strategy": "time-slicing"}, True),
        ({"nvidia.com/gpu.sharing-strategy": "mps"}, True),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-SHARED"}, True),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.replicas": "x"}, False),
    ],
)
def test_shared_gpus(labels: dict[str, str], shared: bool) -> None:
    assert shares(labels) is shared
    assert any("shared GPUs: 1 of 2 nodes" in why for why in detect([labels, {}]).evidence) is shared


def test_compute_domains_are_told() -> None:
    spec = detect([{"resource.nvidia.com/computeDomain": "uid-1"}, {}])
    assert (
        "compute domains: label resource.nvidia.com/computeDomain on 1 of 2 nodes, 1 value"
        in spec.evidence[-1]
    )


def test_the_configuration_names_a_family() -> None:
    aws = {"topology.k8s.aws/network-node-layer-3": "a"}
    rows = [{**aws, "fabric.topograph.run/tier-0": "t"}] * 2
    assert shape(detect(rows, family="aws"))[0] == [("leaf", "topology.k8s.aws/network-node-layer-3")]
    spec = detect(rows, family="gcp")
    assert shape(spec)[0] == []
    assert (
        spec.evidence[0] == "gcp: the family that the configuration names; it gives no switches on any node"
    )
    with pytest.raises(InvalidTopology, match="'visio' is no family of labels; known are topograph"):
        detect(rows, family="visio")


KEYS = (ZONE, REGION, "fabric.topograph.run/tier-0", "fabric.topograph.run/tier-1", "example.com/rack",
        "nvidia.com/gpu.clique", "nvidia.com/gpu.replicas", "example.com/other")  # fmt: skip
LABELS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(("", "a", "b", "2")), max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.none() | LABELS), max_size=25))
def test_what_is_kept_up_equals_what_is_found_anew(steps: list[tuple[int, dict[str, str] | None]]) -> None:
    """Nodes come, change and go; detection asks each time, so its tables exist and must be kept up."""
    seen, present = Seen(), dict[int, dict[str, str]]()
    for node, labels in steps:
        old = present.pop(node, None)
        if labels is not None:
            present[node] = labels
        if old is not None and labels is not None:
            seen.change(old, labels)
        elif labels is not None:
            seen.add(labels)
        elif old is not None:
            seen.remove(old)
        assert detect_seen(seen) == detect(present.values())
