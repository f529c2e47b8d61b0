"""Azure publishes no label of its fabric: NVLink domains come from the clique, switches from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from topology.sources.seen import Seen
from topology.spec import LevelSpec

CLUSTER = "kubernetes.azure.com/cluster"
_SWITCHES = ("core", "spine", "leaf")


def remarks(seen: Seen, levels: Sequence[LevelSpec]) -> Iterator[str]:
    """What to do about switches on AKS, where nothing else tells of them."""
    if seen.count(CLUSTER) and not any(level.name in _SWITCHES for level in levels):
        yield (
            f"azure: {seen.count(CLUSTER)} nodes of AKS, which has no labels for switches; "
            "import what topograph or ibnetdiscover say to know them"
        )
