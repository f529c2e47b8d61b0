"""The link model against measurements: dispatch and combine on NVLink and over the network, all-reduces."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.simulate.linkmodel import (
    GB200,
    H100,
    MODEL_ERROR,
    all_reduce,
    expert_exchange,
    flat_all_reduce,
    transfer,
)

# Microseconds of dispatch + combine, hidden 7168, top 8: tokens per GPU, then EP 8, 16, 32, 64.
NVLINK = {32: (34, 36, 36, 41), 64: (43, 45, 47, 52), 128: (60, 64, 69, 70), 256: (99, 103, 110, 114)}
NETWORK = {
    32: (45, 101, 142, 159),
    64: (69, 159, 231, 257),
    128: (112, 290, 410, 471),
    256: (203, 515, 763, 886),
}


@pytest.mark.parametrize("tokens", [32, 64, 128, 256])
@pytest.mark.parametrize("at", range(4))
def test_expert_exchange_is_within_the_stated_error(tokens: int, at: int) -> None:
    ranks = 8 << at
    inside = expert_exchange(GB200, ranks=ranks, domains=1, tokens=tokens, hidden=7168, top=8)
    outside = expert_exchange(H100, ranks=ranks, domains=1 << at, tokens=tokens, hidden=7168, top=8)
    for time, measured in ((inside, NVLINK[tokens][at]), (outside, NETWORK[tokens][at])):
        assert abs(time.us / measured - 1) <= MODEL_ERROR
        assert time.least_us <= measured <= time.most_us


def test_leaving_the_domain_costs_what_was_measured() -> None:
    """From 8 to 64 GPUs: a fifth more inside NVLink, three to five times as long over the network."""

    def growth(system: object, *, spread: bool) -> float:
        found = [
            expert_exchange(
                system,  # type: ignore[arg-type]
                ranks=ranks,
                domains=ranks // 8 if spread else 1,
                tokens=128,
                hidden=7168,
                top=8,
            ).us
            for ranks in (8, 64)
        ]
        return found[1] / found[0] - 1

    assert 0.10 < growth(GB200, spread=False) < 0.25
    assert 2.5 < growth(H100, spread=True) < 3.5


@pytest.mark.parametrize(
    ("megabytes", "measured_us"), [(32, 177.8), (64, 323.0), (128, 577.0), (256, 1091.0), (512, 2111.0)]
)
def test_large_all_reduces_in_one_machine(megabytes: int, measured_us: float) -> None:
    time = flat_all_reduce(H100.nvlink, 8, megabytes * (1 << 20))
    assert time.least_us <= measured_us <= time.most_us


def test_splitting_a_tensor_parallel_group_doubles_its_time() -> None:
    """1 MiB over 8 GPUs in one machine, and over two: 15 us measured, 30 to 35 us estimated elsewhere."""
    whole = flat_all_reduce(H100.nvlink, 8, 1 << 20)
    split = all_reduce([(H100.nvlink, 4, 4), (H100.leaf, 2, 2)], 1 << 20)
    assert whole.us < split.us
    assert whole.most_us >= 15
    assert split.most_us >= 30


def test_farther_is_never_cheaper() -> None:
    tiers = [H100.nvlink, H100.leaf, H100.spine, H100.core]
    for byte_count in (1 << 20, 1 << 30):
        pairs = [transfer(tier, byte_count) for tier in tiers]
        rings = [flat_all_reduce(tier, 16, byte_count) for tier in tiers]
        for times in (pairs, rings):
            assert all(a.us <= b.us for a, b in pairwise(times[1:]))
            assert all(one.least_us <= one.us <= one.most_us for one in times)
