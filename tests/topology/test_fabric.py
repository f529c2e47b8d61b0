"""The fabric: domains as whole paths, private domains, arrays that keep up."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topology.model import Fabric, FabricNode, FabricSpec, InvalidTopology, LevelSpec
from topology.spec import ADMINISTRATIVE

ZONE = LevelSpec("zone", "z", "test")
RACK = LevelSpec("rack", "r", "test")
NVLINK = LevelSpec("nvlink", "c", "test")
SPEC = FabricSpec((ZONE, RACK), (NVLINK,))


def node(name: str, *, gpus: bool = True, **labels: str) -> FabricNode:
    return FabricNode(name, labels, nvlink_gpus=gpus)


def together(fabric: Fabric, level: str) -> dict[str, list[str]]:
    """Node names per domain, domains in id order."""
    arrays = fabric.arrays()
    part = arrays.partition(level)
    assert part is not None
    return {
        domain: [arrays.names[at] for at in np.flatnonzero(part.domain_of == number)]
        for number, domain in enumerate(part.names)
    }


def same_arrays(one: Fabric, other: Fabric) -> None:
    a, b = one.arrays(), other.arrays()
    assert a.names == b.names
    for left, right in zip(a.partitions, b.partitions, strict=True):
        assert (left.name, left.label, left.names) == (right.name, right.label, right.names)
        assert left.domain_of.dtype == right.domain_of.dtype == np.int32
        assert left.domain_of.tolist() == right.domain_of.tolist()
        assert left.private.tolist() == right.private.tolist()
    assert dict(one.graph.nodes(data=True)) == dict(other.graph.nodes(data=True))
    assert set(one.graph.edges) == set(other.graph.edges)
    assert one.warnings() == other.warnings()


def test_a_domain_is_its_whole_path() -> None:
    fabric = Fabric(SPEC, [node("n1", z="a", r="1"), node("n2", z="b", r="1"), node("n10", z="a", r="1")])
    assert together(fabric, "rack") == {"a/1": ["n1", "n10"], "b/1": ["n2"]}
    assert fabric.path("n10") == {"zone": "a", "rack": "a/1", "nvlink": "n10"}


def test_a_node_without_the_label_is_alone() -> None:
    fabric = Fabric(SPEC, [node("n1", z="a", r="1"), node("n2", z="a"), node("n3", z="a")])
    assert together(fabric, "rack") == {"<n2>": ["n2"], "<n3>": ["n3"], "a/1": ["n1"]}
    rack = fabric.arrays().partition("rack")
    assert rack is not None
    assert rack.private.tolist() == [True, True, False]
    assert list(fabric.graph.predecessors(("node", "n2"))) == [("zone", ("a",))]


def test_an_unknown_zone_is_no_known_zone() -> None:
    nodes = [node("n1", z="a", r="1"), node("n2", r="1"), node("n3", r="1"), node("n4")]
    fabric = Fabric(SPEC, nodes)
    assert together(fabric, "rack") == {"<n4>": ["n4"], "?/1": ["n2", "n3"], "a/1": ["n1"]}
    # the zone they lack is at least as wide as the rack they share, so levels nest
    assert together(fabric, "zone") == {"<?/1>": ["n2", "n3"], "<n4>": ["n4"], "a": ["n1"]}
    assert not list(fabric.graph.predecessors(("rack", ("", "1"))))


SWITCHES = FabricSpec(
    (LevelSpec("zone", "z", ADMINISTRATIVE), LevelSpec("leaf", "l", "test"), LevelSpec("rack", "r", "test")),
    (),
)


def test_a_missing_coarse_label_is_that_of_the_finer_domain() -> None:
    mates = [node(f"n{at}", z="a", l="l1", r="r1") for at in (1, 2)]
    fabric = Fabric(SWITCHES, [node("n0", z="a", r="r1"), *mates, node("n3", z="a", l="l1", r="r2")])
    assert together(fabric, "leaf") == {"a/l1": ["n0", "n1", "n2", "n3"]}
    assert together(fabric, "rack")["a/l1/r1"] == ["n0", "n1", "n2"]
    assert fabric.path("n0") == {"zone": "a", "leaf": "a/l1", "rack": "a/l1/r1"}
    (warning,) = fabric.warnings()
    assert "n0; taken to be in the leaf of the other nodes" in warning.message
    fabric.upsert(node("n1", z="a", l="l9", r="r1"))  # now nobody can tell
    assert together(fabric, "rack")["a/?/r1"] == ["n0"]
    assert "no other node shares their leaf" in fabric.warnings()[0].message
    fabric.upsert(node("n1", z="a", l="l1", r="r1"))
    assert fabric.path("n0")["leaf"] == "a/l1"
    fabric.remove("n1")  # one of two is no majority
    assert fabric.path("n0")["leaf"] == "<a/?/r1>"


@pytest.mark.parametrize(
    ("labels", "leaf"),
    [
        ({"z": "b", "r": "r1"}, "<b/?/r1>"),  # in another zone
        ({"l": "l1", "r": "r1"}, "?/l1"),  # zones are not concluded
        ({"z": "a", "l": "l2", "r": "r1"}, "a/l2"),  # nothing is missing, so it is believed
        ({"z": "a", "r": "r1"}, "a/l1"),
    ],
)
def test_what_is_concluded_agrees_with_what_the_node_says(labels: dict[str, str], leaf: str) -> None:
    mates = [node(f"n{at}", z="a", l="l1", r="r1") for at in (1, 2, 3)]
    assert Fabric(SWITCHES, [*mates, node("n0", **labels)]).path("n0")["leaf"] == leaf


def test_nvlink_without_a_label_is_the_machine() -> None:
    fabric = Fabric(SPEC, [node("n1", c="u.1"), node("n2"), node("n3", gpus=False)])
    nvlink = fabric.arrays().partition("nvlink")
    assert nvlink is not None
    assert dict(zip(nvlink.names, nvlink.private.tolist(), strict=True)) == {
        "<n3>": True,
        "n2": False,
        "u.1": False,
    }
    assert not [warning for warning in fabric.warnings() if warning.level == "nvlink"]


def test_an_empty_label_is_a_missing_label() -> None:
    fabric = Fabric(SPEC, [node("n1", z="", r="")])
    assert together(fabric, "zone") == {"<n1>": ["n1"]}


def test_warnings_are_counted_and_name_five() -> None:
    fabric = Fabric(SPEC, [node(f"n{at}", z="a") for at in range(12)])
    (warning,) = fabric.warnings()
    assert (warning.code, warning.level, warning.count) == ("MissingLabel", "rack", 12)
    assert warning.nodes == ("n0", "n1", "n2", "n3", "n4")
    assert "12 of 12 nodes lack label r" in warning.message
    assert "and 7 more" in warning.message


def test_generation_rises_only_with_a_change_of_place() -> None:
    fabric = Fabric(SPEC, [node("n1", z="a")])
    before = fabric.generation
    assert not fabric.upsert(node("n1", z="a", other="label"))
    assert fabric.generation == before
    assert fabric.arrays() is fabric.arrays()
    assert fabric.upsert(node("n1", z="b"))
    assert fabric.generation > before
    assert not fabric.remove("unknown")


def test_empty_domains_leave_the_graph() -> None:
    fabric = Fabric(SPEC, [node("n1", z="a", r="1", c="u"), node("n2", z="a", r="2")])
    fabric.remove("n1")
    assert set(fabric.graph) == {("zone", ("a",)), ("rack", ("a", "2")), ("node", "n2")}


def test_published_arrays_stay_as_they_were() -> None:
    fabric = Fabric(SPEC, [node(f"n{at}", z="a", r=str(at % 3)) for at in range(6)])
    before = fabric.arrays()
    kept = [(part.domain_of.tolist(), part.names) for part in before.partitions]
    fabric.upsert(node("n3", z="0", r="new"))
    fabric.upsert(node("a", z="0"))
    fabric.remove("n5")
    fabric.arrays()
    assert [(part.domain_of.tolist(), part.names) for part in before.partitions] == kept
    with pytest.raises(ValueError, match="read-only"):
        before.partitions[0].domain_of[0] = 7


def test_words_for_levels() -> None:
    fabric = Fabric(FabricSpec((LevelSpec("rack", "example.com/rack", "configuration"),), (NVLINK,)))
    assert fabric.level_names() == ("rack", "nvlink", "node")
    assert fabric.resolve_level("rack") == "rack"
    assert fabric.resolve_level("example.com/rack") == "rack"
    assert fabric.resolve_level("kubernetes.io/hostname") == fabric.resolve_level("node") == "node"
    assert fabric.resolve_level("spine") is None


def test_partitions_stand_at_their_usual_depth() -> None:
    levels = tuple(LevelSpec(name, name, "test") for name in ("tier-3", "core", "leaf"))
    groups = tuple(LevelSpec(name, name, "test") for name in ("nvlink", "zone", "tier-4", "rack", "power"))
    names = Fabric(FabricSpec(levels, groups)).level_names()
    assert names == ("zone", "tier-4", "tier-3", "core", "leaf", "rack", "power", "nvlink", "node")


def test_a_level_cannot_be_listed_twice() -> None:
    with pytest.raises(InvalidTopology, match="'rack' is listed twice"):
        FabricSpec((RACK,), (RACK,))


def test_index_of_a_node() -> None:
    arrays = Fabric(SPEC, [node("n10"), node("n9"), node("n09")]).arrays()
    assert [arrays.index(name) for name in ("n09", "n9", "n10")] == [0, 1, 2]
    with pytest.raises(KeyError):
        arrays.index("n")


def test_no_nodes_at_all() -> None:
    arrays = Fabric(SPEC).arrays()
    assert arrays.names == ()
    assert all(part.domain_of.shape == (0,) and part.names == () for part in arrays.partitions)


labels = st.fixed_dictionaries({}, optional={key: st.sampled_from(["1", "2", "10", "a"]) for key in "zrc"})
names = st.sampled_from([f"n{at}" for at in range(8)] + ["1", "a"])
steps = st.lists(
    st.one_of(
        st.builds(FabricNode, names, labels, st.booleans()),
        names,
        st.just(None),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.builds(FabricNode, names, labels, st.booleans()), max_size=8), steps)
def test_keeping_up_equals_starting_again(
    start: list[FabricNode], steps: list[FabricNode | str | None]
) -> None:
    """Any history of nodes coming, moving and going gives the arrays and graph of the nodes that remain."""
    present = {node.name: node for node in start}
    fabric = Fabric(SPEC, start)
    for step in steps:
        if isinstance(step, FabricNode):
            present[step.name] = step
            fabric.upsert(step)
        elif isinstance(step, str):
            assert fabric.remove(step) == (present.pop(step, None) is not None)
        else:
            fabric.arrays()
    same_arrays(fabric, Fabric(SPEC, reversed(present.values())))


def test_gaps_are_kept_up_with() -> None:
    """Many histories of a few names, where gaps open and close: as from nothing, and some are filled."""
    rng, filled = random.Random(3), 0
    for _ in range(200):
        fabric, present = Fabric(SWITCHES), dict[str, FabricNode]()
        for _ in range(30):
            name = f"n{rng.randrange(9)}"
            if rng.random() < 0.2:
                fabric.remove(name)
                present.pop(name, None)
                continue
            own = {"z": "a", "l": rng.choice("111112"), "r": rng.choice("12")}
            own = {key: value for key, value in own.items() if rng.random() < 0.85}
            present[name] = node(name, **own)
            fabric.upsert(present[name])
            if rng.random() < 0.2:
                fabric.arrays()
        same_arrays(fabric, Fabric(SWITCHES, present.values()))
        filled += sum(
            "l" not in one.labels and fabric.path(name)["leaf"] == "a/1" for name, one in present.items()
        )
    assert filled > 20


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(FabricNode, names, labels, st.booleans()), max_size=10))
def test_levels_nest_whatever_is_missing(nodes: list[FabricNode]) -> None:
    arrays = Fabric(SPEC, nodes).arrays()
    zone, rack = arrays.partition("zone"), arrays.partition("rack")
    assert zone is not None
    assert rack is not None
    for number in range(len(rack.names)):
        assert len(set(zone.domain_of[rack.domain_of == number].tolist())) == 1
