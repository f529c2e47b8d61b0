"""Levels as the configuration lists them; nothing is detected then."""

from __future__ import annotations

from collections.abc import Iterable

from topology.sources.nvlink import CLIQUE
from topology.spec import HOSTNAME, NVLINK, FabricSpec, InvalidTopology, LevelSpec

SOURCE = "configuration"


def configured(levels: Iterable[tuple[str, str]], partitions: Iterable[tuple[str, str]] = ()) -> FabricSpec:
    """The specification of (name, label) pairs, coarse to fine.

    The host name label is the node itself and may end the levels, as in a Kueue
    Topology. An NVLink partition is added where none is listed. Raises
    InvalidTopology.
    """
    hierarchy = tuple(LevelSpec(name, label, SOURCE) for name, label in levels)
    if hierarchy and hierarchy[-1].label == HOSTNAME:
        hierarchy = hierarchy[:-1]
    own = tuple(LevelSpec(name, label, SOURCE) for name, label in partitions)
    _check(hierarchy, own)
    evidence = [f"{level.name}: label {level.label}, by configuration" for level in (*hierarchy, *own)]
    if NVLINK not in {level.name for level in (*hierarchy, *own)}:
        own = (*own, LevelSpec(NVLINK, CLIQUE, "nvidia"))
        evidence.append(f"{NVLINK}: label {CLIQUE}, as nothing else is configured")
    return FabricSpec(hierarchy, own, tuple(evidence))


def _check(levels: tuple[LevelSpec, ...], partitions: tuple[LevelSpec, ...]) -> None:
    for level in (*levels, *partitions):
        if not level.name or not level.label:
            raise InvalidTopology(f"a level needs a name and a label, not {level.name!r} and {level.label!r}")
        if level.label == HOSTNAME:
            raise InvalidTopology(
                f"level {level.name!r}: {HOSTNAME} is the node and can only be the last level"
            )
    labels = [level.label for level in levels]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InvalidTopology(f"label {twice[0]!r} is given to two levels")
