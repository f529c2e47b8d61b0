"""Groups, spreads and prices of placements small enough for paper; slots and F_gang of a small cluster."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.deep import SIZES, Mix, look
from benchmarks.simulate.linkmodel import H100
from benchmarks.simulate.pricing import ALONE, DP_BYTES, Sizes, arnold_score, fabric_of, groups, spread
from benchmarks.simulate.run import Options, prepare
from benchmarks.simulate.site import Site, Wishes
from benchmarks.simulate.traces.job import Job
from benchmarks.simulate.words import nodes_of, ranges

DOMAINS = {
    "spine": np.repeat(np.arange(2, dtype=np.int32), 4),
    "leaf": np.repeat(np.arange(4, dtype=np.int32), 2),
    "nvlink": np.arange(8, dtype=np.int32),
}
FABRIC = fabric_of(("spine", "leaf", "nvlink"), DOMAINS, H100)


def test_groups_of_a_gang_by_hand() -> None:
    """8 pods of 8 GPUs, TP 16 x PP 2: a tensor-parallel group is two pods, a replica four."""
    found = groups(8, 8, Sizes(16, 2))
    assert found.tensor.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.pipeline.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert found.data.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert spread(found.tensor, DOMAINS["leaf"]).tolist() == [1, 1, 1, 1]
    assert spread(found.pipeline, DOMAINS["leaf"]).tolist() == [2, 2, 2, 2]
    assert spread(found.data, DOMAINS["spine"]).tolist() == [2, 2, 2, 2]


def test_arnold_score_by_hand() -> None:
    found = groups(8, 8, Sizes(8, 2))
    straight = DOMAINS["spine"]
    assert arnold_score(found, straight, alpha=0.0) == 1.0
    assert arnold_score(found, straight, alpha=0.3) == pytest.approx(0.3 * 2 + 0.7 * 1)
    crossed = np.array([0, 1] * 4, dtype=np.int32)
    assert arnold_score(found, crossed, alpha=0.3) == pytest.approx(0.3 * 1 + 0.7 * 2)


def test_price_by_hand() -> None:
    """Two nodes of one leaf: half of a step's bytes would be on the network if a node had one GPU."""
    price = FABRIC.price(np.array([0, 1], dtype=np.int32), 8, ALONE)
    inside, outside = 2 * 7 / 8 * DP_BYTES, 2 * 1 / 2 * DP_BYTES / 8
    assert price.bytes_per_gpu == pytest.approx(inside + outside)
    assert price.leaving["nvlink"] == pytest.approx(outside)
    assert price.leaving["leaf"] == 0.0
    across = FABRIC.price(np.array([0, 4], dtype=np.int32), 8, ALONE)
    assert across.leaving["spine"] == pytest.approx(outside)
    assert across.time.us > price.time.us


@given(st.permutations(range(8)), st.sampled_from([ALONE, Sizes(8, 2), Sizes(16, 2), Sizes(4, 4)]))
def test_a_price_lies_in_its_range_and_no_more_leaves_further_out(order: list[int], sizes: Sizes) -> None:
    price = FABRIC.price(np.array(order, dtype=np.int32), 8, sizes)
    assert 0 < price.time.least_us <= price.time.us <= price.time.most_us
    shares = [price.share_leaving(level) for level in FABRIC.levels]
    assert all(a >= b for a, b in pairwise(shares))
    assert all(0 <= one <= 1 for one in shares)


def test_unequal_parts_cost_more() -> None:
    even = FABRIC.price(np.array([0, 1, 4, 5], dtype=np.int32), 8, ALONE)
    uneven = FABRIC.price(np.array([0, 1, 2, 4], dtype=np.int32), 8, ALONE)
    assert uneven.time.us > even.time.us


def job(name: str, pods: int, gpus: int) -> Job:
    return Job(name, 0.0, 1.0, pods, gpus)


def test_slots_and_fragmentation_by_hand() -> None:
    """4 nodes of 8 GPUs under two leaves; one node of each leaf has a job of 4 GPUs."""
    site = Site(cluster("hgx:1x2x2"), Wishes())
    site.take(job("a", 1, 4), np.array([0], dtype=np.int32))
    site.take(job("b", 1, 4), np.array([2], dtype=np.int32))
    mix = Mix()
    for one in (job("x", 2, 8), job("y", 1, 8), job("z", 1, 4), job("w", 1, 1)):
        mix.add(one)
    found = look(site, mix)
    at = {size: position for position, size in enumerate(SIZES)}
    assert found.slots["leaf"][at[8]] == 2
    assert found.slots["leaf"][at[16]] == 0, "each leaf has one whole node free"
    assert found.slots["cluster"][at[16]] == 1
    assert found.slots["leaf"][at[1]] == 24
    assert found.fgd == pytest.approx((8 + 8) / 4 / 32), "two of four kinds cannot use the two halves"
    assert found.gang == pytest.approx((24 + 8) / 4 / 32), "no leaf holds x; y leaves 8 of 24"


def test_tensor_parallel_groups_are_counted(tmp_path: Path) -> None:
    trace = tmp_path / "jobs.csv"
    trace.write_text("id,submit_s,duration_s,pods,gpus_per_pod\na,0,10,4,4\nb,0,10,1,4\n")
    changes: dict[str, Any] = {"cluster": "nvl72:2", "tensor": 8, "pipeline": 2}
    simulation = prepare(Options(str(trace), "plain", **changes))
    simulation.run()
    talk = simulation.document()["summary"]["communication"]
    assert (talk["tensor_groups"], talk["pipelines"]) == (2, 2)
    assert talk["tensor_groups_crossing"]["nvlink"] == 0
    assert talk["step_ratio"]["max"] == 1.0
    assert talk["arnold"] == {"alpha_0": 1.0, "alpha_0.3": 1.0}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_nodes_in_one_word_and_back(nodes: list[int]) -> None:
    word = ranges(np.array(sorted(nodes), dtype=np.int32))
    assert nodes_of(word) == {at: nodes.count(at) for at in sorted(set(nodes))}
