"""Labels that Volcano's label discovery is commonly set up to read.

The real list is in its configuration; these are the keys of its samples. The
finest of them that nodes carry is the leaf.
"""

from __future__ import annotations

from topology.sources.family import Declared, Family, Tier, declare
from topology.sources.seen import Seen

SOURCE = "volcano"

_FINE_TO_COARSE = ("volcano.sh/tor", "volcano.sh/hypernode", "volcano.sh/hypercluster")
KEYS = frozenset(_FINE_TO_COARSE)


def detect(seen: Seen) -> Declared:
    """The tiers that nodes carry: leaf, spine and core from the finest on."""
    present = [key for key in _FINE_TO_COARSE if seen.count(key)]
    tiers = [Tier(name, (key,)) for name, key in zip(("leaf", "spine", "core"), present, strict=False)]
    return declare(Family(SOURCE, tuple(reversed(tiers))), seen)
