"""Whether one label's domains lie inside another's, as the nodes have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from topology.naming import natural_key
from topology.spec import LevelSpec


class Crossing(NamedTuple):
    """A domain that lies in several domains of a coarser level."""

    fine: str
    coarse: tuple[str, ...]


def crossing(
    rows: Iterable[Mapping[str, str]],
    *,
    coarse: LevelSpec,
    fine: LevelSpec,
    within: tuple[LevelSpec, ...] = (),
) -> Crossing | None:
    """The first domain of `fine`, by natural order, that lies in several domains of `coarse`.

    Domains are told apart by the levels in `within` (region, zone). A name that
    is only a number is taken to be used again in every coarser domain, and so
    crosses nothing. Nodes without either label say nothing.
    """
    homes: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in rows:
        here, above = row.get(fine.label), row.get(coarse.label)
        if here and above and not here.isdecimal():
            homes[(here, *(row.get(level.label, "") for level in within))].add(above)
    over = [key for key, values in homes.items() if len(values) > 1]
    if not over:
        return None
    first = min(over, key=lambda key: (natural_key(key[0]), key))
    return Crossing(first[0], tuple(sorted(homes[first], key=natural_key)))
