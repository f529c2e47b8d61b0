"""Cutting and filling as flows of sizes: the pieces that things are cut into, counted and not named.

A thing of size a is cut into two of sizes f and a - f, which may be cut again; so every way to
divide things into pieces is a flow over sizes (Dyckhoff 1981), with as many variables as there are
pairs of sizes, however many things there are. Gangs are cut over domains and the room of domains
over gangs in the same way; a piece of a gang needs a piece of room of its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ortools.sat.python import cp_model

Expr = cp_model.LinearExpr | int
Cut = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """`cut`: how often a piece of one size is cut, one part having the other size; `ends`: per size how
    many pieces are left of it in the end."""

    cut: dict[Cut, cp_model.IntVar]
    ends: dict[int, cp_model.IntVar]


def partings(sizes: range, most: int) -> Iterator[Cut]:
    """Every cut that may be needed to bring pieces of these sizes (from the step up to the largest) to at
    most `most`: what is larger loses a part that is not; what is not is halved or less."""
    step = sizes.step
    for size in sizes:
        parts = (
            range((size // step + 1) // 2 * step, size, step) if size <= most else range(step, most + 1, step)
        )
        yield from ((size, part) for part in parts)


def count_partings(sizes: range, most: int) -> int:
    """How many cuts that are, without making them."""
    each = (size // sizes.step // 2 if size <= most else most // sizes.step for size in sizes)
    return sum(each)


def split(model: cp_model.CpModel, pieces: Mapping[int, Expr], *, step: int, most: int, total: int) -> Cuts:
    """Cut pieces (size: how many) into multiples of `step`, none larger than `most`; step 0: not at all.
    `total`: what all of them add up to at most."""
    largest = max(pieces, default=0)
    if not step:
        cut: dict[Cut, cp_model.IntVar] = {}
        sizes = sorted(pieces)
    else:
        every = range(step, largest + 1, step)
        cut = {pair: model.new_int_var(0, total // pair[0], "") for pair in partings(every, most)}
        sizes = list(every)
    ends = {size: model.new_int_var(0, total // size, "") for size in sizes if size <= most}
    for size in sizes:
        model.add(pieces.get(size, 0) + _parts(cut, size) == _cut(cut, size) + ends.get(size, 0))
    return Cuts(cut, ends)


def fill(
    model: cp_model.CpModel, room: Mapping[int, int], needs: Mapping[int, Expr]
) -> dict[Cut, cp_model.IntVar]:
    """Room (size: how many) is cut so that every piece (size: how many) has room of its own."""
    largest, most = max(room, default=0), max(needs, default=0)
    total = sum(size * number for size, number in room.items())
    every = range(1, largest + 1)
    cut = {pair: model.new_int_var(0, total // pair[0], "") for pair in partings(every, most)}
    for size in range(1, max(largest, most) + 1):
        model.add(_cut(cut, size) + needs.get(size, 0) <= room.get(size, 0) + _parts(cut, size))
    return cut


def _parts(cut: Mapping[Cut, cp_model.IntVar], size: int) -> Expr:
    """How many pieces of a size come from cuts."""
    first = [one for (_, part), one in cut.items() if part == size]
    return summed(first + [one for (whole, part), one in cut.items() if whole - part == size])


def _cut(cut: Mapping[Cut, cp_model.IntVar], size: int) -> Expr:
    """How many pieces of a size are cut."""
    return summed([one for (whole, _), one in cut.items() if whole == size])


def summed(some: Iterable[Expr]) -> Expr:
    """A sum; 0 of nothing."""
    every = list(some)
    return cp_model.LinearExpr.sum(every) if every else 0


def cut_up(things: Mapping[int, list[T]], cut: Mapping[Cut, int]) -> dict[int, list[T]]:
    """What the pieces of every size belong to, once things (size: what they are) are cut so often."""
    found = {size: list(some) for size, some in things.items()}
    for (whole, part), times in sorted(cut.items(), reverse=True):
        for _ in range(times):
            one = found[whole].pop()
            found.setdefault(part, []).append(one)
            found.setdefault(whole - part, []).append(one)
    return found


def cutting(parts: Sequence[int], most: int) -> Iterator[Cut]:
    """The cuts, of those that `partings` allows, that make one thing into these parts; a part that is larger
    than `most`, and is left as it is, stands last."""
    size = sum(parts)
    for part in parts[:-1]:
        yield size, part if size > most else max(part, size - part)
        size -= part
