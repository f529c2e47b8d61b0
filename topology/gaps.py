"""Nodes that lack a coarse label while others of their finer domain have it: they lie where those do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from topology.places import Lay
from topology.spec import ADMINISTRATIVE, FabricSpec

Key = tuple[int, str]
"""The deepest level that a node knows, by its depth, and the node's value there."""

Path = tuple[str, ...]


class Gaps:
    """What the nodes with whole paths say of those with gaps in theirs.

    A node in rack r1 whose leaf is not labelled lies under the leaf of the other nodes of r1: where all
    of these are under one leaf, agree with what the node does say, and are more than those with gaps.
    Zones and regions are not concluded, since racks of several may have equal names. Nothing is kept until
    a node with a gap comes.
    """

    def __init__(self, spec: FabricSpec) -> None:
        self._told = tuple(level.source == ADMINISTRATIVE for level in spec.levels)
        self._whole: dict[Key, Counter[Path]] = {}
        self._waiting: dict[Key, dict[str, Lay]] = {}
        self._verdict: dict[Key, Path | None] = {}
        self._watching = False

    def add(self, name: str, lay: Lay, places: Mapping[str, Lay]) -> Iterable[str]:
        """Take a node in, with the lay that its labels give; the nodes of which another is now concluded.

        `places`: the lays that the labels of all other nodes give."""
        return self._change(name, lay, places, 1)

    def remove(self, name: str, lay: Lay) -> Iterable[str]:
        """Forget a node; the nodes of which another place is now concluded."""
        return self._change(name, lay, {}, -1)

    def path(self, name: str, lay: Lay) -> Path | None:
        """The whole path that is concluded for a node down to its deepest known level; None for none."""
        key = self._gap(lay.place.path)
        found = None if key is None else self._verdict.get(key)
        known = lay.place.path
        if found is None or any(own and own != other for own, other in zip(known, found, strict=False)):
            return None
        return found

    def _change(self, name: str, lay: Lay, places: Mapping[str, Lay], by: int) -> Iterable[str]:
        key = self._gap(lay.place.path)
        if key is not None:
            if not self._watching:
                self._watching = True
                for other in places.values():
                    self._count(other.place.path, 1)
            waiting = self._waiting.setdefault(key, {})
            if by > 0:
                waiting[name] = lay
            else:
                del waiting[name]
            found = self._judge(key)
            if not waiting:
                del self._waiting[key]
            return found
        if not self._watching:
            return ()
        return [one for touched in self._count(lay.place.path, by) for one in self._judge(touched)]

    def _gap(self, path: Path) -> Key | None:
        """Where a node stands whose path has a gap above its deepest known level."""
        deepest = max((at for at, value in enumerate(path) if value), default=-1)
        missing = [at for at in range(deepest) if not path[at]]
        if not missing or any(self._told[at] for at in missing):
            return None
        return deepest, path[deepest]

    def _count(self, path: Path, by: int) -> list[Key]:
        """Take note of a node with a path; the keys of which the count is another."""
        touched = []
        for depth, value in enumerate(path):
            if not value:
                break
            if depth:
                key, own = (depth, value), path[: depth + 1]
                paths = self._whole.setdefault(key, Counter())
                paths[own] += by
                if not paths[own]:
                    del paths[own]
                if not paths:
                    del self._whole[key]
                touched.append(key)
        return touched

    def _judge(self, key: Key) -> list[str]:
        """Conclude anew for one key; the waiting nodes when the conclusion is another."""
        paths, waiting = self._whole.get(key), self._waiting.get(key, {})
        found = next(iter(paths)) if paths is not None and len(paths) == 1 else None
        if paths is not None and found is not None and paths[found] <= len(waiting):
            found = None
        if found == self._verdict.get(key):
            return []
        if found is None:
            del self._verdict[key]
        else:
            self._verdict[key] = found
        return list(waiting)
