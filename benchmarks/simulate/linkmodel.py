"""What communication costs by where it has to go: links, latencies, and times of collectives.

Constants: link rates of vendors; latencies and efficiencies fitted to public measurements (NCCL and
DeepEP tables of `ai-dynamo/aiconfigurator`; `calibration` compares); losses across spines from the
NCCL measurements of Arnold (arXiv 2509.15940). Every time comes with the range it may lie in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

MODEL_ERROR = 0.10
"""Largest relative error at the calibration points; part of every range."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A kind of way between two ranks.

    `latency_us`: of one message; `gb_s`: what a GPU gets in one direction of a collective, after
    efficiency; `least_gb_s`, `most_gb_s`: the range it may be in; `pair_gb_s`: of a point-to-point
    transfer, and the least of it.
    """

    name: str
    latency_us: float
    gb_s: float
    least_gb_s: float
    most_gb_s: float
    pair_gb_s: float
    pair_least_gb_s: float


@dataclass(frozen=True, slots=True)
class System:
    """The links of a kind of machine: inside the NVLink domain, and further and further out."""

    name: str
    nvlink: Tier
    leaf: Tier
    spine: Tier
    core: Tier
    expert_gb_s: float
    expert_latency_us: float

    def tier(self, level: str) -> Tier:
        """The way between two ranks in different domains of a level; the node counts as NVLink's edge."""
        named = {"nvlink": self.leaf, "node": self.leaf, "leaf": self.spine, "rack": self.leaf}
        return named.get(level, self.core)


def _network(name: str, rate_gb_s: float, latency_us: float, *, taper: float, worst: float) -> Tier:
    """A tier of the network at 0.9 of its nominal rate; `taper` of it across switches of a level,
    `worst` of it for point-to-point transfers under contention."""
    full = 0.9 * rate_gb_s
    return Tier(name, latency_us, full * taper, full * min(taper, 0.83), full, full, full * worst)


_ONE_NIC = (
    _network("leaf", 50.0, 2.8, taper=1.0, worst=1.0),
    _network("spine", 50.0, 3.7, taper=1.0, worst=0.83),
    _network("core", 50.0, 4.7, taper=0.83, worst=0.30),
)
"""Leaf, spine and core of a fabric of 400 Gb/s with one adapter per GPU, as both systems have it."""
H100 = System(
    "H100, 8 GPUs, one 400 Gb/s NIC each",
    Tier("nvlink", 3.6, 406.0, 290.0, 450.0, 406.0, 290.0),
    *_ONE_NIC,
    expert_gb_s=213.0,
    expert_latency_us=22.5,
)
GB200 = System(
    "GB200 NVL72, one 400 Gb/s NIC per GPU",
    Tier("nvlink", 5.0, 588.0, 496.0, 900.0, 588.0, 496.0),
    *_ONE_NIC,
    expert_gb_s=540.0,
    expert_latency_us=25.0,
)
_RACK_SCALE = ("NVIDIA-GB200", "NVIDIA-GB300")
_NETWORK_EXPERT_US = 42.0
_NETWORK_EXPERT_STEP_US = 6.0
_NVLINK_EXPERT_STEP_US = 1.3


def system_of(product: str) -> System:
    """The links of machines of a GPU product; unknown ones count as H100 machines."""
    return GB200 if product.startswith(_RACK_SCALE) else H100


@dataclass(frozen=True, slots=True)
class Time:
    """Microseconds, and the range that they may be in."""

    us: float
    least_us: float
    most_us: float

    def __add__(self, other: Time) -> Time:
        return Time(self.us + other.us, self.least_us + other.least_us, self.most_us + other.most_us)

    def times(self, count: float) -> Time:
        """So many of it, one after another."""
        return Time(self.us * count, self.least_us * count, self.most_us * count)

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Estimate, least, most."""
        return self.us, self.least_us, self.most_us


NOTHING = Time(0.0, 0.0, 0.0)


def _moved(tier: Tier, latency_us: float, byte_count: float) -> Time:
    """Latency, then bytes at the tier's rate."""
    us, least_us, most_us = (
        latency_us + byte_count / (rate * 1e3) for rate in (tier.gb_s, tier.most_gb_s, tier.least_gb_s)
    )
    return Time(us, least_us * (1 - MODEL_ERROR), most_us * (1 + MODEL_ERROR))


def all_reduce(tiers: Sequence[tuple[Tier, int, int]], byte_count: float) -> Time:
    """A hierarchical all-reduce of a message of `byte_count` per rank.

    `tiers`: from the inside out the tier, and the most and the fewest parts that meet over it anywhere
    (ranks inside an innermost domain, then domains inside the next one). Inside every tier a
    reduce-scatter before and an all-gather after the ones further out, on a share of the message
    that the fewest parts leave: that is why unequal parts cost.
    """
    total, share = NOTHING, byte_count
    for tier, most, fewest in tiers:
        if most > 1:
            moved = 2 * (most - 1) / most * share
            total = total + _moved(tier, 2 * tier.latency_us * max(log2(most), 1), moved)
        share /= fewest
    return total


def flat_all_reduce(tier: Tier, ranks: int, byte_count: float) -> Time:
    """An all-reduce in one ring whose slowest link is of that tier."""
    return all_reduce([(tier, ranks, ranks)], byte_count)


def transfer(tier: Tier, byte_count: float) -> Time:
    """One message between two ranks."""
    us, least_us, most_us = (
        tier.latency_us + byte_count / (rate * 1e3)
        for rate in (tier.pair_gb_s, tier.pair_gb_s, tier.pair_least_gb_s)
    )
    return Time(us, least_us * (1 - MODEL_ERROR), most_us * (1 + MODEL_ERROR))


def expert_exchange(system: System, *, ranks: int, domains: int, tokens: int, hidden: int, top: int) -> Time:
    """Dispatch (one byte an element) and combine (two) of `tokens` tokens per GPU over `ranks` GPUs in
    so many NVLink domains of equal size: the slower of NVLink and network, and the latency of both ways."""
    volume = 3.0 * top * hidden * tokens
    outside = 1 - 1 / domains
    inside = volume * (1 - 1 / ranks if domains == 1 else 1 / domains)
    if domains == 1:
        latency_us = system.expert_latency_us + _NVLINK_EXPERT_STEP_US * max(log2(ranks / 8), 0)
        us = latency_us + inside / (system.expert_gb_s * 1e3)
    else:
        latency_us = _NETWORK_EXPERT_US + _NETWORK_EXPERT_STEP_US * log2(domains / 2)
        crossing_us = volume * outside / (system.leaf.gb_s * 1e3)
        us = latency_us + max(crossing_us, inside / (system.expert_gb_s * 1e3))
    return Time(us, us * (1 - MODEL_ERROR), us * (1 + MODEL_ERROR))
