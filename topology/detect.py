"""Find out from the node labels which levels the fabric has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from topology.nesting import crossing
from topology.sources import aws, coreweave, gcp, generic, nvlink, oci, topograph
from topology.sources.family import Declared, Seen, declare
from topology.spec import FabricSpec, LevelSpec, usual_depth

_SWITCHES = ("core", "spine", "leaf")
_PROVIDERS = (coreweave.FAMILY, oci.FAMILY, aws.FAMILY, gcp.FAMILY)


def detect(labels_per_node: Iterable[Mapping[str, str]]) -> FabricSpec:
    """The levels and partitions that the labels show, with the evidence.

    1. One family gives the switches: the one on the most nodes at its finest
       tier; among equals topograph (it measured), then the provider.
    2. Rack and block come from the first family that has them, then from keys
       that end in a level's name. One that lies across the switches becomes a
       partition of its own.
    3. Region and zone come first in every path while they tell nodes apart;
       with a single value they stand beside the levels and keep paths short.
    4. The NVLink domain is always a partition of its own.
    """
    seen = Seen(labels_per_node)
    found = _families(seen)
    draft = _Draft(seen)
    draft.switches(found)
    draft.administrative()
    for level in _place_levels(seen, found, {level.name for level in draft.levels}):
        draft.place(level)
    draft.nvlink()
    return FabricSpec(tuple(draft.levels), tuple(draft.partitions), tuple(draft.evidence))


def _families(seen: Seen) -> list[Declared]:
    """What each family declares, in order of trust."""
    providers = [declare(family, seen) for family in _PROVIDERS]
    return [topograph.detect(seen), topograph.detect_old(seen), *providers, generic.detect_examples(seen)]


def _place_levels(seen: Seen, found: list[Declared], taken: set[str]) -> list[LevelSpec]:
    """Racks and blocks, coarse to fine; each level once."""
    chosen: dict[str, LevelSpec] = {}
    for level in (level for declared in found for level in declared.places):
        chosen.setdefault(level.name, level)
    known = nvlink.KEYS.union(*(family.keys() for family in (*_PROVIDERS, generic.EXAMPLES)))
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

    def switches(self, found: list[Declared]) -> None:
        """Take the switch tiers of one family and say which others were left aside."""
        offers = [declared for declared in found if declared.switches]
        if not offers:
            return
        best = max(offers, key=lambda declared: self.seen.count(declared.switches[-1].label))
        self._take(best.switches, best.notes)
        self.evidence.extend(
            f"{other.source}: its switch labels are left aside, as {best.source} gives "
            f"{best.switches[-1].name} on {self.seen.count(best.switches[-1].label)} nodes"
            for other in offers
            if other is not best
        )

    def administrative(self) -> None:
        """Put region and zone first, or beside the levels when they tell nothing apart."""
        for level in reversed(generic.detect_administrative(self.seen)):
            if len(self.seen.values(level.label)) > 1:
                self.levels.insert(0, level)
                self.wide = (level, *self.wide)
                self.evidence.append(self.seen.tell(level))
            else:
                self.partitions.insert(0, level)
                self.evidence.append(f"{self.seen.tell(level)}: left out of the paths")

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
        """The words for a domain of `fine` that lies in two of `coarse`; "" when there is none."""
        found = crossing(self.seen.rows, coarse=coarse, fine=fine, within=self.wide)
        if found is None:
            return ""
        return f"{fine.name} {found.fine} lies in {coarse.name} {found.coarse[0]} and {found.coarse[1]}"

    def _repeats(self, level: LevelSpec) -> bool:
        """True when one name stands in several zones: without its path it would mean several domains."""
        return any(crossing(self.seen.rows, coarse=wide, fine=level) for wide in self.wide)


def _unsettled(coarse: LevelSpec, fine: LevelSpec, *, wide: tuple[LevelSpec, ...]) -> bool:
    """True when only the nodes can tell whether two levels nest.

    All lies in a region and zone; switches nest in switches; a family's racks nest in its blocks.
    """
    if coarse in wide:
        return False
    cables = {coarse.name in _SWITCHES, fine.name in _SWITCHES}
    return len(cables) == 2 or (cables == {False} and coarse.source != fine.source)
