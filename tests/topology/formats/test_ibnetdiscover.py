"""Reading ibnetdiscover: groups that survive a bad cable, and every oddity told by name."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from tests.topology.formats.breaking import consistent, survive
from topology.formats.hostnames import HostNames
from topology.formats.ibnames import read_name_map
from topology.formats.ibnetdiscover import looks_like_ibnetdiscover, read_ibnetdiscover
from topology.reading import Finding, InvalidSource, Reading, fabric_of
from topology.synthetic_ib import FACTORY, Cable, IbFabric, ibnetdiscover_text, rail_fabric

POD = rail_fabric(3, rails=4, hosts=6, spines=4, factory=3, managers=2)
PODS = rail_fabric(2, rails=3, hosts=3, spines=3, pods=2, cores=3)
ALIGNED = rail_fabric(3, rails=4, hosts=4, spines=8, pods=3, cores=16, aligned=True, trunk=2)


def read(fabric: IbFabric, *, hosts: Iterable[str] | None = None) -> Reading:
    found = read_ibnetdiscover(
        ibnetdiscover_text(fabric), name="ib.txt", hosts=fabric.group_of if hosts is None else hosts
    )
    consistent(found)
    return found


def groups(found: Reading, level: str) -> dict[str, frozenset[str]]:
    """Domains by name with their nodes."""
    members: dict[str, set[str]] = {}
    for node, path in found.nodes.items():
        if level in path:
            members.setdefault(path[level], set()).add(node)
    return {name: frozenset(nodes) for name, nodes in members.items()}


def truth(of: dict[str, int]) -> set[frozenset[str]]:
    return {frozenset(host for host, one in of.items() if one == group) for group in of.values()}


def of(found: Reading, code: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.code == code]


def parts(fabric: IbFabric, at: int) -> tuple[str, str, str]:
    """Host, device and leaf of a host's cable."""
    cable = fabric.cables[at]
    host, device = fabric.adapters[cable.other[0]].split()
    return host, device, cable.one[0]


@pytest.mark.parametrize("fabric", [PODS, ALIGNED], ids=["all-to-all", "rail-aligned"])
def test_rails_of_a_group_are_one_leaf_domain(fabric: IbFabric) -> None:
    found = read(fabric)
    assert found.levels == ("core", "spine", "leaf")
    assert set(groups(found, "leaf").values()) == truth(dict(fabric.group_of))
    assert set(groups(found, "spine").values()) == truth(dict(fabric.pod_of))
    assert set(groups(found, "core").values()) == {frozenset(fabric.group_of)}
    assert not found.findings
    assert fabric_of(found)


def test_domains_are_named_after_their_smallest_switch() -> None:
    found = read(POD)
    for (group, rail), switch in POD.leaf.items():
        if rail == 0:
            assert found.nodes[f"gpu-{group + 1:03d}-01"]["leaf"] == f"leaf-{switch}"
    assert found.levels == ("spine", "leaf")


def test_every_single_missing_cable_keeps_the_groups_and_is_told() -> None:
    names = groups(read(POD), "leaf")
    for at in POD.host_cables:
        found = read(POD.without(at))
        host, device, leaf = parts(POD, at)
        assert groups(found, "leaf") == names
        (missing,) = of(found, "MissingRail")
        assert set(missing.names) == {host, leaf}
        assert device in missing.message
        assert not of(found, "MisplacedRail")


def test_every_single_missing_uplink_keeps_all_groups() -> None:
    whole = read(PODS)
    for at, cable in enumerate(PODS.cables):
        if cable.one[0] in PODS.switches and cable.other[0] in PODS.switches:
            assert read(PODS.without(at)).nodes == whole.nodes


def test_a_moved_cable_keeps_the_groups_and_is_told() -> None:
    names = groups(read(POD), "leaf")
    draw = random.Random(7)
    told = 0
    for at in POD.host_cables:
        host, device, leaf = parts(POD, at)
        target = draw.choice([switch for switch in POD.leaf.values() if switch != leaf])
        found = read(POD.moved(at, target))
        assert groups(found, "leaf") == names
        (misplaced,) = of(found, "MisplacedRail")
        assert set(misplaced.names) == {host, leaf, target}
        told += device in misplaced.message
        assert not of(found, "MissingRail")
    assert told == len(POD.host_cables)


@pytest.mark.parametrize("seed", range(10))
def test_several_faults_at_once_keep_the_groups(seed: int) -> None:
    draw = random.Random(seed)
    fabric = rail_fabric(4, rails=8, hosts=16, spines=8)
    names = groups(read(fabric), "leaf")
    broken = fabric
    for at in sorted(draw.sample(fabric.host_cables, 12), reverse=True):
        if draw.random() < 0.5:
            broken = broken.without(at)
        else:
            broken = broken.moved(at, draw.choice(list(fabric.leaf.values())))
    assert groups(read(broken), "leaf") == names


def test_equal_sets_alone_would_not_do() -> None:
    """The property above can fail: this is what merging only equal host sets gives."""
    fabric = POD.without(POD.host_cables[0])
    below: dict[str, set[str]] = {}
    for cable in fabric.cables:
        host = fabric.adapters.get(cable.other[0], "").split(" ")[0]
        if host in fabric.group_of:
            below.setdefault(cable.one[0], set()).add(host)
    assert len({frozenset(hosts) for hosts in below.values()}) > 3


def test_a_tie_between_two_groups_is_left_open() -> None:
    fabric = rail_fabric(2, rails=2, hosts=5, spines=2)
    at = fabric.host_cables[0]
    found = read(fabric.moved(at, fabric.leaf[1, 0]))
    (tie,) = of(found, "TwoParents")
    assert "gpu-001-01" in tie.names
    assert "leaf" not in found.nodes["gpu-001-01"]
    assert found.nodes["gpu-001-01"]["spine"] == found.nodes["gpu-002-05"]["spine"]


def test_management_hosts_are_left_aside_when_the_cluster_is_known() -> None:
    found = read(POD)
    assert set(found.nodes) == set(POD.group_of)
    assert of(found, "NotInCluster")[0].names == ("CUFM-01", "CUFM-02")
    everybody = read_ibnetdiscover(ibnetdiscover_text(POD), name="ib.txt")
    assert {"CUFM-01", "CUFM-02"} <= set(everybody.nodes)
    assert {finding.names[-1] for finding in of(everybody, "MissingRail")} == {"CUFM-01", "CUFM-02"}


def test_nodes_are_found_by_case_and_by_short_name() -> None:
    found = read(POD, hosts=[f"{host.upper()}.example.com" for host in POD.group_of])
    assert "GPU-001-01.EXAMPLE.COM" not in found.nodes
    assert found.nodes["GPU-001-01.example.com"]["leaf"]
    assert not of(found, "HostNotSeen")


def test_a_node_without_cables_is_kept_and_told() -> None:
    found = read(POD, hosts=[*POD.group_of, "gpu-999-01"])
    assert found.nodes["gpu-999-01"] == {}
    assert of(found, "HostNotSeen")[0].names == ("gpu-999-01",)


def test_factory_descriptions_are_unmapped_and_sharp_nodes_nothing() -> None:
    found = read(POD)
    unmapped = [name for finding in of(found, "UnmappedAdapter") for name in finding.names]
    assert len(unmapped) == 3
    assert all(FACTORY in finding.message for finding in of(found, "UnmappedAdapter"))
    assert not any("Aggregation" in finding.message for finding in found.findings)


def test_slow_links_are_told_by_name() -> None:
    at = POD.host_cables[9]
    host, _, leaf = parts(POD, at)
    for speed in ("4xHDR", "2xNDR", "1xEDR"):
        (slow,) = of(read(POD.slowed(at, speed)), "SlowLink")
        assert set(slow.names) == {host, leaf}
        assert speed in slow.message
        assert "4xNDR" in slow.message
    uplink = next(
        at
        for at, cable in enumerate(POD.cables)
        if cable.other[0] in POD.switches or cable.one[0] not in POD.switches
    )
    (slow,) = of(read(POD.slowed(uplink, "4xHDR")), "SlowLink")
    assert set(slow.names) == {POD.cables[uplink].one[0], POD.cables[uplink].other[0]}


def test_an_unknown_speed_is_told_and_not_compared() -> None:
    found = read(POD.slowed(POD.host_cables[0], "4xZZZ"))
    assert not of(found, "SlowLink")
    assert of(found, "UnknownSpeed")[0].names == ("4xZZZ",)


def test_a_group_with_a_leaf_less_is_told() -> None:
    gone = POD.leaf[1, 2]
    cables = tuple(cable for cable in POD.cables if gone not in (cable.one[0], cable.other[0]))
    text = ibnetdiscover_text(IbFabric(
        {guid: title for guid, title in POD.switches.items() if guid != gone}, POD.adapters, cables,
        POD.group_of, POD.pod_of, POD.leaf, POD.host_cables,
    ))  # fmt: skip
    found = read_ibnetdiscover(text, name="ib.txt", hosts=POD.group_of)
    assert set(groups(found, "leaf").values()) == truth(dict(POD.group_of))
    (fewer,) = of(found, "FewerRails")
    assert "gpu-002-01" in fewer.names
    assert not of(found, "MissingRail")


def test_a_host_on_a_spine_says_no_place() -> None:
    spine = next(guid for guid, title in POD.switches.items() if "spine" in title)
    adapters = {**POD.adapters, "e09d7303ffffff00": "gpu-001-01 mlx5_9"}
    cables = (*POD.cables, Cable((spine, 60), ("e09d7303ffffff00", 1)))
    found = read(
        IbFabric(POD.switches, adapters, cables, POD.group_of, POD.pod_of, POD.leaf, POD.host_cables)
    )
    assert groups(found, "leaf") == groups(read(POD), "leaf")
    assert set(of(found, "HostOnSpine")[0].names) == {"gpu-001-01", spine}


def test_empty_leaves_do_not_make_a_tier() -> None:
    some = [host for host, group in POD.group_of.items() if group != 2]
    bare = IbFabric(
        POD.switches,
        {guid: text for guid, text in POD.adapters.items() if text.split()[0] in some},
        tuple(
            cable
            for cable in POD.cables
            if cable.other[0] in POD.switches or POD.adapters[cable.other[0]].split()[0] in some
        ),
        {host: POD.group_of[host] for host in some}, POD.pod_of, POD.leaf, (),
    )  # fmt: skip
    found = read(bare)
    assert found.levels == ("spine", "leaf")
    assert set(of(found, "IdleSwitch")[0].names) == {POD.leaf[2, rail] for rail in range(4)}


def test_either_end_of_a_cable_is_enough_and_line_ends_do_not_matter() -> None:
    whole = read(POD)
    for text in (
        ibnetdiscover_text(POD, adapter_sections=False),
        ibnetdiscover_text(POD, newline="\r\n"),
        "\ufeff" + ibnetdiscover_text(POD),
        ibnetdiscover_text(POD).replace("Switch\t65", "Switch 65").replace('"S-2c5', '"S-2C5'),
    ):
        assert read_ibnetdiscover(text, name="ib.txt", hosts=POD.group_of).nodes == whole.nodes


def test_the_order_of_sections_does_not_matter() -> None:
    text = ibnetdiscover_text(POD)
    sections = text.split("\n\n")
    random.Random(3).shuffle(sections)
    mixed = read_ibnetdiscover("\n\n".join(sections), name="ib.txt", hosts=POD.group_of)
    assert mixed.nodes == read(POD).nodes
    assert {(one.code, one.names) for one in mixed.findings} == {
        (one.code, one.names) for one in read(POD).findings
    }


def test_a_cut_file_says_which_switches_are_missing() -> None:
    text = ibnetdiscover_text(POD, adapter_sections=False)
    cut = text[: text.index("switchguid=0x" + POD.leaf[2, 0])]
    found = read_ibnetdiscover(cut, name="ib.txt", hosts=POD.group_of)
    consistent(found)
    assert of(found, "MissingSection")
    assert of(found, "HostNotSeen")
    assert groups(found, "leaf").items() <= groups(read(POD), "leaf").items()


def test_endless_lines_are_unknown_and_cost_no_time() -> None:
    long = ["[1]" + " " * 200_000 + "x", 'Switch 65 "S-1"' + " " * 200_000 + "x", "x" * 200_000]
    found = read_ibnetdiscover(ibnetdiscover_text(POD) + "\n".join(long), name="ib.txt", hosts=POD.group_of)
    assert found.nodes == read(POD).nodes
    assert of(found, "UnknownLine")[0].message.startswith("3 lines")
    assert HostNames(None).adapter("n1 ib" + "a" * 100_000) is None


def test_unknown_lines_are_counted_and_shown() -> None:
    found = read_ibnetdiscover("what is this\n" + ibnetdiscover_text(POD) + "[99]\tnonsense\n", name="ib.txt")
    (unknown,) = of(found, "UnknownLine")
    assert unknown.where == "ib.txt:1"
    assert unknown.message.startswith("2 lines")
    assert "nonsense" in unknown.message


def test_a_guid_with_two_sections_is_told() -> None:
    text = ibnetdiscover_text(POD)
    found = read_ibnetdiscover(text + "\n" + text, name="ib.txt", hosts=POD.group_of)
    assert found.nodes == read(POD).nodes
    assert {finding.names[0] for finding in of(found, "DuplicateGuid")} == {*POD.switches, *POD.adapters}


def test_two_adapters_with_one_guid_are_told() -> None:
    first, second = POD.host_cables[0], POD.host_cables[1]
    twin = POD.cables[first].other[0]
    cables = list(POD.cables)
    cables[second] = Cable(cables[second].one, (twin, 1))
    found = read(IbFabric(POD.switches, POD.adapters, tuple(cables), POD.group_of, POD.pod_of, POD.leaf, ()))
    assert any(twin in finding.names for finding in of(found, "TwoPeers"))


def test_a_cable_from_a_switch_to_itself_is_told() -> None:
    leaf = POD.leaf[0, 0]
    loop = Cable((leaf, 61), (leaf, 62))
    found = read(
        IbFabric(POD.switches, POD.adapters, (*POD.cables, loop), POD.group_of, POD.pod_of, POD.leaf, ())
    )
    assert of(found, "LoopbackCable")[0].names == (leaf,)
    assert found.nodes == read(POD).nodes


def test_a_ring_of_leaves_is_no_tier() -> None:
    fabric = rail_fabric(4, rails=1, hosts=4, spines=0)
    leaves = list(fabric.leaf.values())
    ring = tuple(
        Cable((one, 61), (other, 62)) for one, other in zip(leaves, leaves[1:] + leaves[:1], strict=True)
    )
    found = read(
        IbFabric(fabric.switches, fabric.adapters, fabric.cables + ring, fabric.group_of, {}, fabric.leaf, ())
    )
    assert found.levels == ("leaf",)
    assert len(groups(found, "leaf")) == 4
    assert len(of(found, "SameTierCable")[0].names) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file is ''"),
        ("\n\n# nothing\n", "Switch 65"),
        ("PK\x03\x04 binary \0\0", "binary"),
        ("a\n" + ibnetdiscover_text(POD).encode("utf-16-le").decode("latin-1"), "UTF-16"),
        ("SwitchName=leaf1 Nodes=n[1-4]\n", "ibnetdiscover"),
        ('{"nodes": []}', "ibnetdiscover"),
        ('Ca\t1 "H-b8e92403009ca838"\t\t# "n01 HCA-1"\n', "at least one switch"),
        ('Switch\t65 "S-2c5eab0300b87b40"\t\t# "leaf" enhanced port 0 lid 1 lmc 0\n', "at least one cable"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidSource, match=r"^ib\.txt") as caught:
        read_ibnetdiscover(text, name="ib.txt")
    assert said in str(caught.value)


def test_the_format_is_recognised() -> None:
    text = ibnetdiscover_text(POD)
    assert looks_like_ibnetdiscover(text)
    assert looks_like_ibnetdiscover("\r\n".join(text.split("\n")[5:]))
    for other in ("", "SwitchName=a Nodes=b", "{}", "\tGPU0\tGPU1", "switches:\n- a\n"):
        assert not looks_like_ibnetdiscover(other)


def test_damaged_files_are_read_or_refused() -> None:
    small = rail_fabric(2, rails=3, hosts=3, spines=2, pods=2, cores=1, factory=1, managers=1)
    taken, refused = survive(
        [ibnetdiscover_text(small), ibnetdiscover_text(small, adapter_sections=False)],
        lambda text: read_ibnetdiscover(text, name="ib.txt", hosts=small.group_of),
        rounds=400,
    )
    assert taken > 200
    assert taken + refused == 400


def lifelike(seed: int) -> IbFabric:
    """Eight groups of 11 to 18 hosts, one with a rail less, hosts with factory descriptions, two managers."""
    draw = random.Random(seed)
    whole = rail_fabric(8, rails=4, hosts=18, spines=9, trunk=2, managers=2)
    group_of = dict(whole.group_of)
    for group in range(8):
        members = [host for host in group_of if group_of[host] == group]
        for host in draw.sample(members, draw.randint(0, 7)):
            del group_of[host]
    adapters = {
        guid: FACTORY if text.startswith("gpu") and text.split()[0] not in group_of else text
        for guid, text in whole.adapters.items()
    }
    gone = whole.leaf[7, 3]
    cables = tuple(cable for cable in whole.cables if gone not in (cable.one[0], cable.other[0]))
    named = [
        at
        for at, cable in enumerate(cables)
        if cable.other[0] in adapters and adapters[cable.other[0]].split()[0] in group_of
    ]
    switches = {guid: title for guid, title in whole.switches.items() if guid != gone}
    return IbFabric(switches, adapters, cables, group_of, whole.pod_of, whole.leaf, tuple(named))


@pytest.mark.parametrize("known", [True, False], ids=["cluster-known", "cluster-unknown"])
def test_a_lifelike_fabric_keeps_its_groups(known: bool) -> None:
    fabric = lifelike(1)
    draw = random.Random(1)

    def compute(one: IbFabric) -> dict[str, frozenset[str]]:
        text = ibnetdiscover_text(one)
        found = read_ibnetdiscover(text, name="ib.txt", hosts=fabric.group_of if known else None)
        consistent(found)
        named = {level: members & set(fabric.group_of) for level, members in groups(found, "leaf").items()}
        return {name: members for name, members in named.items() if members}

    names = compute(fabric)
    assert set(names.values()) == truth(dict(fabric.group_of))
    for at in draw.sample(fabric.host_cables, 6):
        assert compute(fabric.without(at)) == names
        assert compute(fabric.moved(at, draw.choice(list(fabric.switches)[9:]))) == names


def test_a_rail_shared_by_two_groups_is_told_once() -> None:
    storage = "2c5eab0300ffff00"
    cables, adapters = list(POD.cables), dict(POD.adapters)
    hosts = [host for host, group in POD.group_of.items() if group < 2]
    for at, host in enumerate(hosts):
        adapters[f"e09d7303ffff{at:04x}"] = f"{host} mlx5_9"
        cables.append(Cable((storage, at + 1), (f"e09d7303ffff{at:04x}", 1)))
    switches = {**POD.switches, storage: "storage"}
    found = read(
        IbFabric(switches, adapters, tuple(cables), POD.group_of, POD.pod_of, POD.leaf, POD.host_cables)
    )
    assert groups(found, "leaf") == groups(read(POD), "leaf")
    (shared,) = of(found, "SharedLeaf")
    assert storage in shared.names
    assert len(shared.names) == 3
    assert not of(found, "MisplacedRail")
    assert not of(found, "FewerRails")


def test_a_leaf_that_lost_most_of_its_cables_is_told_once() -> None:
    leaf = POD.leaf[1, 1]
    lost = [at for at in POD.host_cables if POD.cables[at].one[0] == leaf][:4]
    fabric = POD
    for at in reversed(lost):
        fabric = fabric.without(at)
    found = read(fabric)
    assert groups(found, "leaf") == groups(read(POD), "leaf")
    (partial,) = of(found, "PartialLeaf")
    assert set(partial.names) == {leaf, *(parts(POD, at)[0] for at in lost)}
    assert not of(found, "MissingRail")
    assert not of(found, "MisplacedRail")


def test_adapters_in_another_order_are_told() -> None:
    one, other = POD.host_cables[5], POD.host_cables[6]
    cables = list(POD.cables)
    cables[one], cables[other] = (
        Cable(cables[other].one, cables[one].other), Cable(cables[one].one, cables[other].other),
    )  # fmt: skip
    found = read(IbFabric(POD.switches, POD.adapters, tuple(cables), POD.group_of, POD.pod_of, POD.leaf, ()))
    host, _, leaf = parts(POD, one)
    (swapped,) = of(found, "SwappedRail")
    assert set(swapped.names) == {host, leaf, parts(POD, other)[2]}
    assert swapped.severity == "note"
    assert groups(found, "leaf") == groups(read(POD), "leaf")


def test_two_machines_of_one_name_are_told() -> None:
    other = {guid: text.replace("gpu-002-03", "gpu-001-02") for guid, text in POD.adapters.items()}
    fabric = IbFabric(POD.switches, other, POD.cables, POD.group_of, POD.pod_of, POD.leaf, ())
    found = read(fabric)
    assert len(of(found, "DuplicateName")) == 4
    assert all("gpu-001-02" in finding.names for finding in of(found, "DuplicateName"))
    assert "leaf" not in found.nodes["gpu-001-02"]
    assert found.nodes["gpu-001-02"]["spine"]


def test_a_name_map_names_what_the_text_does_not() -> None:
    bare = {guid: FACTORY if "gpu-002" in text else text for guid, text in POD.adapters.items()}
    fabric = IbFabric(POD.switches, bare, POD.cables, POD.group_of, POD.pod_of, POD.leaf, ())
    lost = read(fabric)
    assert set(of(lost, "HostNotSeen")[0].names) == {
        host for host, group in POD.group_of.items() if group == 1
    }
    lines = [
        f'0x{guid.lstrip("0")} "{text if at % 2 else text.split()[0]}"'
        for at, (guid, text) in enumerate(POD.adapters.items())
        if "gpu-002" in text
    ]
    names = read_name_map("# names\n" + "\r\n".join(lines) + "\n\n", name="map")
    found = read_ibnetdiscover(ibnetdiscover_text(fabric), name="ib.txt", hosts=POD.group_of, names=names)
    assert found.nodes == read(POD).nodes
    assert not of(found, "MissingRail")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("what", "map:1"),
        ('0x1 "a"\n0x01 "b"', "one name"),
        ('0x1 ""', "map:1"),
        ('xyz "a"', "a GUID"),
        ("\0", "map:1"),
    ],
)
def test_a_name_map_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidSource, match="map:") as caught:
        read_name_map(text, name="map")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n1 mlx5_0", ("n1", "mlx5_0")),
        ("n1 HCA-1", ("n1", "HCA-1")),
        ("n1.example.com mlx5_bond_0", ("n1.example.com", "mlx5_bond_0")),
        ("n1 ibp12s0", ("n1", "ibp12s0")),
        ("n1 HCA-1/1", ("n1", "HCA-1/1")),
        ("n1", None),
        ("", None),
        (FACTORY, None),
        ("MT25408 ConnectX Mellanox Technologies", None),
        ("ConnectX7 mlx5_0", None),
        ("localhost mlx5_0", None),
        ("localhost.localdomain HCA-1", None),
        ("(none) mlx5_0", None),
        ("n1 something", None),
        ("two words mlx5_0", None),
    ],
)
def test_only_what_names_a_host_and_a_device_is_one(text: str, found: tuple[str, str] | None) -> None:
    adapter = HostNames(None).adapter(text)
    assert (adapter and (adapter.host, adapter.device)) == found


def test_names_that_could_be_two_hosts_are_none() -> None:
    names = HostNames(["n1.east", "n1.west", "N2", "n3"])
    assert names.member("n1") is None
    assert names.member("n1.EAST") == "n1.east"
    assert names.member("n2") == "N2"
    assert names.adapter("n3") is not None
