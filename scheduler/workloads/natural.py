"""Natural order of names: digits compare as numbers, of any length."""

from __future__ import annotations

import re

Natural = tuple[tuple[str | tuple[int, str], ...], str]

_DIGITS = re.compile(r"([0-9]+)")
_LAST_NUMBER = re.compile(r"[0-9]+$")
_LONGEST = 18
"""Digits of a number that is still read as one; nobody counts further."""


def natural(name: str) -> Natural:
    """The sort key of a name: w-2 before w-10, and no two names tie."""
    parts = _DIGITS.split(name)
    return tuple(_number(part) if at % 2 else part for at, part in enumerate(parts)), name


def _number(digits: str) -> tuple[int, str]:
    """Digits as something that compares by size, whatever their length."""
    plain = digits.lstrip("0")
    return len(plain), plain


def stem_and_number(name: str) -> tuple[str, int]:
    """A name without the number at its end, and that number, 0 without one."""
    found = _LAST_NUMBER.search(name)
    if found is None:
        return name, 0
    return name[: found.start()], index_of(found.group()) or 0


def index_of(text: str) -> int | None:
    """A whole number as labels carry it, None when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None
