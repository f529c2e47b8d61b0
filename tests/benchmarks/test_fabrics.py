"""Clusters by a word: fat trees of any depth, rail-optimised units, topology files; what is none is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.site import Site, Wishes
from scheduler.model import InvalidInput


@pytest.mark.parametrize(
    ("word", "nodes", "domains"),
    [
        ("fattree:3x4", 12, {"leaf": 3}),
        ("fattree:2x3x4", 24, {"spine": 2, "leaf": 6}),
        ("fattree:2x2x2x3", 24, {"core": 2, "spine": 4, "leaf": 8}),
        ("superpod:2", 64, {"leaf": 2}),
        ("rail:2x2", 128, {"spine": 2, "leaf": 4}),
    ],
)
def test_a_word_makes_a_fabric(word: str, nodes: int, domains: dict[str, int]) -> None:
    site = Site(cluster(word), Wishes())
    assert len(site.names) == nodes
    for level, count in domains.items():
        assert int(site.domain_of[level].max()) + 1 == count


def test_a_topology_file_of_slurm(tmp_path: Path) -> None:
    file = tmp_path / "topology.conf"
    file.write_text("SwitchName=l1 Nodes=n[1-4]\nSwitchName=l2 Nodes=n[5-8]\nSwitchName=s1 Switches=l[1-2]\n")
    site = Site(cluster(f"topology:{file}"), Wishes())
    assert len(site.names) == 8
    assert int(site.domain_of["leaf"].max()) + 1 == 2
    assert site.open_gpus == 64


@pytest.mark.parametrize(
    "word", ["fattree:3", "fattree:0x2", "rail:1", "fattree:9999x9999", "topology:absent.conf"]
)
def test_what_is_none_is_told(word: str) -> None:
    with pytest.raises(InvalidInput):
        cluster(word)
