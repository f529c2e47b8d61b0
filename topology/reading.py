"""What a file or an API object says about the fabric, in one form whatever its format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from topology.model import Fabric
from topology.naming import natural_key
from topology.sources.generic import REGION, ZONE
from topology.sources.topograph import ACCELERATOR, SUB_DOMAIN
from topology.spec import NVLINK, FabricNode, FabricSpec, InvalidTopology, LevelSpec

ERROR, WARNING, NOTE = "error", "warning", "note"
"""Severities: the fabric contradicts itself; something is likely wrong; something to know."""

SWITCH_NAMES = ("leaf", "spine", "core")
"""Canonical names of switch tiers, nearest the nodes first; further ones are "tier-3", "tier-4" and so on."""

NVLINK_SUB = "nvlink-sub"
OWN_PREFIX = "lockstep.scheduling/"
LONGEST_LABEL = 63

_KEYS = {NVLINK: ACCELERATOR, NVLINK_SUB: SUB_DOMAIN, "region": REGION, "zone": ZONE}
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_WHOLE_KEY = re.compile(r"[a-z0-9][-a-z0-9.]{0,252}/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


class InvalidSource(InvalidTopology):
    """A file or object that cannot be used at all; the message says where, what, and what would be right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in a source, never silently dropped.

    `code` is CamelCase and stable. `where` is "file:line" or "Kind/name field".
    `names` are all nodes, switches or domains involved, in natural order.
    """

    code: str
    severity: str
    where: str
    names: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source says about the fabric.

    `levels` run coarse to fine and nest; `partitions` are hierarchies of their
    own. `nodes` gives per node its domain in each level or partition; what is
    missing is not known. `evidence` tells in sentences where the levels are from.
    """

    source: str
    levels: tuple[str, ...]
    partitions: tuple[str, ...]
    nodes: Mapping[str, Mapping[str, str]]
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()


def invalid(where: str, field: str, value: object, wanted: str) -> InvalidSource:
    """The error in the words its author needs; a long value is cut."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return InvalidSource(f"{where}: {field} is {shown}; expected: {wanted}")


def tier_name(number: int) -> str:
    """The canonical name of a switch tier, 0 nearest the nodes."""
    return SWITCH_NAMES[number] if number < len(SWITCH_NAMES) else f"tier-{number}"


def tier_number(level: str) -> int | None:
    """The tier that a canonical name means; None when the level is no switch tier."""
    if level in SWITCH_NAMES:
        return SWITCH_NAMES.index(level)
    digits = level.removeprefix("tier-")
    return int(digits) if digits != level and digits.isdecimal() and len(digits) <= 3 else None


def label_key(level: str) -> str:
    """The node label that carries a level: topograph's or Kubernetes' where they have one, else our own.

    A level that is called by its whole label key keeps it.
    """
    number = tier_number(level)
    if number is not None:
        return f"fabric.topograph.run/tier-{number}"
    if level in _KEYS:
        return _KEYS[level]
    return level if _WHOLE_KEY.fullmatch(level) else OWN_PREFIX + label_value(level)


def label_value(name: str) -> str:
    """A name as a label value: itself where it may be one, else x and its 64-bit FNV-1a hash in hex.

    The same as topograph does with values above 63 characters.
    """
    fits = len(name) <= LONGEST_LABEL and _LABEL_VALUE.fullmatch(name)
    return name if fits else f"x{fnv_hash(name)}"


def fnv_hash(name: str) -> str:
    """The 64-bit FNV-1a hash of a name, in hex."""
    value = 0xCBF29CE484222325
    for byte in name.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:x}"


def labels_of(reading: Reading) -> Iterator[tuple[str, dict[str, str]]]:
    """Per node, in natural order, the labels that say where it is; values stand as they are."""
    names = (*reading.levels, *reading.partitions)
    for node in natural(reading.nodes):
        known = reading.nodes[node]
        yield node, {label_key(level): known[level] for level in names if known.get(level)}


def fabric_of(reading: Reading) -> Fabric:
    """The fabric that a reading describes; a node that is in no NVLink domain is its own.

    Raises InvalidTopology for a level that is named twice.
    """
    levels, partitions = (
        tuple(LevelSpec(name, label_key(name), reading.source) for name in names)
        for names in (reading.levels, reading.partitions)
    )
    if NVLINK not in (*reading.levels, *reading.partitions):
        partitions = (*partitions, LevelSpec(NVLINK, label_key(NVLINK), reading.source))
    spec = FabricSpec(levels, partitions, (f"levels as {reading.source} gives them",))
    return Fabric(spec, (FabricNode(name, labels) for name, labels in labels_of(reading)))


def natural(names: Iterable[str]) -> tuple[str, ...]:
    """Names in natural order, each once."""
    return tuple(sorted(set(names), key=natural_key))
