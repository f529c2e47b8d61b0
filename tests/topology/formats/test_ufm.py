"""UFM's ports, links and systems."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.topology.formats.breaking import consistent, damaged_json, survive
from topology.formats.ufm import looks_like_ufm, read_ufm
from topology.reading import InvalidSource, Reading
from topology.synthetic_ib import IbFabric, rail_fabric

FABRIC = rail_fabric(2, rails=3, hosts=4, spines=2, factory=1, managers=1)


def title(fabric: IbFabric, guid: str) -> str:
    return fabric.switches[guid].split(";")[1].partition(":")[0]


def ports(fabric: IbFabric, *, switches: bool = True, hosts: bool = True) -> list[dict[str, Any]]:
    """A fabric as UFM's ports, both ends of each cable."""
    made = []
    for cable in fabric.cables:
        for (guid, number), (peer, peer_number) in ((cable.one, cable.other), (cable.other, cable.one)):
            if not (switches if guid in fabric.switches else hosts):
                continue
            made.append({
                **end(fabric, guid, ""), **end(fabric, peer, "peer_"),
                "number": number, "name": f"{guid}_{number}", "peer": f"{peer}_{peer_number}", "guid": guid,
                "systemID": guid, "dname": f"{number}", "logical_state": "Active", "physical_state": "Up",
                "active_speed": cable.speed[2:], "active_width": cable.speed[:2], "tier": 1,
                "description": "Switch IB Port" if guid in fabric.switches else "Computer IB Port",
            })  # fmt: skip
    return made


def end(fabric: IbFabric, guid: str, prefix: str) -> dict[str, str]:
    text = fabric.switches.get(guid) or fabric.adapters[guid]
    name = title(fabric, guid) if guid in fabric.switches else text.split(" ", maxsplit=1)[0]
    system = (
        {"system_name": name}
        if not prefix
        else {"peer_node_name": name, "peer_guid": guid, "peer_node_guid": guid}
    )
    return {**system, f"{prefix}node_description": text}


def links(fabric: IbFabric) -> list[dict[str, Any]]:
    made = []
    for cable in fabric.cables:
        record: dict[str, Any] = {"width": "IB_4x", "severity": "Info", "capabilities": []}
        for side, (guid, number) in (("source", cable.one), ("destination", cable.other)):
            text = f"{title(fabric, guid)}:{number}" if guid in fabric.switches else fabric.adapters[guid]
            record |= {
                f"{side}_guid": guid,
                f"{side}_port": str(number),
                f"{side}_port_node_description": text,
            }
        made.append(record)
    return made


def systems(fabric: IbFabric) -> list[dict[str, Any]]:
    made = [
        {"system_guid": guid, "system_name": title(fabric, guid), "type": "switch"}
        for guid in fabric.switches
    ]
    for guid, text in fabric.adapters.items():
        made.append({"system_guid": guid, "system_name": text.split(" ", maxsplit=1)[0], "type": "host"})
    return made


def read(document: Any, hosts: Any = FABRIC.group_of) -> Reading:
    found = read_ufm(json.dumps(document), name="ufm.json", hosts=hosts)
    consistent(found)
    return found


def of(found: Reading, code: str) -> list[tuple[str, ...]]:
    return [finding.names for finding in found.findings if finding.code == code]


def right(found: Reading, fabric: IbFabric = FABRIC) -> bool:
    return found.levels == ("spine", "leaf") and all(
        found.nodes[host]["leaf"] == f"leaf-{fabric.leaf[group, 0]}"
        for host, group in fabric.group_of.items()
    )


@pytest.mark.parametrize(
    "document",
    [
        ports(FABRIC),
        list(reversed(ports(FABRIC))),
        ports(FABRIC, hosts=False),
        {"systems": systems(FABRIC), "ports": ports(FABRIC)},
        {"systems": systems(FABRIC), "ports": [{**one, "description": ""} for one in ports(FABRIC)]},
        links(FABRIC),
        {"systems": systems(FABRIC), "links": links(FABRIC)},
        {"systems": [], "ports": None, "links": links(FABRIC)},
    ],
    ids=["ports", "reversed", "switch-side", "systems", "no-kinds", "links", "systems-links", "links-only"],
)
def test_ports_and_links_give_leaf_groups(document: Any) -> None:
    found = read(document)
    assert right(found)
    assert not of(found, "MissingRail")
    assert not of(found, "MisplacedRail")
    assert of(found, "NotInCluster") == [("CUFM-01",)]


def test_host_ports_alone_give_leaf_groups_by_name() -> None:
    """As little as Volcano reads: system, peer, and what kind of port it is."""
    kept = ("system_name", "peer_node_name", "description", "node_description")
    found = read([{key: one[key] for key in kept} for one in ports(FABRIC, switches=False)])
    assert found.levels == ("leaf",)
    assert found.nodes["gpu-001-01"] == {"leaf": "leaf-leaf-001-r1"}
    assert found.nodes["gpu-002-04"] == {"leaf": "leaf-leaf-002-r1"}


def test_a_missing_cable_and_a_slow_link_are_told() -> None:
    at, slow = FABRIC.host_cables[4], FABRIC.host_cables[8]
    broken = FABRIC.slowed(slow, "2xNDR").without(at)
    found = read(ports(broken))
    assert right(found)
    assert of(found, "MissingRail") == [("2c5eab0300000200", "gpu-001-02")]
    assert len(of(found, "SlowLink")) == 1


def test_factory_descriptions_are_unmapped() -> None:
    assert len(of(read(ports(FABRIC)), "UnmappedAdapter")) == 1


def test_ports_that_are_down_are_no_cables() -> None:
    document = ports(FABRIC)
    gone = next(one for one in document if one["system_name"] == "gpu-001-01")
    for one in document:
        if gone["name"] in (one["name"], one["peer"]):
            one["logical_state"] = "Down"
    assert len(of(read(document), "MissingRail")) == 1


def test_nothing_is_guessed_about_ends_that_say_nothing() -> None:
    document = links(FABRIC)
    for one in document:
        if one["destination_guid"] in FABRIC.adapters:
            one["destination_port_node_description"] = ""
    with pytest.raises(InvalidSource, match="at least one cable"):
        read(document)
    found = read({"systems": systems(FABRIC), "links": document})
    assert right(found)


def test_a_cable_from_a_switch_to_itself_is_told() -> None:
    leaf = FABRIC.leaf[0, 0]
    record = {
        "source_guid": leaf, "destination_guid": leaf, "source_port": "60", "destination_port": "61",
        "source_port_node_description": "x:60", "destination_port_node_description": "x:61",
    }  # fmt: skip
    found = read([*links(FABRIC), record])
    assert right(found)
    assert of(found, "LoopbackCable") == [(leaf,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "JSON"),
        ("[", "ufm.json:1"),
        ("\0", "JSON"),
        ("[]", "ports or links"),
        ("{}", "ports or links"),
        ("[1, 2]", "ports or links"),
        ('[{"a": 1}]', "ports or links"),
        ('{"ports": 5}', "a list of objects"),
        ('{"ports": []}', "systems alone"),
        (json.dumps(systems(FABRIC)), "systems alone"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidSource, match=r"^ufm\.json") as caught:
        read_ufm(text, name="ufm.json")
    assert said in str(caught.value)


def test_the_format_is_recognised() -> None:
    assert looks_like_ufm(json.dumps(ports(FABRIC)))
    assert looks_like_ufm(json.dumps(links(FABRIC)))
    for other in ("", "[]", '{"instances": []}', "peer_node_name"):
        assert not looks_like_ufm(other)


def test_damaged_documents_are_read_or_refused() -> None:
    small = rail_fabric(2, rails=2, hosts=2, spines=1)
    samples = [
        json.dumps(document, indent=1)
        for document in (ports(small), links(small), {"systems": systems(small), "ports": ports(small)})
    ]
    taken, refused = survive(
        samples, lambda text: read_ufm(text, name="ufm.json"), rounds=600, damage=damaged_json
    )
    assert taken > 100
    assert refused > 20
