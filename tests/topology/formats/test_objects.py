"""Objects of other schedulers: Kueue, KAI, Volcano, Koordinator, Grove, and plain node labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.formats.helpers import codes, fuzz_values, holed_fabrics, only, same, whole_fabrics
from topology.formats import grove, hypernode, koordinator, kueue, labels, table
from topology.formats.kueue import KAI
from topology.formats.pattern import compiled
from topology.formats.values import object_name
from topology.reading import InvalidSource, Reading, label_value

BLOCK, RACK, HOST = (
    "cloud.provider.com/topology-block",
    "cloud.provider.com/topology-rack",
    "kubernetes.io/hostname",
)
CLIQUE = "nvidia.com/gpu.clique"


def node(name: str, **marks: str) -> dict[str, Any]:
    known = {"block": BLOCK, "rack": RACK, "clique": CLIQUE}
    written = {known.get(key, key): value for key, value in marks.items()}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {HOST: name, **written}}}


NODES = [
    node("n1", block="b1", rack="r1", clique="u.1"),
    node("n2", block="b1", rack="r1", clique="u.1"),
    node("n3", block="b1", rack="r2"),
    node("n4", block="b2"),
]


def topology(*keys: str, api: str = "kueue.x-k8s.io/v1beta2", name: str = "default") -> dict[str, Any]:
    levels = [{"nodeLabel": key} for key in keys]
    return {"apiVersion": api, "kind": "Topology", "metadata": {"name": name}, "spec": {"levels": levels}}


def hyper(name: str, tier: Any, *members: Mapping[str, Any], tier_name: str = "") -> dict[str, Any]:
    named = {"tierName": tier_name} if tier_name else {}
    spec = {"tier": tier, **named, "members": list(members)}
    return {
        "apiVersion": "topology.volcano.sh/v1alpha1",
        "kind": "HyperNode",
        "metadata": {"name": name},
        "spec": spec,
    }


def member(name: str = "", *, kind: str = "Node", **selector: Any) -> dict[str, Any]:
    return {"type": kind, "selector": selector or {"exactMatch": {"name": name}}}


def child(name: str) -> dict[str, Any]:
    return member(name, kind="HyperNode")


def koord(*layers: tuple[str, str, tuple[str, ...]]) -> dict[str, Any]:
    listed = [
        {"topologyLayer": name}
        | ({"parentTopologyLayer": parent} if parent else {})
        | ({"labelKey": list(keys)} if keys else {})
        for name, parent, keys in layers
    ]
    return {"apiVersion": "scheduling.koordinator.sh/v1alpha1", "kind": "ClusterNetworkTopology",
            "metadata": {"name": "default"}, "spec": {"networkTopologySpec": listed}}  # fmt: skip


def binding(*levels: tuple[str, str], **more: Any) -> dict[str, Any]:
    listed = [{"domain": domain, "key": key} for domain, key in levels]
    return {"apiVersion": "grove.io/v1alpha1", "kind": "ClusterTopologyBinding", "metadata": {"name": "g"},
            "spec": {"levels": listed, **more}}  # fmt: skip


IN_R2 = {"key": RACK, "operator": "In", "values": ["r2"]}
HYPERS = [
    hyper("top", 2, child("a"), child("b")),
    hyper("a", 1, member(regexMatch={"pattern": "^n[12]$"})),
    hyper("b", 1, member(labelMatch={"matchExpressions": [IN_R2]}),
          member("n4")),
]  # fmt: skip

KOORD = koord(
    ("RackLayer", "BlockLayer", (RACK,)), ("BlockLayer", "", (BLOCK,)), ("NodeTopologyLayer", "RackLayer", ())
)
GROVE = binding(("block", BLOCK), ("rack", RACK), ("host", HOST))


def test_kueue() -> None:
    found = kueue.read([topology(BLOCK, RACK, HOST), *NODES])
    assert (found.levels, found.partitions) == (("block", "rack"), ("nvlink",))
    assert found.nodes["n2"] == {"block": "b1", "rack": "r1", "nvlink": "u.1"}
    assert found.nodes["n4"] == {"block": "b2"}
    (ignored,) = found.findings
    assert (ignored.code, ignored.names) == ("IgnoredNodes", ("n4",))


def test_kai_has_the_same_shape() -> None:
    found = kueue.read([topology(BLOCK, RACK, api="kai.scheduler/v1alpha1"), *NODES], source=KAI)
    assert (found.source, found.levels) == ("kai", ("block", "rack"))


def test_levels_without_nodes_are_known_all_the_same() -> None:
    found = kueue.read([topology("example.com/room", RACK)])
    assert (found.levels, dict(found.nodes), codes(found)) == (("room", "rack"), {}, ["NoNodes"])


def test_of_several_topologies_the_first_by_name_is_read() -> None:
    found = kueue.read([topology(RACK, name="z"), topology(BLOCK, name="a"), *NODES])
    assert found.levels == ("block",)
    assert codes(found) == ["SeveralTopologies"]


def flavor(name: str, topology_name: str, **marks: str) -> dict[str, Any]:
    spec = {"topologyName": topology_name, "nodeLabels": marks}
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ResourceFlavor",
        "metadata": {"name": name},
        "spec": spec,
    }


def test_flavors_bound_the_nodes_of_their_topology() -> None:
    nodes = [*NODES[:3], node("cpu", block="b1", rack="r1", pool="cpu")]
    gpu = [node(one["metadata"]["name"], pool="gpu", block="b1", rack="r1") for one in nodes[:3]]
    levels = topology(BLOCK, RACK, HOST, name="t")
    found = kueue.read([levels, flavor("f", "t", pool="gpu"), *gpu, nodes[3]])
    assert set(found.nodes) == {"n1", "n2", "n3"}
    assert [(one.code, one.names) for one in found.findings] == [("NodesOutsideFlavors", ("cpu",))]
    elsewhere = kueue.read([levels, flavor("f", "other", pool="gpu"), *gpu, nodes[3]])
    assert (len(elsewhere.nodes), elsewhere.findings) == (4, ())


def test_a_value_that_no_label_can_have() -> None:
    found = labels.read([{"name": "n1", "labels": {RACK: "r" * 64}}, {"name": "n2", "labels": {RACK: "r1"}}])
    assert [(one.code, one.names) for one in found.findings] == [("InvalidLabelValue", ("n1",))]
    assert found.nodes["n1"] == {"rack": "r" * 64}


def test_volcano() -> None:
    found = hypernode.read([*HYPERS, *NODES])
    assert (found.levels, found.findings) == (("spine", "leaf"), ())
    assert {name: path["leaf"] for name, path in found.nodes.items()} == {
        "n1": "a",
        "n2": "a",
        "n3": "b",
        "n4": "b",
    }


def test_tier_names_become_levels() -> None:
    found = hypernode.read(
        [
            hyper("t", 2, child("d"), tier_name="rack"),
            hyper("d", 1, member("n"), tier_name="nvlink"),
        ]
    )
    assert (found.levels, found.partitions) == (("rack",), ("nvlink",))
    assert found.nodes["n"] == {"rack": "t", "nvlink": "d"}


@pytest.mark.parametrize(
    ("objects", "code", "names"),
    [
        ([hyper("a", 1, child("b")), hyper("b", 1, child("a"), member("n1"))],
         "Cycle", ("a", "b")),
        ([hyper("a", 2, child("l")), hyper("b", 2, child("l")),
          hyper("l", 1, member("n1"))], "TwoParents", ("a", "b", "l")),
        ([hyper("a", 3, child("l")), hyper("l", 1, member("n1"))], "SkippedTier", ("a", "l")),
        ([hyper("a", 1, child("l")), hyper("l", 1, member("n1"))], "TierOrder", ("a", "l")),
        ([hyper("a", 0, member("n1")), hyper("b", 1, member("n2"))], "UnknownTier", ("a",)),
        ([hyper("a", "1", member("n1")), hyper("b", 1, member("n2"))], "UnknownTier", ("a",)),
        ([hyper("a", None, member("n1")), hyper("b", 1, member("n2"))], "UnknownTier", ("a",)),
        ([hyper("a", 1, member("n1")), hyper("b", 1, member("n1"))], "NodeTwice", ("a", "b", "n1")),
        ([hyper("a", 1, member("n1")), hyper("a", 1, member("n2"))], "DuplicateSwitch", ("a",)),
        ([hyper("a", 2, child("z")), hyper("b", 1, member("n1"))], "UnknownSwitch", ("a", "z")),
        ([hyper("a", 1, member("n9")), *NODES], "UnknownNode", ("n9",)),
        ([hyper("a", 1, member("n1")), *NODES], "NodeInNoDomain", ("n2", "n3", "n4")),
        ([hyper("a", 1, member(regexMatch={"pattern": "^x"}), member("n1"))], "MatchesNothing", ()),
    ],
)  # fmt: skip
def test_what_volcano_lets_users_write_is_diagnosed(
    objects: list[Any], code: str, names: tuple[str, ...]
) -> None:
    found = hypernode.read(objects)
    assert names in {one.names for one in found.findings if one.code == code}, codes(found)


def test_tiers_are_told_as_the_objects_count_them() -> None:
    found = hypernode.read([hyper("a", 3, child("l")), hyper("l", 1, member("n1"))])
    (skipped,) = [one for one in found.findings if one.code == "SkippedTier"]
    assert skipped.message == "l of tier 1 hangs directly below a of tier 3"


def test_koordinator() -> None:
    found = koordinator.read([KOORD, *NODES])
    assert (found.levels, found.partitions) == (("block", "rack"), ("nvlink",))
    assert found.nodes["n3"] == {"block": "b1", "rack": "r2"}


def test_several_label_keys_of_one_layer_are_joined() -> None:
    found = koordinator.read(
        [koord(("RackLayer", "", (BLOCK, RACK)), ("NodeTopologyLayer", "RackLayer", ())), *NODES]
    )
    assert found.levels == ("rack",)
    assert found.nodes["n3"]["rack"] == "b1.r2"
    assert "rack" not in found.nodes["n4"]


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ([("A", "B", ("x",)), ("B", "A", ("y",)), ("NodeTopologyLayer", "A", ())], "Cycle"),
        ([("A", "Z", ("x",)), ("NodeTopologyLayer", "A", ())], "UnknownLayer"),
        ([("A", "", ("x",)), ("A", "", ("y",)), ("NodeTopologyLayer", "A", ())], "DuplicateLayer"),
        ([("A", "", ("x",)), ("B", "", ("y",)), ("NodeTopologyLayer", "A", ())], "LayerBeside"),
        ([("A", "", ()), ("NodeTopologyLayer", "A", ())], "NoLabelKey"),
        ([("A", "", ("x",))], "NoNodeLayer"),
    ],
)
def test_layers_that_contradict_themselves(layers: list[tuple[str, str, tuple[str, ...]]], code: str) -> None:
    assert code in codes(koordinator.read([koord(*layers), *NODES]))


def test_grove() -> None:
    found = grove.read(
        [
            binding(
                ("block", BLOCK),
                ("rack", RACK),
                ("host", HOST),
            ),
            *NODES,
        ]
    )
    assert (found.levels, found.partitions) == (("block", "rack"), ("nvlink",))
    linked = grove.read(
        [
            binding(
                ("gpuclique", CLIQUE),
                ("host", HOST),
            ),
            *NODES,
        ]
    )
    assert (linked.levels, linked.partitions) == ((), ("nvlink",))
    inside = grove.read(
        [binding(("rack", RACK), intraNodeLevels=[{"domain": "numa", "type": "NUMANode"}]), *NODES]
    )
    assert "LevelLeftOut" in codes(inside)


def test_labels_of_nodes_and_of_patches() -> None:
    found = labels.read(NODES)
    assert (found.levels, found.partitions) == (("block", "rack"), ("nvlink",))
    again = labels.read(labels.write(found).document)  # type: ignore[arg-type]
    assert same(again, found)
    twice = labels.read([*NODES, node("n1", rack="r9")])
    assert (twice.nodes["n1"]["rack"], codes(twice)) == ("r1", ["DuplicateNode"])


def test_a_name_too_long_for_a_label_is_written_as_its_hash() -> None:
    long = "x" * 64
    written = labels.write(Reading("x", ("leaf",), (), {"n1": {"leaf": long}, "n2": {"leaf": "fits"}}))
    values = [one["labels"]["fabric.topograph.run/tier-0"] for one in written.document]  # type: ignore[index]
    assert values == [label_value(long), "fits"]
    assert [(one.code, one.names) for one in written.findings] == [("HashedName", (long,))]
    # FNV-1a of 64 bits, by its published test vectors for "" and "a"
    assert (label_value(""), label_value("a/")[0]) == ("xcbf29ce484222325", "x")


@given(st.text(max_size=80))
def test_every_name_becomes_a_label_value_and_an_object_name(name: str) -> None:
    value, title = label_value(name), object_name(name)
    assert 0 < len(value) <= 63
    assert value.replace("-", "").replace("_", "").replace(".", "").isalnum()
    assert 0 < len(title) <= 253
    assert title == title.lower()
    assert set(title) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


FUTURE = [
    ([topology(RACK, api="kueue.x-k8s.io/v2"), *NODES], kueue.read),
    ([topology(RACK, api="kueue.x-k8s.io/v1beta3"), *NODES], kueue.read),
    ([hyper("a", 1, member("n")) | {"apiVersion": "topology.volcano.sh/v1"}], hypernode.read),
    ([KOORD | {"apiVersion": "scheduling.koordinator.sh/v1beta1"}], koordinator.read),
    ([GROVE | {"apiVersion": "grove.io/v1"}], grove.read),
]


@pytest.mark.parametrize(("objects", "read"), FUTURE)
def test_a_later_api_version_is_named_as_one(objects: list[Any], read: Any) -> None:
    with pytest.raises(InvalidSource, match="a later version than we read"):
        read(objects)


@pytest.mark.parametrize(
    ("objects", "read"),
    [
        ([], kueue.read), ([None, 1, "x"], kueue.read), ([topology()], kueue.read),
        ([topology(HOST, RACK)], kueue.read), ([topology(RACK, RACK)], kueue.read),
        ([topology(*(f"l{at}" for at in range(17)))], kueue.read), ([topology("")], kueue.read),
        ([topology(RACK, api="kueue.x-k8s.io/old")], kueue.read),
        ([{**topology(RACK), "metadata": {}}], kueue.read),
        ([hyper("a", 1, {"type": "Pod", "selector": {"exactMatch": {"name": "n"}}})], hypernode.read),
        ([hyper("a", 1, {"type": "Node", "selector": {}})], hypernode.read),
        ([hyper("a", 1, member(exactMatch={"name": "n"}, regexMatch={"pattern": "n"}))],
         hypernode.read),
        ([hyper("a", 2, member(kind="HyperNode", labelMatch={}))], hypernode.read),
        ([hyper("a", 1, member(regexMatch={"pattern": "("}))], hypernode.read),
        ([hyper("a", 99, member("n"))], hypernode.read),
        ([koord()], koordinator.read),
        ([koord(("A", "", ("x",)), ("B", "A", ("x",)), ("NodeTopologyLayer", "B", ()))], koordinator.read),
        ([binding()], grove.read), ([binding(("rack", ""))], grove.read),
        ([binding(("rack", RACK), ("block", RACK))], grove.read),
        ([], labels.read), ([{"kind": "Node", "apiVersion": "v1"}], labels.read),
        ([{"name": "a", "labels": {"x": [1]}}], labels.read),
    ],
)  # fmt: skip
def test_what_cannot_be_used(objects: list[Any], read: Any) -> None:
    with pytest.raises(InvalidSource, match="expected"):
        read(objects)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "a*a*a*b", "^(a|a)*$", "(?:x+)y", "a?" * 7, "[", "x" * 300, "[[a]", "^a{9}*"]
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidSource):
        compiled(pattern, where="HyperNode/a", field="pattern")


@pytest.mark.parametrize(
    "pattern", ["^node-[0-9]+$", "gpu-.*-rack1", "^(a|b)-\\d+-[+*]x.*$", "n1|n2|n3", "^a{2,3}$"]
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    assert compiled(pattern, where="HyperNode/a", field="pattern").pattern == pattern


@given(st.one_of(whole_fabrics, holed_fabrics), st.sampled_from(["kueue", "kai"]))
@settings(max_examples=40, deadline=None)
def test_round_trip_of_topologies(reading: Reading, source: str) -> None:
    part = only(reading, *reading.levels, "nvlink")
    written = kueue.write(part, source=source).document
    again = kueue.read([written], source=source)
    assert (set(again.levels), set(again.partitions)) == (set(part.levels), set(part.partitions))
    assert {name: path for name, path in again.nodes.items() if path} == part.nodes


@given(st.one_of(whole_fabrics, holed_fabrics))
@settings(max_examples=40, deadline=None)
def test_round_trip_of_hypernodes(reading: Reading) -> None:
    part = only(reading, *reading.levels)
    again = hypernode.read([hypernode.write(part).document])
    assert same(again, part)


def test_nvlink_domains_that_nest_are_the_lowest_hypernodes() -> None:
    part = Reading(
        "x", ("rack",), ("nvlink",), {f"n{at}": {"rack": "A", "nvlink": f"v{at // 2}"} for at in range(4)}
    )
    assert same(hypernode.read([hypernode.write(part).document]), part)
    across = Reading(
        "x", ("rack",), ("nvlink",), {f"n{at}": {"rack": f"r{at}", "nvlink": "v"} for at in range(4)}
    )
    written = hypernode.write(across)
    assert [one.code for one in written.findings] == ["LevelLeftOut"]
    assert same(hypernode.read([written.document]), only(across, "rack"))


@given(st.one_of(whole_fabrics, holed_fabrics))
@settings(max_examples=40, deadline=None)
def test_round_trip_of_labels(reading: Reading) -> None:
    part = only(reading, *reading.levels, *reading.partitions)
    again = labels.read(labels.write(part).document)  # type: ignore[arg-type]
    assert again.nodes == part.nodes


def as_list(read: Callable[[Any], Reading], one: Any) -> Reading:
    """The objects of a file: one that is broken to its root is the only one in it."""
    return read(one if isinstance(one, list) else [one])


def test_broken_objects_never_crash() -> None:
    everything = [
        [topology(BLOCK, RACK, HOST), *NODES], [*HYPERS, *NODES], [KOORD, *NODES], [GROVE, *NODES], NODES,
        [{"name": "n1", "labels": {RACK: "r1", CLIQUE: "u.1"}}],
        [{"apiVersion": "v1", "kind": "List", "items": [*HYPERS, *NODES]}],
    ]  # fmt: skip
    readers = [
        kueue.read,
        hypernode.read,
        koordinator.read,
        grove.read,
        labels.read,
        labels.read,
        hypernode.read,
    ]
    for documents, read in zip(everything, readers, strict=True):
        taken, refused = fuzz_values([documents], partial(as_list, read), rounds=600)
        assert taken + refused == 600
        assert min(taken, refused) > 20, read


def test_broken_objects_never_crash_the_detection() -> None:
    samples = [[topology(BLOCK, RACK), *NODES], HYPERS, [KOORD], [GROVE], NODES]
    taken, refused = fuzz_values(
        samples,
        lambda one: table.read_documents(one if isinstance(one, list) else [one], name="f", stated=None),
        rounds=800,
    )
    assert min(taken, refused) > 50
