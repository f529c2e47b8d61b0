"""Find out from the node labels which levels the fabric has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from topology.sources import (
    aws,
    azure,
    coreweave,
    crusoe,
    devices,
    gcp,
    generic,
    nvlink,
    oci,
    topograph,
    volcano,
)
from topology.sources.family import Declared, declare
from topology.sources.seen import Seen
from topology.spec import FabricSpec, InvalidTopology, LevelSpec, usual_depth

_SWITCHES = ("core", "spine", "leaf")
_PROVIDERS = (coreweave.FAMILY, oci.FAMILY, aws.FAMILY, gcp.FAMILY, crusoe.FAMILY)

FAMILIES = (
    "topograph",
    topograph.NAMED.source,
    topograph.BLOCKS.source,
    *(family.source for family in _PROVIDERS),
    volcano.SOURCE,
    generic.EXAMPLES.source,
)
"""The families that a configuration may name: that one gives the switches, whatever else is there."""

ASTRAY = 0.1
"""Share of nodes elsewhere than the rest of their domain above which that is no mislabelling."""


def detect(labels_per_node: Iterable[Mapping[str, str]], *, family: str | None = None) -> FabricSpec:
    """The levels and partitions that the labels of some nodes show; see `detect_seen`."""
    return detect_seen(Seen(labels_per_node), family=family)


def detect_seen(seen: Seen, *, family: str | None = None) -> FabricSpec:
    """The levels and partitions that the labels show, with the evidence.

    1. One family gives the switches: the one on the most nodes at its finest
       tier; among equals topograph (it measured), then the provider.
    2. Rack and block come from the first family that has them, then from keys
       that end in a level's name. One that lies across the switches becomes a
       partition of its own.
    3. Region and zone come first in every path while they tell nodes apart;
       with a single value they stand beside the levels and keep paths short.
       Where switches reach over several zones, the zones lie below those, or
       beside them; where the names of all switches repeat in the zones, they
       are different switches.
    4. The NVLink domain is always a partition of its own.

    `family`, one of FAMILIES, gives the switches in place of the one on the
    most nodes. Raises InvalidTopology for a name that is none.
    """
    if family is not None and family not in FAMILIES:
        raise InvalidTopology(f"{family!r} is no family of labels; known are {', '.join(FAMILIES)}")
    found = _families(seen)
    draft = _Draft(seen)
    draft.switches(found, family)
    draft.administrative()
    for level in _place_levels(seen, found, {level.name for level in draft.levels}):
        draft.place(level)
    draft.nvlink()
    draft.evidence.extend((*azure.remarks(seen, draft.levels), *devices.remarks(seen)))
    return FabricSpec(tuple(draft.levels), tuple(draft.partitions), tuple(draft.evidence))


def _families(seen: Seen) -> list[Declared]:
    """What each family declares, in order of trust."""
    providers = [declare(family, seen) for family in _PROVIDERS]
    measured = [topograph.detect(seen), topograph.detect_old(seen)]
    return [*measured, *providers, volcano.detect(seen), generic.detect_examples(seen)]


def _place_levels(seen: Seen, found: list[Declared], taken: set[str]) -> list[LevelSpec]:
    """Racks and blocks, coarse to fine; each level once."""
    chosen: dict[str, LevelSpec] = {}
    for level in (level for declared in found for level in declared.places):
        chosen.setdefault(level.name, level)
    known = nvlink.KEYS.union(volcano.KEYS, *(family.keys() for family in (*_PROVIDERS, generic.EXAMPLES)))
    owned = {*taken, *chosen}
    for level in generic.detect_suffixes(seen, taken=owned, known=known, prefixes=topograph.PREFIXES):
        chosen[level.name] = level
    return sorted(chosen.values(), key=lambda level: usual_depth(level.name))


@dataclass
class _Draft:
    """A specification in the making."""

    seen: Seen
    levels: list[LevelSpec] = field(default_factory=list)
    partitions: list[LevelSpec] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    wide: tuple[LevelSpec, ...] = ()

    def switches(self, found: list[Declared], family: str | None) -> None:
        """Take the switch tiers of one family and say which others were left aside."""
        offers = [declared for declared in found if declared.switches]
        stated = [declared for declared in offers if declared.source == family]
        if family is not None:
            given = f"{stated[0].switches[-1].name} on some nodes" if stated else "no switches on any node"
            self.evidence.append(f"{family}: the family that the configuration names; it gives {given}")
        if not offers or (family is not None and not stated):
            return
        best = max(stated or offers, key=lambda declared: self.seen.count(declared.switches[-1].label))
        self._take(best.switches, best.notes)
        self.evidence.extend(
            f"{other.source}: its switch labels are left aside, as {best.source} gives "
            f"{best.switches[-1].name} on {self.seen.count(best.switches[-1].label)} nodes"
            for other in offers
            if other is not best
        )

    def administrative(self) -> None:
        """Put region and zone where they nest, or beside the levels when they tell nothing apart."""
        for level in reversed(generic.detect_administrative(self.seen)):
            if len(self.seen.values(level.label)) == 1:
                self.partitions.insert(0, level)
                self.evidence.append(f"{self.seen.tell(level)}: left out of the paths")
                continue
            above, why = self._spanning(level)
            if above is not None and self.seen.pairs(coarse=above, fine=level).first is not None:
                self.partitions.insert(0, level)
                self.evidence.append(f"{self.seen.tell(level)}; a partition of its own, as {why}")
                continue
            self.levels.insert(0 if above is None else self.levels.index(above) + 1, level)
            self.wide = (level, *self.wide)
            self.evidence.append(f"{self.seen.tell(level)}{f'; {why}' if why else ''}")

    def _spanning(self, wide: LevelSpec) -> tuple[LevelSpec | None, str]:
        """The finest switch tier that reaches over several zones, and the words for it.

        None where none does, and where even the finest one would: its names repeat then.
        """
        tiers = [level for level in self.levels if level not in self.wide]
        spanning = [level for level in tiers if self.seen.pairs(coarse=wide, fine=level).astray > ASTRAY]
        if not spanning:
            return None, ""
        finest = spanning[-1]
        found = self.seen.pairs(coarse=wide, fine=finest).first
        assert found is not None
        where = f"{finest.name} {found.fine} stands in {wide.name} {' and '.join(found.coarse[:3])}"
        if finest == tiers[-1]:
            return None, f"{where}: names repeat, so a domain is its whole path"
        return finest, f"{where} and each {tiers[-1].name} in one: it reaches over the {wide.name}s"

    def place(self, level: LevelSpec) -> None:
        """Put a rack or block where it nests, otherwise beside the levels."""
        at = sum(usual_depth(other.name) < usual_depth(level.name) for other in self.levels)
        above = [other for other in self.levels[:at] if _unsettled(other, level, wide=self.wide)]
        below = [other for other in self.levels[at:] if _unsettled(level, other, wide=self.wide)]
        out_of = [text for other in above if (text := self._across(coarse=other, fine=level))]
        over = [text for other in below if (text := self._across(coarse=level, fine=other))]
        sentence = self.seen.tell(level)
        repeats = len(out_of) == len(above) > 1 or self._repeats(level)
        if not out_of and not over:
            self.levels.insert(at, level)
        elif repeats:
            self.levels.insert(at, level)
            sentence += f"; its names repeat, so a domain is its whole path ({(out_of or over)[-1]})"
        else:
            self.partitions.append(level)
            sentence += f"; a partition of its own, as {(out_of or over)[-1]}"
        self.evidence.append(sentence)

    def nvlink(self) -> None:
        """Add the NVLink partition, label or not."""
        link, *parts = nvlink.detect(self.seen)
        self.partitions.extend((link, *parts))
        self.evidence.append(nvlink.tell(self.seen, link))
        self.evidence.extend(self.seen.tell(part) for part in parts)

    def _take(self, levels: tuple[LevelSpec, ...], notes: tuple[str, ...]) -> None:
        self.levels.extend(levels)
        self.evidence.extend(self.seen.tell(level) for level in levels)
        self.evidence.extend(notes)

    def _across(self, *, coarse: LevelSpec, fine: LevelSpec) -> str:
        """The words for a domain of `fine` that lies in two of `coarse`; "" when hardly any node is astray.

        A single mislabelled node must not turn a whole level into a partition; the linter names it.
        """
        pairs = self.seen.pairs(coarse=coarse, fine=fine, within=self.wide)
        found = pairs.first
        if found is None or pairs.astray <= ASTRAY:
            return ""
        return f"{fine.name} {found.fine} lies in {coarse.name} {found.coarse[0]} and {found.coarse[1]}"

    def _repeats(self, level: LevelSpec) -> bool:
        """True when one name stands in several zones: without its path it would mean several domains."""
        return any(self.seen.pairs(coarse=wide, fine=level).first for wide in self.wide)


def _unsettled(coarse: LevelSpec, fine: LevelSpec, *, wide: tuple[LevelSpec, ...]) -> bool:
    """True when only the nodes can tell whether two levels nest.

    All lies in a region and zone; switches nest in switches; a family's racks nest in its blocks.
    """
    if coarse in wide:
        return False
    cables = {coarse.name in _SWITCHES, fine.name in _SWITCHES}
    return len(cables) == 2 or (cables == {False} and coarse.source != fine.source)
