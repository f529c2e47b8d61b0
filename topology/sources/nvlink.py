"""The NVLink domain: always a partition of its own, by the first of these labels that any node carries."""

from __future__ import annotations

from topology.sources import aws, coreweave, topograph
from topology.sources.seen import Seen
from topology.spec import NVLINK, LevelSpec

CLIQUE = "nvidia.com/gpu.clique"

_PREFERENCE = (
    (CLIQUE, "nvidia"),
    (coreweave.NVLINK_DOMAIN, "coreweave"),
    (topograph.ACCELERATOR, "topograph"),
    (topograph.OLD_ACCELERATOR, "topograph before 1.0"),
    (aws.ULTRASERVER, "aws"),
)

KEYS = frozenset(key for key, _ in _PREFERENCE)


def detect(seen: Seen) -> tuple[LevelSpec, ...]:
    """The NVLink partition and, where topograph knows one, its division into sub-domains.

    The clique is what the driver itself reports, so it goes before what others derive.
    """
    label, source = next(
        ((key, source) for key, source in _PREFERENCE if seen.count(key)), (CLIQUE, "nvidia")
    )
    nvlink = LevelSpec(NVLINK, label, source)
    if not seen.count(topograph.SUB_DOMAIN):
        return (nvlink,)
    return nvlink, LevelSpec("nvlink-sub", topograph.SUB_DOMAIN, "topograph")


def tell(seen: Seen, nvlink: LevelSpec) -> str:
    """The evidence sentence; that nodes lack the label is normal."""
    if seen.count(nvlink.label):
        return f"{seen.tell(nvlink)}; any other node is its own domain"
    return f"{NVLINK}: no node carries {CLIQUE} or another NVLink label, so each node is its own domain"
