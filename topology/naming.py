"""Natural order of names: digits compare as numbers, and no two names tie."""

from __future__ import annotations

import re
from functools import lru_cache

NameKey = tuple[str, str]

_DIGITS = re.compile(r"[0-9]+")


@lru_cache(maxsize=1 << 16)
def natural_key(name: str) -> NameKey:
    """The sort key of a name: "n2" before "n10", and "n01" before "n1" every time.

    A run of digits becomes "0", its length and its digits without leading
    zeros, so plain text comparison orders numbers by size whatever their
    length. The raw name stands last and separates what folds together.
    """
    return _DIGITS.sub(_fold, name), name


def _fold(run: re.Match[str]) -> str:
    digits = run.group().lstrip("0")
    return f"0{chr(len(digits))}{digits}"
