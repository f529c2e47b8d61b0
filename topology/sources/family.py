"""What a family of node labels is, and what of it the nodes carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from topology.sources.seen import Seen
from topology.spec import LevelSpec


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of a family and the label keys that may give it, preferred first."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of labels.

    `switches` run coarse to fine and nest by construction. `places` say where
    a node stands (rack, block) and may lie across the switches.
    """

    source: str
    switches: tuple[Tier, ...] = ()
    places: tuple[Tier, ...] = ()

    def keys(self) -> frozenset[str]:
        """Every label key of the family."""
        return frozenset(key for tier in (*self.switches, *self.places) for key in tier.keys)


@dataclass(frozen=True, slots=True)
class Declared:
    """The levels of a family that the nodes carry; `notes` are evidence of choices inside the family."""

    source: str
    switches: tuple[LevelSpec, ...] = ()
    places: tuple[LevelSpec, ...] = ()
    notes: tuple[str, ...] = ()


def declare(family: Family, seen: Seen, *, notes: tuple[str, ...] = ()) -> Declared:
    """The part of a family that is present on the nodes."""
    return Declared(
        family.source,
        present(family.switches, seen, source=family.source),
        present(family.places, seen, source=family.source),
        (*notes, *_other_spellings(family, seen)),
    )


def _other_spellings(family: Family, seen: Seen) -> Iterable[str]:
    """What is said of labels that give a level under another key than the one that is read."""
    for tier in (*family.switches, *family.places):
        read = seen.most_used(tier.keys)
        for key in tier.keys:
            if read is not None and key != read and seen.count(key):
                only = seen.lacking(read, carrying=key)
                yield (
                    f"{tier.name}: label {key} ({family.source}) is left aside, as {read} is on more nodes"
                    f"{f'; {only} nodes carry it alone' if only else ''}"
                )


def present(tiers: Iterable[Tier], seen: Seen, *, source: str) -> tuple[LevelSpec, ...]:
    """The tiers of which any label is on any node, each with its most used key."""
    found = ((tier.name, seen.most_used(tier.keys)) for tier in tiers)
    return tuple(LevelSpec(name, key, source) for name, key in found if key is not None)
