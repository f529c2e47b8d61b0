"""The ids that have come, as fingerprints in one array: 16 bytes an id, where a set takes a hundred."""

from __future__ import annotations

from array import array
from hashlib import blake2b

_FULL = 0.6


class Seen:
    """A hash table of 64-bit fingerprints with open addressing. Two ids of a million share one with a
    chance of about 3 in 100 million."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 12))
        self._count = 0

    def add(self, text: str) -> bool:
        """Whether a text comes for the first time."""
        key = int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) or 1
        at = self._at(key)
        if self._slots[at]:
            return False
        self._slots[at] = key
        self._count += 1
        if self._count > _FULL * len(self._slots):
            self._grow()
        return True

    def _at(self, key: int) -> int:
        """The slot of a key, or the free one where it belongs."""
        slots = self._slots
        mask = len(slots) - 1
        at = key & mask
        while slots[at] and slots[at] != key:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for key in old:
            if key:
                self._slots[self._at(key)] = key
