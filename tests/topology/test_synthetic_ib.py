"""Synthetic InfiniBand fabrics: what the generator promises to those who read its text."""

from __future__ import annotations

from collections import Counter

import pytest

from topology.synthetic_ib import AGGREGATION, FACTORY, ibnetdiscover_text, rail_fabric


@pytest.mark.parametrize("aligned", [False, True])
def test_every_port_has_one_cable_and_every_host_one_adapter_per_rail(aligned: bool) -> None:
    fabric = rail_fabric(
        2, rails=4, hosts=3, spines=8, pods=2, cores=16, aligned=aligned, factory=2, managers=2
    )
    ends = Counter(end for cable in fabric.cables for end in (cable.one, cable.other))
    assert max(ends.values()) == 1
    assert {guid for guid, _ in ends} == {*fabric.switches, *fabric.adapters}
    hosts = Counter(text.split()[0] for text in fabric.adapters.values() if text.startswith("gpu-"))
    assert set(hosts) == set(fabric.group_of)
    assert set(hosts.values()) == {4}
    assert len(fabric.host_cables) == 2 * 2 * 3 * 4
    for at in fabric.host_cables:
        host, device = fabric.adapters[fabric.cables[at].other[0]].split()
        assert fabric.cables[at].one[0] == fabric.leaf[fabric.group_of[host], int(device[-1])]
    texts = Counter(fabric.adapters.values())
    assert texts[FACTORY] == 2
    assert texts[AGGREGATION] == len(fabric.switches)


def test_aligned_spines_serve_one_rail_and_cores_one_spine_of_each_pod() -> None:
    fabric = rail_fabric(2, rails=4, hosts=2, spines=8, pods=2, cores=8, aligned=True, sharp=False)
    rail_of = {switch: rail for (_, rail), switch in fabric.leaf.items()}
    served: dict[str, set[int]] = {}
    joined: Counter[str] = Counter()
    for cable in fabric.cables:
        if cable.one[0] in rail_of and cable.other[0] in fabric.switches:
            served.setdefault(cable.other[0], set()).add(rail_of[cable.one[0]])
        elif "core" in fabric.switches.get(cable.other[0], ""):
            joined[cable.other[0]] += 1
    assert len(served) == 16
    assert all(len(rails) == 1 for rails in served.values())
    assert set(joined.values()) == {2}


def test_the_same_arguments_give_the_same_text_and_changes_leave_the_fabric_alone() -> None:
    one, other = rail_fabric(2, hosts=2), rail_fabric(2, hosts=2)
    text = ibnetdiscover_text(one)
    assert text == ibnetdiscover_text(other)
    at = one.host_cables[0]
    changed = [one.without(at), one.moved(at, one.leaf[1, 0]), one.slowed(at, "4xHDR")]
    assert len({text, *map(ibnetdiscover_text, changed)}) == 4
    assert ibnetdiscover_text(one) == text
