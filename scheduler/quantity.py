"""Kubernetes quantities as whole numbers, exactly.

CPU is counted in millicores, everything else in its own unit; fractions round
up, as kube-scheduler does. Values beyond a signed 64-bit number saturate, as
the API server does.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

MAX = 2**63 - 1

_TEXT = re.compile(
    r"(?P<sign>[+-]?)(?P<int>[0-9]*)(?:\.(?P<frac>[0-9]*))?"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,9})?",
    re.ASCII,
)
_SCALE = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}
PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,9})?$"
"""The form of a quantity, for schemas; `parse` also refuses what is below zero, or endless."""

_LONGEST = 256
WANTED = "a Kubernetes quantity of zero or more, such as 500m, 2, 1.5Gi or 1e3"


@lru_cache(maxsize=4096)
def parse(resource: str, text: str) -> int:
    """The amount of one resource: millicores for cpu, its own unit rounded up for all others."""
    return millis(text) if resource == "cpu" else whole(text)


def millis(text: str) -> int:
    """The quantity in thousandths, rounded up; raises ValueError when it is malformed or negative."""
    return _rounded_up(text, scale=1000)


def whole(text: str) -> int:
    """The quantity in whole units, rounded up; raises ValueError when it is malformed or negative."""
    return _rounded_up(text, scale=1)


def _rounded_up(text: str, *, scale: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 16:  # the common case, 10 times faster
        return int(text) * scale
    value = _value(text) * scale
    return min(-(-value.numerator // value.denominator), MAX)


def _value(text: str) -> Fraction:
    match = _TEXT.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not (match["int"] or match["frac"]):
        raise ValueError(f"quantity {text[:_LONGEST]!r} is malformed; wanted {WANTED}")
    digits = match["int"] + (match["frac"] or "")
    number = Fraction(int(digits), 10 ** len(match["frac"] or ""))
    if match["sign"] == "-" and number:
        raise ValueError(f"quantity {text!r} is negative; wanted {WANTED}")
    return number * _scale(match["suffix"] or "")


def _scale(suffix: str) -> Fraction:
    """The factor of a suffix; exponents are bounded, so that 1e999999999 costs no memory."""
    if suffix in _SCALE:
        return _SCALE[suffix]
    exponent = int(suffix[1:] or 0)
    bound = 2 * _LONGEST  # beyond it every non-zero number saturates or rounds up to 1 anyway
    return Fraction(10) ** max(-bound, min(exponent, bound))


def shown(resource: str, amount: int) -> str:
    """An amount as people write it: cores of cpu, bytes in binary units rounded down to a tenth."""
    if resource == "cpu":
        return f"{amount // 1000}" if amount % 1000 == 0 else f"{amount}m"
    if resource in _BYTES or resource.startswith("hugepages-"):
        for power, letter in reversed(list(enumerate("KMGTPE", start=1))):
            unit = 1024**power
            if amount >= 10 * unit or (amount >= unit and amount % unit == 0):
                tenths = amount * 10 // unit
                return f"{tenths // 10}{letter}i" if tenths % 10 == 0 else f"{tenths / 10:.1f}{letter}i"
    return str(amount)


_BYTES = ("memory", "ephemeral-storage")
