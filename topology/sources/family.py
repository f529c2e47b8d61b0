"""What a family of node labels is, and what of it the nodes carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from topology.spec import LevelSpec


class Seen:
    """The labels of all nodes, counted; empty values do not count."""

    def __init__(self, labels_per_node: Iterable[Mapping[str, str]]) -> None:
        self.rows = list(labels_per_node)
        self._count = Counter(key for row in self.rows for key, value in row.items() if value)

    def label_keys(self) -> list[str]:
        """Every label key on any node, sorted."""
        return sorted(self._count)

    def count(self, key: str) -> int:
        """How many nodes carry the label."""
        return self._count[key]

    def values(self, key: str) -> frozenset[str]:
        """The different values of a label."""
        return frozenset(row[key] for row in self.rows if row.get(key))

    def most_used(self, keys: Iterable[str]) -> str | None:
        """The key on the most nodes, the first listed among equals; None when no node has any."""
        present = [key for key in keys if self.count(key)]
        return max(present, key=self.count, default=None)

    def tell(self, level: LevelSpec) -> str:
        """One sentence: which label gives the level, and on how many nodes."""
        values = len(self.values(level.label))
        return (
            f"{level.name}: label {level.label} ({level.source}) on {self.count(level.label)} "
            f"of {len(self.rows)} nodes, {values} {'value' if values == 1 else 'values'}"
        )


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
        notes,
    )


def present(tiers: Iterable[Tier], seen: Seen, *, source: str) -> tuple[LevelSpec, ...]:
    """The tiers of which any label is on any node, each with its most used key."""
    found = ((tier.name, seen.most_used(tier.keys)) for tier in tiers)
    return tuple(LevelSpec(name, key, source) for name, key in found if key is not None)
