"""The labels of all nodes as detection looks at them, kept while nodes come, change and go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from topology.naming import natural_key
from topology.spec import HOSTNAME, LevelSpec

Row = tuple[tuple[str, str], ...]
"""The telling labels of a node, sorted."""

_MUTE = frozenset(
    (
        HOSTNAME,
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "cloud.google.com/gce-topology-host",
        "oci.oraclecloud.com/rdma.host_id",
    )
)
"""Keys that say nothing of a level, many with another value on every node."""

_VOICES = ("nvidia.com/gpu.", "resource.nvidia.com/")
_MUTE_PREFIXES = ("feature.node.kubernetes.io/", "nvidia.com/", "nfd.node.kubernetes.io/")


class Crossing(NamedTuple):
    """A domain that lies in several domains of a coarser level."""

    fine: str
    coarse: tuple[str, ...]


class Pairs:
    """Which domains of a fine label lie in which of a coarse one, told apart by the labels `within`.

    A name that is only a number is taken to be used again in every coarser
    domain, and so crosses nothing. Rows without either label say nothing.
    """

    def __init__(self, fine: str, coarse: str, within: tuple[str, ...]) -> None:
        self._fine, self._coarse, self._within = fine, coarse, within
        self._homes: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self._over: set[tuple[str, ...]] = set()
        self._total = 0

    def add(self, row: Row, times: int) -> None:
        """Count a row in, or out with a negative number."""
        labels = dict(row)
        here, above = labels.get(self._fine), labels.get(self._coarse)
        if not here or not above or here.isdecimal():
            return
        key = (here, *(labels.get(label, "") for label in self._within))
        homes = self._homes[key]
        homes[above] += times
        self._total += times
        if not homes[above]:
            del homes[above]
        if len(homes) > 1:
            self._over.add(key)
        else:
            self._over.discard(key)
        if not homes:
            del self._homes[key]

    @property
    def first(self) -> Crossing | None:
        """The first crossing domain by natural order."""
        if not self._over:
            return None
        key = min(self._over, key=lambda key: (natural_key(key[0]), key))
        return Crossing(key[0], tuple(sorted(self._homes[key], key=natural_key)))

    @property
    def astray(self) -> float:
        """The share of nodes that lie outside of the main coarse domain of their fine one."""
        outside = sum(
            homes.total() - max(homes.values()) for homes in map(self._homes.__getitem__, self._over)
        )
        return outside / self._total if self._total else 0.0


class Seen:
    """The labels of all nodes, counted; empty values and labels that tell of no level do not count.

    A change costs some dictionary look-ups for each telling label, whatever the number of nodes.
    """

    def __init__(self, labels_per_node: Iterable[Mapping[str, str]] = ()) -> None:
        self.nodes = 0
        self._tells: dict[str, bool] = {}
        self._rows: Counter[Row] = Counter()
        self._values: dict[str, Counter[str]] = {}
        self._pairs: dict[tuple[str, str, tuple[str, ...]], Pairs] = {}
        for labels in labels_per_node:
            self._rows[self._row(labels)] += 1
            self.nodes += 1
        for row, times in self._rows.items():
            self._count(row, times)

    def add(self, labels: Mapping[str, str]) -> None:
        """A node more."""
        self.nodes += 1
        self._put(self._row(labels), 1)

    def remove(self, labels: Mapping[str, str]) -> None:
        """A node less; its labels must be those that it was added with."""
        self.nodes -= 1
        self._put(self._row(labels), -1)

    def change(self, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
        """A node with other labels; False when that tells nothing new."""
        before, after = self._row(old), self._row(new)
        if before == after:
            return False
        self._put(before, -1)
        self._put(after, 1)
        return True

    def label_keys(self) -> list[str]:
        """Every telling label key on any node, sorted."""
        return sorted(self._values)

    def count(self, key: str) -> int:
        """How many nodes carry the label."""
        return self._values[key].total() if key in self._values else 0

    def values(self, key: str) -> frozenset[str]:
        """The different values of a label."""
        return frozenset(self._values.get(key, ()))

    def lacking(self, key: str, *, carrying: str) -> int:
        """How many nodes carry one label and not the other."""
        return sum(
            times for row, times in self._rows.items() if carrying in (own := dict(row)) and key not in own
        )

    def nodes_where(self, true: Callable[[Mapping[str, str]], bool], keys: Sequence[str]) -> int:
        """On how many nodes a condition holds, which any one of the keys by itself can make true."""
        if not any(true({key: value}) for key in keys for value in self._values.get(key, ())):
            return 0
        return sum(times for row, times in self._rows.items() if true(dict(row)))

    def most_used(self, keys: Iterable[str]) -> str | None:
        """The key on the most nodes, the first listed among equals; None when no node has any."""
        present = [key for key in keys if self.count(key)]
        return max(present, key=self.count, default=None)

    def pairs(self, *, coarse: LevelSpec, fine: LevelSpec, within: Sequence[LevelSpec] = ()) -> Pairs:
        """How the domains of two levels lie in each other; kept up from then on."""
        key = (fine.label, coarse.label, tuple(level.label for level in within))
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = Pairs(*key)
            for row, times in self._rows.items():
                found.add(row, times)
        return found

    def tell(self, level: LevelSpec) -> str:
        """One sentence: which label gives the level, and on how many nodes."""
        values = len(self._values.get(level.label, ()))
        return (
            f"{level.name}: label {level.label} ({level.source}) on {self.count(level.label)} "
            f"of {self.nodes} nodes, {values} {'value' if values == 1 else 'values'}"
        )

    def _row(self, labels: Mapping[str, str]) -> Row:
        tells = self._tells
        kept = []
        for key, value in labels.items():
            if key not in tells:
                tells[key] = _tells(key)
            if value and tells[key]:
                kept.append((key, value))
        return tuple(sorted(kept))

    def _put(self, row: Row, times: int) -> None:
        self._rows[row] += times
        if not self._rows[row]:
            del self._rows[row]
        self._count(row, times)
        for pairs in self._pairs.values():
            pairs.add(row, times)

    def _count(self, row: Row, times: int) -> None:
        for key, value in row:
            counts = self._values.setdefault(key, Counter())
            counts[value] += times
            if not counts[value]:
                del counts[value]
                if not counts:
                    del self._values[key]


def _tells(key: str) -> bool:
    """True for a label that may say where a node is, or that its GPUs are linked."""
    if key in _MUTE:
        return False
    return key.startswith(_VOICES) or not key.startswith(_MUTE_PREFIXES)
