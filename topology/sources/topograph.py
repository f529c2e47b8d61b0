"""Labels that topograph writes: the 1.0 form and the two generations before it."""

from __future__ import annotations

import re

from topology.sources.family import Declared, Family, Tier, declare
from topology.sources.seen import Seen

OLD_PREFIX = "network.topology.nvidia.com/"
PREFIXES = ("fabric.topograph.run/", "accelerator.topograph.run/", OLD_PREFIX)

ACCELERATOR = "accelerator.topograph.run/domain"
SUB_DOMAIN = "accelerator.topograph.run/sub-domain"
OLD_ACCELERATOR = OLD_PREFIX + "accelerator"

_TIER = re.compile(r"fabric\.topograph\.run/tier-(\d+)")
_NAMES = ("leaf", "spine", "core")


def _old(source: str, core: str, spine: str, leaf: str) -> Family:
    names = zip(("core", "spine", "leaf"), (core, spine, leaf), strict=True)
    return Family(source, tuple(Tier(name, (OLD_PREFIX + key,)) for name, key in names))


NAMED = _old("topograph before 1.0", "core", "spine", "leaf")
BLOCKS = _old("topograph, early", "datacenter", "spine", "block")


def detect(seen: Seen) -> Declared:
    """The 1.0 tiers: tier 0 is the nearest switch; above the third they are called by their number."""
    numbers = sorted(
        (int(match.group(1)) for key in seen.label_keys() if (match := _TIER.fullmatch(key))), reverse=True
    )
    tiers = (Tier(_tier_name(number), (f"fabric.topograph.run/tier-{number}",)) for number in numbers)
    return declare(Family("topograph", tuple(tiers)), seen)


def _tier_name(number: int) -> str:
    return _NAMES[number] if number < len(_NAMES) else f"tier-{number}"


def detect_old(seen: Seen) -> Declared:
    """The labels before 1.0, of which both generations share the suffix "spine".

    The other suffixes tell them apart: `leaf` and `core` in the later one,
    `block` and `datacenter` in the earlier one. There a "block" is the nearest
    switch, finer than the spine, not a block of racks.
    """
    later = _carriers(seen, "leaf", "core")
    earlier = _carriers(seen, "block", "datacenter")
    family, other = (BLOCKS, NAMED) if earlier > later else (NAMED, BLOCKS)
    if not (later and earlier):
        return declare(family, seen)
    note = (
        f"{OLD_PREFIX}: {later} nodes carry the labels leaf or core and {earlier} block or datacenter; "
        f"read as {family.source}, and what only {other.source} wrote is left aside"
    )
    return declare(family, seen, notes=(note,))


def _carriers(seen: Seen, *suffixes: str) -> int:
    return max(seen.count(OLD_PREFIX + suffix) for suffix in suffixes)
