"""What all readers share: names of levels, label keys, the way to a fabric."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.formats.keys import level_of, level_of_word
from topology.model import InvalidTopology
from topology.reading import InvalidSource, Reading, fabric_of, label_key, labels_of, tier_name, tier_number

KEY = re.compile(r"([a-z0-9.-]{1,253}/)[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

CANONICAL = (
    "leaf",
    "spine",
    "core",
    "tier-3",
    "tier-12",
    "rack",
    "block",
    "nvlink",
    "nvlink-sub",
    "region",
    "zone",
)


@pytest.mark.parametrize("level", CANONICAL)
def test_a_canonical_level_has_a_label_that_means_it(level: str) -> None:
    assert level_of(label_key(level)) == level


def test_topograph_and_kubernetes_keys_where_there_are_any() -> None:
    assert label_key("leaf") == "fabric.topograph.run/tier-0"
    assert label_key("nvlink") == "accelerator.topograph.run/domain"
    assert label_key("zone") == "topology.kubernetes.io/zone"
    assert label_key("rack") == "lockstep.scheduling/rack"
    assert label_key("example.com/room") == "example.com/room"


@given(st.text(min_size=1, max_size=100))
def test_every_level_has_a_label_key_that_kubernetes_takes(level: str) -> None:
    assert KEY.fullmatch(label_key(level))


@given(st.integers(0, 40))
def test_tiers_have_names(number: int) -> None:
    assert tier_number(tier_name(number)) == number


@pytest.mark.parametrize(
    ("key", "level"),
    [
        ("topology.k8s.aws/network-node-layer-3", "leaf"), ("topology.k8s.aws/network-node-layer-1", "core"),
        ("oci.oraclecloud.com/rdma.local_block_id", "leaf"), ("cloud.google.com/gce-topology-block", "spine"),
        ("network.topology.nvidia.com/leaf", "leaf"), ("network.topology.nvidia.com/datacenter", "core"),
        ("backend.coreweave.cloud/leafgroup", "leaf"), ("cloud.provider.com/topology-rack", "rack"),
        ("nvidia.com/gpu.clique", "nvlink"), ("accelerator.topograph.run/sub-domain", "nvlink-sub"),
        ("kubernetes.io/hostname", "node"), ("example.com/rack", "rack"), ("example.com/superspine", "core"),
        ("alibabacloud.com/asw-id", "asw"), ("lockstep.scheduling/rack", "rack"), ("///", "level"),
    ],
)  # fmt: skip
def test_label_keys_mean_levels(key: str, level: str) -> None:
    assert level_of(key) == level


@pytest.mark.parametrize(
    ("word", "level"),
    [("SpineLayer", "spine"), ("AcceleratorLayer", "nvlink"), ("ASWTopologyLayer", "asw"), ("Rack", "rack")],
)
def test_words_mean_levels(word: str, level: str) -> None:
    assert level_of_word(word) == level


READING = Reading(
    "x", ("spine", "leaf"), (), {"n10": {"leaf": "b", "spine": "s"}, "n2": {"leaf": "a", "spine": ""}}
)


def test_a_fabric_of_a_reading() -> None:
    fabric = fabric_of(READING)
    assert fabric.path("n10") == {"spine": "s", "leaf": "s/b", "nvlink": "n10"}
    assert fabric.level_names() == ("spine", "leaf", "nvlink", "node")
    assert [name for name, _ in labels_of(READING)] == ["n2", "n10"]


def test_a_level_that_is_listed_twice() -> None:
    with pytest.raises(InvalidTopology, match="listed twice"):
        fabric_of(Reading("x", ("leaf",), ("leaf",), {}))
    assert issubclass(InvalidSource, InvalidTopology)
