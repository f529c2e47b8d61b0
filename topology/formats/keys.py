"""Which level a node label key means, for sources that name keys one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from topology.reading import NVLINK_SUB, OWN_PREFIX, invalid, tier_name
from topology.sources import aws, coreweave, crusoe, gcp, generic, nvlink, oci, topograph
from topology.sources.family import Family
from topology.spec import HOSTNAME, NODE, NVLINK

_FAMILIES = (
    aws.FAMILY,
    coreweave.FAMILY,
    crusoe.FAMILY,
    gcp.FAMILY,
    oci.FAMILY,
    topograph.NAMED,
    topograph.BLOCKS,
    generic.KUBERNETES,
    generic.EXAMPLES,
)

TEST_ACCELERATOR = "accelerator.topology.test/domain"
TEST_SUB_DOMAIN = "accelerator.topology.test/sub-domain"
EARLY_ACCELERATOR = "accelerated.topology.nvidia.com/level-0"
"""Keys by which topograph's models name NVLink domains, besides those on nodes."""

NVLINK_KEYS = (nvlink.CLIQUE, *sorted(nvlink.KEYS - {nvlink.CLIQUE}), TEST_ACCELERATOR, EARLY_ACCELERATOR)
SUB_KEYS = (topograph.SUB_DOMAIN, TEST_SUB_DOMAIN)

_LINKS = {**dict.fromkeys(NVLINK_KEYS, NVLINK), **dict.fromkeys(SUB_KEYS, NVLINK_SUB)}

_TIER = re.compile(r"fabric\.topograph\.run/tier-([0-9]{1,2})")
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


def _families(families: Iterable[Family]) -> dict[str, str]:
    found: dict[str, str] = {}
    for family in families:
        for tier in (*family.switches, *family.places):
            for key in tier.keys:
                found.setdefault(key, tier.name)
    return found


_LEVELS: Mapping[str, str] = {
    **_families(_FAMILIES),
    **_LINKS,
}


def level_of(key: str) -> str:
    """The level that a label key means, by its last word where nobody knows it. The host name is "node"."""
    if key == HOSTNAME:
        return NODE
    if found := _TIER.fullmatch(key):
        return tier_name(int(found[1]))
    if key in _LEVELS:
        return _LEVELS[key]
    word = key.removeprefix(OWN_PREFIX).rpartition("/")[2]
    return level_of_word(word)


def level_of_word(word: str) -> str:
    """The level that a word such as "topology-rack" or "SpineLayer" means; else the word, made plain."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", word).lower()
    plain = _NOT_PLAIN.sub("-", spaced).strip("-")
    trimmed = re.sub(r"^(topology|network)-|-(topology-layer|layer|domain|id)$", "", plain)
    usual = {"superspine": "core", "clique": NVLINK, "accelerator": NVLINK, "host": NODE, "hostname": NODE}
    return usual.get(trimmed, trimmed) or plain or "level"


def levels_of(keys: Iterable[str], *, where: str) -> dict[str, str]:
    """{key: level} of label keys coarse to fine; two that mean the same level keep their whole keys.

    Raises InvalidSource for a key that is listed twice.
    """
    found: dict[str, str] = {}
    for key in keys:
        if key in found:
            raise invalid(where, "levels", key, "each label once")
        found[key] = level_of(key)
    return apart(found)


def links(labels_per_node: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """{label key: partition} of the NVLink labels that any node carries; the first known key of each."""
    carried = {key for labels in labels_per_node for key in _LINKS if labels.get(key)}
    found: dict[str, str] = {}
    for key, part in _LINKS.items():
        if key in carried and part not in found.values():
            found[key] = part
    return found


def apart(levels: Mapping[str, str]) -> dict[str, str]:
    """{key: level} where no two keys give one level: those that do keep their whole keys."""
    names = list(levels.values())
    return {key: key if names.count(name) > 1 else name for key, name in levels.items()}
