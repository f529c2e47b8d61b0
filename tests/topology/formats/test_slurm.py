"""Slurm's topology files, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.topology.formats.helpers import (
    codes,
    fuzz_texts,
    fuzz_values,
    holed_fabrics,
    only,
    same,
    whole_fabrics,
)
from topology.formats import slurm, slurm_write, slurm_yaml
from topology.reading import InvalidSource, Reading, fabric_of

TREE = """\
# the fabric of a small machine
switchname=core Switches=spine[1-2] LinkSpeed=400
SwitchName=spine1 \\
    Switches=leaf[1-2]
SwitchName=spine2 Switches=leaf3
SwitchName=leaf1 Nodes=n[01-02]
SwitchName=leaf2 Nodes=n[03-04]   # two more
SwitchName=leaf3 Nodes=n05,gpu[1-2]
"""

BLOCKS = """\
BlockName=b1 Nodes=n[01-04]
BlockName=b2 Nodes=n[05-08]
BlockName=b3 Nodes=n[09-12]
BlockSizes=4,8
"""

SCONTROL = """\
SwitchName=s0 Level=0 LinkSpeed=1 Nodes=tux[0-1] Switches=(null)
SwitchName=s1 Level=0 LinkSpeed=1 Nodes=tux[2-3]
SwitchName=s2 Level=1 LinkSpeed=1 Nodes=tux[0-3] Switches=s[0-1]
"""

SCONTROL_BLOCKS = """\
BlockName=b1 BlockIndex=0 Nodes=n[1-2] BlockSize=2
BlockName=b2 BlockIndex=1 Nodes=n[3-4] BlockSize=2
AggregatedBlock=b[1-2] BlockIndex=2 Nodes=n[1-4] BlockSize=4
"""

YAML: list[dict[str, Any]] = [
    {
        "topology": "ib",
        "cluster_default": True,
        "tree": {
            "switches": [
                {"switch": "core", "children": "leaf[1-2]"},
                {"switch": "leaf1", "nodes": "n[01-04]"},
                {"switch": "leaf2", "nodes": "n[05-08]"},
            ]
        },
    },
    {
        "topology": "nvl",
        "block": {
            "block_sizes": [4, 8],
            "blocks": [{"block": "b1", "nodes": "n[03-06]"}, {"block": "b2", "nodes": "n[01-02,07-08]"}],
        },
    },
]


def test_a_tree() -> None:
    found = slurm.read(TREE)
    assert (found.levels, found.partitions, found.findings) == (("core", "spine", "leaf"), (), ())
    assert found.nodes["n03"] == {"leaf": "leaf2", "spine": "spine1", "core": "core"}
    assert set(found.nodes) == {"n01", "n02", "n03", "n04", "n05", "gpu1", "gpu2"}
    assert fabric_of(found).path("gpu2")["leaf"] == "core/spine2/leaf3"


def test_a_list_may_go_on_in_the_next_line() -> None:
    one = "SwitchName=l1 Nodes=n1,n2 LinkSpeed=1"
    for parted in (
        "SwitchName=l1 Nodes=n1,\\\nn2 LinkSpeed=1",
        "SwitchName=l1 \\\n  Nodes=n1,n2 LinkSpeed=1",
    ):
        assert slurm.read(parted, name="f").nodes == slurm.read(one, name="f").nodes


def test_blocks_and_the_larger_blocks_of_consecutive_ones() -> None:
    found = slurm.read(BLOCKS)
    assert (found.levels, found.partitions) == (("block-8",), ("nvlink",))
    assert found.nodes["n05"] == {"nvlink": "b2", "block-8": "b1-b2"}
    assert found.nodes["n12"] == {"nvlink": "b3", "block-8": "b3"}
    assert codes(found) == ["PartialBlock"]


def test_file_order_makes_the_larger_blocks() -> None:
    lines = BLOCKS.splitlines()
    found = slurm.read("\n".join([lines[0], lines[2], lines[1], lines[3]]))
    assert found.nodes["n12"]["block-8"] == found.nodes["n01"]["block-8"] == "b1-b3"


def test_scontrol_prints_all_nodes_at_every_switch() -> None:
    found = slurm.read(SCONTROL)
    assert found.nodes["tux3"] == {"leaf": "s1", "spine": "s2"}
    assert found.findings == ()


def test_scontrol_blocks() -> None:
    found = slurm.read(SCONTROL_BLOCKS)
    assert (found.levels, found.partitions) == (("block-4",), ("nvlink",))
    assert found.nodes["n3"] == {"nvlink": "b2", "block-4": "b1-b2"}


def test_a_list_that_scontrol_cut_is_refused() -> None:
    with pytest.raises(InvalidSource, match=r"x:1: .*SLURM_TOPO_LEN"):
        slurm.read("SwitchName=s0 Level=0 LinkSpeed=1 Nodes=tux1,tux2,tu...", name="x")


def test_tree_and_blocks_over_the_same_nodes_are_two_hierarchies() -> None:
    found = slurm_yaml.read(YAML)
    assert (found.levels, found.partitions) == (("spine", "leaf"), ("block-8", "nvlink"))
    assert found.nodes["n05"] == {"spine": "core", "leaf": "leaf2", "nvlink": "b1", "block-8": "b1-b2"}
    fabric = fabric_of(found)
    assert fabric.path("n03")["nvlink"] == fabric.path("n05")["nvlink"]
    assert fabric.path("n03")["leaf"] != fabric.path("n05")["leaf"]


def test_the_default_tree_gives_the_levels_and_another_stands_beside_it() -> None:
    other = {"topology": "eth", "tree": {"switches": [{"switch": "tor1", "nodes": "n[01-08]"}]}}
    found = slurm_yaml.read([other, *YAML])
    assert found.levels == ("spine", "leaf")
    assert "eth-leaf" in found.partitions
    assert found.nodes["n08"]["eth-leaf"] == "tor1"
    assert "SecondHierarchy" in codes(found)


def test_trees_over_other_nodes_join() -> None:
    first = {"topology": "a", "tree": {"switches": [{"switch": "l1", "nodes": "n[1-2]"}]}}
    second = {"topology": "b", "tree": {"switches": [{"switch": "l2", "nodes": "n[3-4]"}]}}
    found = slurm_yaml.read([first, second])
    assert (found.levels, found.partitions) == (("leaf",), ())
    assert {path["leaf"] for path in found.nodes.values()} == {"l1", "l2"}


def test_rings_tori_and_flat() -> None:
    found = slurm_yaml.read(
        [
            {"topology": "r", "ring": {"rings": [{"ring": "r1", "nodes": "n[1-4]"}]}},
            {"topology": "t", "torus3d": {"toruses": [{"name": "t1", "dims": "2x2x1", "nodes": "n[1-4]"}]}},
            {"topology": "f", "flat": True},
        ]
    )
    assert (found.levels, found.partitions) == ((), ("ring", "torus"))
    assert found.nodes["n2"] == {"ring": "r1", "torus": "t1"}
    assert codes(found) == ["PositionsLeftOut", "PositionsLeftOut", "Flat"]


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("SwitchName=a Switches=b\nSwitchName=b Switches=a\nSwitchName=l Nodes=n1", "Cycle", ("a", "b")),
        ("SwitchName=a Switches=a\nSwitchName=l Nodes=n1", "Cycle", ("a",)),
        ("SwitchName=a Switches=l\nSwitchName=b Switches=l\nSwitchName=l Nodes=n1", "TwoParents", "abl"),
        ("SwitchName=a Nodes=n1\nSwitchName=a Nodes=n2", "DuplicateSwitch", ("a",)),
        ("SwitchName=a Nodes=n1\nSwitchName=b Nodes=n1", "NodeTwice", ("a", "b", "n1")),
        ("SwitchName=a Nodes=n1,n1", "DuplicateNode", ("n1",)),
        ("SwitchName=a Nodes=n1\nSwitchName=b Switches=a,z", "UnknownSwitch", ("b", "z")),
        ("SwitchName=a Nodes=n1\nSwitchName=b", "EmptySwitch", ("b",)),
        ("SwitchName=a Nodes=n1 Colour=red", "UnknownKey", ("Colour",)),
        ("BlockName=a Nodes=n1\nBlockName=b Nodes=n1", "NodeTwice", ("a", "b", "n1")),
        ("BlockName=a Nodes=n1\nBlockName=a Nodes=n2", "DuplicateBlock", ("a",)),
        ("BlockName=a Nodes=n[1-6]\nBlockSizes=2,6", "BlockSizes", ("6",)),
        ("BlockName=a Nodes=n1\nBlockSizes=2", "SmallBlock", ("a",)),
    ],
)  # fmt: skip
def test_contradictions_are_findings_that_name_all(text: str, code: str, names: tuple[str, ...]) -> None:
    found = slurm.read(text)
    (finding,) = [one for one in found.findings if one.code == code]
    assert set(finding.names) == set(names)
    assert finding.where.startswith("topology.conf")
    assert found.nodes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lines with SwitchName="),
        ("hello world", "f:1"),
        ("SwitchName=a Nodes=n[1-", "f:1.*closing bracket"),
        ("SwitchName=a Nod", "f:1.*Key=Value"),
        ("\n\nSwitchName=a Nodes=n[1-999999999]", "f:3.*at most 1,000,000"),
        ("SwitchName=a Nodes=n1 Nodes=n2", "f:1.*once"),
        ("SwitchName=s[1-2] Nodes=n1", "f:1.*one name"),
        ("Nodes=n1", "f:1.*begins with"),
        ("BlockName=a Nodes=n1\nBlockSizes=x", "f:2.*node counts"),
        ("BlockName=a Nodes=n1\nBlockSizes=0", "f:2.*node counts"),
    ],
)
def test_what_cannot_be_used_says_where(text: str, told: str) -> None:
    with pytest.raises(InvalidSource, match=told):
        slurm.read(text, name="f")


def test_a_tower_of_switches_is_refused() -> None:
    tower = "".join(f"SwitchName=s{at + 1} Switches=s{at}\n" for at in range(5000)) + "SwitchName=s0 Nodes=n1"
    with pytest.raises(InvalidSource, match="at most 16"):
        slurm.read(tower)


@pytest.mark.parametrize(
    "document", [None, {}, [], "x", [1], [{}], [{"topology": "a"}], [{"topology": "a", "tree": 1}],
                 [{"topology": "a", "flat": True}] * 2, [{"topology": "a", "tree": {"switches": [{}]}}]]
)  # fmt: skip
def test_yaml_that_cannot_be_used(document: Any) -> None:
    with pytest.raises(InvalidSource):
        slurm_yaml.read(document)


def grouped(reading: Reading, level: str) -> set[frozenset[str]]:
    """The nodes of each domain of a level."""
    of = {node: path[level] for node, path in reading.nodes.items()}
    return {frozenset(node for node in of if of[node] == domain) for domain in of.values()}


def reread(reading: Reading) -> Reading:
    written = slurm_write.write(reading).document
    return slurm.read(written) if isinstance(written, str) else slurm_yaml.read(written)


@given(whole_fabrics)
@settings(max_examples=40, deadline=None)
def test_round_trip_of_switches(reading: Reading) -> None:
    part = only(reading, "core", "spine", "leaf")
    assert same(reread(part), part)


@given(whole_fabrics.filter(lambda reading: any("nvlink" in path for path in reading.nodes.values())))
@settings(max_examples=40, deadline=None)
def test_round_trip_of_switches_and_nvlink(reading: Reading) -> None:
    part = only(reading, "spine", "leaf", "nvlink")
    assert same(reread(part), part)
    links = only(reading, "nvlink")
    assert same(reread(links), links)


@pytest.mark.parametrize("reading", [slurm.read(TREE), slurm.read(BLOCKS), slurm_yaml.read(YAML)])
def test_what_was_read_is_written_back(reading: Reading) -> None:
    again = reread(reading)
    assert (again.levels, set(again.partitions), again.nodes.keys()) == (
        reading.levels, set(reading.partitions), reading.nodes.keys(),
    )  # fmt: skip
    for level in (*reading.levels, *reading.partitions):
        assert grouped(reading, level) == grouped(again, level), level


@given(holed_fabrics)
@settings(max_examples=20, deadline=None)
def test_nodes_that_slurm_cannot_hold_are_named(reading: Reading) -> None:
    part = only(reading, "spine", "leaf")
    written = slurm_write.write(part)
    assert isinstance(written.document, str)
    kept = set(slurm.read(written.document).nodes)
    named = {name for one in written.findings if one.code == "NodesLeftOut" for name in one.names}
    assert kept | named == set(part.nodes)
    assert not kept & named
    assert kept == {node for node, path in part.nodes.items() if "leaf" in path}


def test_equal_names_in_two_places_are_kept_apart() -> None:
    reading = Reading(
        "x", ("spine", "leaf"), (), {f"n{s}{leaf}": {"spine": s, "leaf": leaf} for s in "12" for leaf in "12"}
    )
    written = slurm_write.write(reading)
    assert isinstance(written.document, str)
    again = slurm.read(written.document)
    assert len({path["leaf"] for path in again.nodes.values()}) == 4
    assert [one.code for one in written.findings] == ["Renamed"]
    assert again.findings == ()


@pytest.mark.parametrize("name", ["a b", "a#b", "a,b", "a[1]", "a\\"])
def test_names_that_a_line_cannot_hold(name: str) -> None:
    for reading in (
        Reading("x", ("leaf",), (), {"n1": {"leaf": name}}),
        Reading("x", (), ("nvlink",), {"n1": {"nvlink": name}}),
    ):
        with pytest.raises(InvalidSource, match="expected"):
            slurm_write.write(reading)


def test_broken_texts_and_documents_never_crash() -> None:
    assert min(fuzz_texts([TREE, BLOCKS, SCONTROL, SCONTROL_BLOCKS], slurm.read, rounds=1500)) > 100
    assert min(fuzz_values([YAML], slurm_yaml.read, rounds=1500)) > 100
