"""Slurm's host-list expressions: `n[001-018,030]`, `r[1-4]n[1-18],login`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, product

from topology.reading import invalid

LIMIT = 1_000_000
"""Most names that one expression, or one source, may stand for."""

_NUMBER = re.compile(r"(?<![0-9])[0-9]{1,15}(?![0-9])")
_RANGE = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")
_GROUP = re.compile(r"\[([^\[\]]*)\]")
_FORBIDDEN = re.compile(r"[\[\],\s\x00-\x1f\x7f]")

_Range = tuple[int, int, int]
"""First, last, and the width to which numbers are filled with zeros."""


class Expander:
    """Expands the expressions of one source, which together may name no more than LIMIT."""

    def __init__(self) -> None:
        self._left = LIMIT

    def expand(self, expression: str, *, where: str, field: str = "host list") -> tuple[str, ...]:
        """The names in order; the last bracket counts fastest. Raises InvalidSource."""
        parsed = [_parse(part, expression, where, field) for part in _parts(expression, where, field)]
        self._left -= sum(_count(pieces) for pieces in parsed)
        if self._left < 0:
            raise invalid(where, field, expression, f"at most {LIMIT:,} names in one source")
        return tuple(name for pieces in parsed for name in _names(pieces))


def expand(expression: str, *, where: str = "host list") -> tuple[str, ...]:
    """The names of one expression, in order; "" is no names.

    Raises InvalidSource, naming the expression, for brackets that do not match,
    ranges that run backwards, and more than LIMIT names.
    """
    return Expander().expand(expression, where=where)


def compress(names: Iterable[str]) -> str:
    """A short expression for the names in this order: `expand(compress(x))` gives x back.

    Raises InvalidSource for a name that no expression can hold.
    """
    heads: list[tuple[str, str]] = []
    for name in names:
        if not name or _FORBIDDEN.search(name):
            raise invalid("host list", "name", name, "a name without brackets, commas and spaces")
        heads.append((name, ""))
    while any(_NUMBER.search(head) for head, _ in heads):
        heads = list(_fold(heads))
    return ",".join(head + tail for head, tail in heads)


def _parts(expression: str, where: str, field: str) -> Iterator[str]:
    """What stands between the commas outside of brackets."""
    depth = start = 0
    for at, sign in enumerate(expression):
        depth += (sign == "[") - (sign == "]")
        if depth not in (0, 1):
            raise invalid(where, field, expression, "brackets in pairs and none inside another")
        if sign == "," and depth == 0:
            yield expression[start:at]
            start = at + 1
    if depth:
        raise invalid(where, field, expression, "a closing bracket for every opening one")
    yield expression[start:]


def _parse(part: str, expression: str, where: str, field: str) -> Sequence[str | tuple[_Range, ...]]:
    """A part as plain text and groups of ranges in turn; nothing for a part that is empty."""
    pieces: list[str | tuple[_Range, ...]] = []
    for at, piece in enumerate(_GROUP.split(part.strip())):
        if at % 2:
            pieces.append(tuple(_range(one, expression, where, field) for one in piece.split(",")))
        elif _FORBIDDEN.search(piece):
            raise invalid(where, field, expression, "names without spaces, parted by commas")
        elif piece:
            pieces.append(piece)
    return pieces


def _range(text: str, expression: str, where: str, field: str) -> _Range:
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise invalid(where, field, expression, f"numbers and ranges such as 01-18 in brackets, not {text!r}")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise invalid(where, field, expression, f"ranges that run upwards, not {text!r}")
    return first, last, len(found[1])


def _count(pieces: Sequence[str | tuple[_Range, ...]]) -> int:
    count = 1 if pieces else 0
    for piece in pieces:
        if not isinstance(piece, str):
            count *= sum(last - first + 1 for first, last, _ in piece)
    return count


def _names(pieces: Sequence[str | tuple[_Range, ...]]) -> Iterator[str]:
    if pieces:
        choices = ([piece] if isinstance(piece, str) else list(_numbers(piece)) for piece in pieces)
        yield from map("".join, product(*choices))


def _numbers(ranges: Iterable[_Range]) -> Iterator[str]:
    for first, last, width in ranges:
        yield from (str(number).zfill(width) for number in range(first, last + 1))


def _fold(heads: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Move the last number of each head to its tail; neighbours that differ in it alone become one."""
    cuts = map(_cut, heads)
    for (prefix, rest, numbered), group in groupby(cuts, key=lambda cut: (cut[0], cut[2], bool(cut[1]))):
        if numbered:
            yield prefix, _bracket([number for _, number, _ in group]) + rest
        else:
            yield from ((prefix, rest) for _ in group)


def _cut(item: tuple[str, str]) -> tuple[str, str, str]:
    """What stands before the last number of a head, the number, and the rest with the tail."""
    head, tail = item
    last = next(iter(reversed(list(_NUMBER.finditer(head)))), None)
    if last is None:
        return head, "", tail
    return head[: last.start()], last.group(), head[last.end() :] + tail


def _bracket(digits: Sequence[str]) -> str:
    """Numbers in order, as one number or as ranges in brackets."""
    runs: list[tuple[str, str]] = []
    for number in digits:
        if runs and str(int(runs[-1][1]) + 1).zfill(len(runs[-1][0])) == number:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    if len(digits) == 1:
        return digits[0]
    return f"[{','.join(first if first == last else f'{first}-{last}' for first, last in runs)}]"
