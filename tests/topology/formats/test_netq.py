"""NetQ's topology graph and NMX's compute nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.topology.formats.breaking import consistent, damaged_json, survive
from topology.formats.netq import looks_like_netq, read_netq
from topology.reading import InvalidSource, Reading

DOMAIN = "3fbfc98b-7f95-4749-ab11-bd351a2aab3e"
OTHER = "9c6f5af3-53bf-49b5-a436-b66766c413c3"


def device(key: str, name: str, tier: int) -> dict[str, Any]:
    kind = "switch" if tier > 0 else "discovered_via_lldp"
    return {"id": key, "name": name, "tier": tier, "device_type": kind, "node_type": "device", "size": 1}


def link(one: str, other: str, cables: int = 1) -> dict[str, Any]:
    inside = [
        {
            "id": f"{one}:swp{at}-*-{other}:eth{at}",
            "interfaces": [{"interface": f"swp{at}", "node": one}, {"interface": f"eth{at}", "node": other}],
        }
        for at in range(cables)
    ]
    return {"id": f"{one}-*-{other}", "src": one, "target": other, "size": cables, "compounded_links": inside}


def graph(leaves: int = 4, hosts: int = 4, spines: int = 2) -> list[dict[str, Any]]:
    """Pairs of leaves that share hosts, each host with two cables to either."""
    leaf = [device(f"l{at}", f"leaf-{at}", 1) for at in range(leaves)]
    spine = [device(f"s{at}", f"spine-{at}", 2) for at in range(spines)]
    host = [device(f"h{at}", f"dgx-{at:02d}", -1) for at in range(leaves // 2 * hosts)]
    links = [link(f"l{up}", f"s{at}", 4) for up in range(leaves) for at in range(spines)]
    links += [link(f"l{at // hosts * 2 + side}", f"h{at}", 2) for at in range(len(host)) for side in (0, 1)]
    nodes = [
        {"id": f"tier-{at}", "node_type": "tier", "tier": at, "compounded_nodes": inside}
        for at, inside in ((1, leaf), (2, spine), (-1, host))
    ]
    return [{"links": links, "nodes": nodes}]


def tray(name: str, domain: str = DOMAIN, chassis: int = 1) -> dict[str, Any]:
    return {
        "DomainUUID": domain, "GpuIDList": ["a", "b"], "Health": "HEALTHY", "ID": f"id-{name}",
        "LocationInfo": {"ChassisID": chassis, "ChassisSerialNumber": "18250241", "HostID": 1, "SlotID": 5},
        "Name": name,
    }  # fmt: skip


def read(document: Any, hosts: list[str] | None = None) -> Reading:
    found = read_netq(json.dumps(document), name="netq.json", hosts=hosts)
    consistent(found)
    return found


def codes(found: Reading) -> list[str]:
    return [finding.code for finding in found.findings]


def test_leaves_that_share_hosts_are_one_domain() -> None:
    found = read(graph())
    assert found.levels == ("spine", "leaf")
    assert found.nodes["dgx-00"] == {"leaf": "leaf-leaf-0", "spine": "spine-spine-0"}
    assert found.nodes["dgx-07"] == {"leaf": "leaf-leaf-2", "spine": "spine-spine-0"}
    assert codes(found) == []


def test_a_missing_cable_keeps_the_groups_and_is_told() -> None:
    document = graph()
    document[0]["links"] = [one for one in document[0]["links"] if one["id"] != "l0-*-h1"]
    found = read(document)
    assert found.nodes == read(graph()).nodes
    (missing,) = found.findings
    assert (missing.code, missing.names) == ("MissingRail", ("dgx-01", "leaf-0"))


def test_either_order_of_ends_and_repeated_links_are_the_same() -> None:
    document = graph()
    document[0]["links"] += [link("h0", "l0", 2), *document[0]["links"]]
    assert read(document).nodes == read(graph()).nodes


def test_other_machines_are_left_aside() -> None:
    found = read(graph(), hosts=["dgx-00", "dgx-01.example.com", "gone"])
    assert set(found.nodes) == {"dgx-00", "dgx-01.example.com", "gone"}
    assert "NotInCluster" in codes(found)
    assert "HostNotSeen" in codes(found)


def test_faults_of_a_graph_are_told_and_cost_no_more() -> None:
    document = graph()
    document[0]["links"] += [{"id": "l0-*-nobody"}, {"id": "what"}, 7]
    document[0]["nodes"][0]["compounded_nodes"] += [device("l1", "leaf-9", 1), {"name": "no id"}]
    found = read(document)
    assert found.nodes == read(graph()).nodes
    assert set(codes(found)) == {"UnknownDevice", "OddRecord", "DuplicateDevice"}


def test_switches_of_one_name_are_told_apart_by_id() -> None:
    document = graph()
    for one in document[0]["nodes"][0]["compounded_nodes"]:
        one["name"] = "leaf"
    assert read(document).nodes["dgx-04"]["leaf"] == "leaf-l2"


def test_compute_nodes_give_nvlink_domains() -> None:
    found = read([tray("n1"), tray("n2"), tray("n3", OTHER)])
    assert (found.levels, found.partitions) == ((), ("nvlink",))
    assert found.nodes == {"n1": {"nvlink": DOMAIN}, "n2": {"nvlink": DOMAIN}, "n3": {"nvlink": OTHER}}
    assert codes(found) == ["CliqueNotKnown"]


def test_a_domain_over_several_chassis_has_parts() -> None:
    found = read([tray("n1"), tray("n2", chassis=2), tray("n3", OTHER)])
    assert found.partitions == ("nvlink", "nvlink-sub")
    assert found.nodes["n2"] == {"nvlink": DOMAIN, "nvlink-sub": f"{DOMAIN}-c2"}
    assert "nvlink-sub" not in found.nodes["n3"]


def test_faults_of_compute_nodes_are_told() -> None:
    sick = {**tray("n4"), "Health": "UNHEALTHY"}
    found = read([tray("n1"), tray("n1", OTHER), {"ID": "x"}, sick, tray("n5")], hosts=["n1", "n4", "n6"])
    assert found.nodes == {"n1": {}, "n4": {"nvlink": DOMAIN}, "n6": {}}
    assert set(codes(found)) == {"OddRecord", "NodeTwice", "NodeUnhealthy", "HostNotSeen", "CliqueNotKnown"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "JSON"),
        ('[{"nodes": [', "netq.json:1"),
        ("\0", "JSON"),
        ("[" * 100_000, "JSON"),
        ("{}", "topology graph"),
        ("[]", "topology graph"),
        ('[{"nodes": [], "links": []}, {"nodes": []}]', "one topology graph"),
        ('[{"nodes": [], "links": []}]', "at least one cable"),
        ('[{"DomainUUID": 5.5}]', "at least one node"),
        ('{"DomainUUID": "x"}', "a list"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidSource, match=r"^netq\.json") as caught:
        read_netq(text, name="netq.json")
    assert said in str(caught.value)


def test_the_format_is_recognised() -> None:
    assert looks_like_netq(json.dumps(graph()))
    assert looks_like_netq(json.dumps([tray("n1")], indent=1))
    for other in ("", "[]", '{"instances": []}', "compounded_nodes"):
        assert not looks_like_netq(other)


def test_damaged_documents_are_read_or_refused() -> None:
    samples = [json.dumps(graph(), indent=1), json.dumps([tray("n1"), tray("n2", chassis=2)], indent=1)]
    taken, refused = survive(
        samples, lambda text: read_netq(text, name="netq.json"), rounds=600, damage=damaged_json
    )
    assert taken > 100
    assert refused > 20
