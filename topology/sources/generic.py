"""Labels of no particular vendor: Kubernetes' own, the keys of common examples, telling suffixes."""

from __future__ import annotations

from collections.abc import Collection

from topology.naming import natural_key
from topology.sources.family import Declared, Family, Tier, declare, present
from topology.sources.seen import Seen
from topology.spec import ADMINISTRATIVE, LevelSpec

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"

KUBERNETES = Family(ADMINISTRATIVE, places=(Tier("region", (REGION,)), Tier("zone", (ZONE,))))

EXAMPLES = Family(
    "cloud.provider.com",
    places=(
        Tier("block", ("cloud.provider.com/topology-block",)),
        Tier("rack", ("cloud.provider.com/topology-rack",)),
    ),
)

_SUFFIXES = {"superspine": "core", "spine": "spine", "block": "block", "leaf": "leaf", "rack": "rack"}


def detect_administrative(seen: Seen) -> tuple[LevelSpec, ...]:
    """Region and zone, where nodes carry them."""
    return present(KUBERNETES.places, seen, source=KUBERNETES.source)


def detect_examples(seen: Seen) -> Declared:
    """The block and rack keys that the examples of several schedulers use and people copy."""
    return declare(EXAMPLES, seen)


def detect_suffixes(
    seen: Seen, *, taken: Collection[str], known: Collection[str], prefixes: tuple[str, ...]
) -> tuple[LevelSpec, ...]:
    """Levels by the last word of a label key, for levels that nobody else declared.

    `taken` are level names that have an owner; keys in `known` or starting with
    one of `prefixes` belong to a family and are not read by their suffix.
    """
    keys = sorted(
        (key for key in seen.label_keys() if key not in known and not key.startswith(prefixes)),
        key=natural_key,
    )
    tiers = (
        Tier(name, tuple(key for key in keys if key.endswith("/" + suffix)))
        for suffix, name in _SUFFIXES.items()
        if name not in taken
    )
    return present(tiers, seen, source="label suffix")
