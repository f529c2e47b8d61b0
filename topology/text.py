"""The fabric in characters, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from topology.colours import OTHER_PODS, colour, rgb
from topology.picture import MANY, OTHER, Box, Cell, Owner, Picture, counted, letters

_FREE, _OTHER, _UNUSABLE, _MANY, _NO_GPUS, _PROBLEM = ".", "#", "x", MANY, "-", "!"
_EVERY_GPU_UP_TO = 200
_EVERY_NODE_UP_TO = 1500
_LEAST_WIDTH, _LEAST_ROOM = 40, 20
_MOST_PROBLEMS = 8

_PLAIN_AGAIN = "\x1b[0m"
_SHADES = {_FREE: "\x1b[2m", _UNUSABLE: "\x1b[31m"}  # dim, red


def text(drawn: Picture, *, width: int, coloured: bool = False) -> str:
    """The picture as lines of at most `width` columns, 40 at least; equal pictures give equal text.

    Small fabrics show every GPU, larger ones a character per node, very large ones a bar per
    rack. A letter stands for a gang, `.` for free, `#` for pods without a gang, `x` for a
    node where nothing may start, `-` for one without GPUs, `!` at a name or in a
    heading for what is odd. `coloured` adds escape sequences; the characters stay the same.
    """
    signs = _letters(drawn)
    shades = _shades(drawn, signs) if coloured else {}
    page = _Page(signs, shades, max(width, _LEAST_WIDTH), len(drawn.cells))
    lines = [_fitted(drawn.headline, page.width), "", *_box_lines(drawn.root, page, depth=0)]
    told = [_fitted(f"! {_plain(one)}", page.width) for one in drawn.problems[:_MOST_PROBLEMS]]
    if len(drawn.problems) > _MOST_PROBLEMS:
        told.append(_fitted(f"! and {len(drawn.problems) - _MOST_PROBLEMS} more", page.width))
    return "\n".join([*lines, "", *_legend(drawn, page), *told]) + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    """How signs are chosen and painted, and the room there is."""

    letters: Mapping[Owner, str]
    shades: Mapping[str, str]
    width: int
    nodes: int

    def painted(self, signs: str) -> str:
        """The signs, each run in its colour."""
        if not self.shades:
            return signs
        runs = ((sign, "".join(run)) for sign, run in groupby(signs))
        return "".join(
            f"{self.shades[sign]}{run}{_PLAIN_AGAIN}" if sign in self.shades else run for sign, run in runs
        )


def _letters(drawn: Picture) -> dict[Owner, str]:
    """The sign of each owner."""
    signs: dict[Owner, str] = {None: _FREE, OTHER: _OTHER}
    signs.update(letters(drawn))
    return signs


def _shades(drawn: Picture, letters: Mapping[Owner, str]) -> dict[str, str]:
    """The escape sequence of each sign; a gang has its colour of the SVG."""
    inks = {letters[name]: colour(at) for at, (name, _) in enumerate(drawn.gangs)}
    inks |= {_OTHER: OTHER_PODS, _MANY: OTHER_PODS}
    return _SHADES | {sign: "\x1b[38;2;{};{};{}m".format(*rgb(ink)) for sign, ink in inks.items()}


def _box_lines(box: Box, page: _Page, *, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if box.title:
        yield _fitted(f"{indent}{_titled(box)}  {_counts(box, 'GPUs free')}", page.width)
    inner = depth + bool(box.title)
    compact = page.nodes > _EVERY_GPU_UP_TO
    racks = [one for one in box.boxes if compact and one.title and not one.boxes]
    column = min(max((len(_titled(one)) for one in racks), default=0), page.width // 2)
    for one in box.boxes:
        if compact and one.title and not one.boxes:
            yield from _rack_lines(one, page, indent="  " * inner, column=column)
        else:
            yield from _box_lines(one, page, depth=inner)
    if box.cells:
        draw = _with_signs if compact else _with_gpus
        yield from draw(box.cells, page, indent="  " * inner)


def _titled(box: Box) -> str:
    link = ", one NVLink domain" if box.linked else ""
    odd = sum(bool(cell.problem) for cell in box.all_cells())
    return f"{box.level} {_plain(box.title)}{link}{f' {_PROBLEM}{odd}' if odd else ''}"


def _counts(box: Box, what: str) -> str:
    cells = tuple(box.all_cells())
    free, gpus = sum(cell.free for cell in cells), sum(len(cell.owners) for cell in cells)
    return f"{counted(len(cells), 'node')}, {free}/{gpus} {what}"


def _rack_lines(box: Box, page: _Page, *, indent: str, column: int) -> Iterator[str]:
    """A rack in one line where it fits: title, counts, and a sign per node or a bar."""
    head = f"{indent}{_titled(box).ljust(column)}  {_counts(box, 'free').ljust(21)}  "
    room = page.width - len(head)
    if room < _LEAST_ROOM:
        yield _fitted(head.rstrip(), page.width)
        head = indent + "  "
        room = page.width - len(head)
    signs = "".join(_sign(cell, page) for cell in box.cells)
    if page.nodes > _EVERY_NODE_UP_TO:
        signs = _bar(signs, room)
    for start in range(0, len(signs), room):
        yield head + page.painted(signs[start : start + room])
        head = " " * len(head)


def _with_gpus(cells: Sequence[Cell], page: _Page, *, indent: str) -> Iterator[str]:
    """Names with a character per GPU, in columns."""
    room = page.width - len(indent)
    entries = [_entry(cell, page, room) for cell in cells]
    longest = max(len(name) + len(signs) for name, signs in entries) + 1
    per_line = max((room + 3) // (longest + 3), 1)
    for start in range(0, len(entries), per_line):
        row = [
            f"{name} {page.painted(signs)}{' ' * (longest - len(name) - len(signs) - 1)}"
            for name, signs in entries[start : start + per_line]
        ]
        yield (indent + "   ".join(row)).rstrip()


def _entry(cell: Cell, page: _Page, room: int) -> tuple[str, str]:
    """A node's name, cut in front where it is too long, and its GPUs."""
    free = _UNUSABLE if cell.unusable else _FREE
    signs = "".join(free if owner is None else page.letters[owner] for owner in cell.owners)
    signs = _fitted(signs or _sign(cell, page), room // 2)
    name, fits = _plain(cell.name) + (_PROBLEM if cell.problem else ""), room - len(signs) - 1
    return (name if len(name) <= fits else "…" + name[len(name) - fits + 1 :]), signs


def _with_signs(cells: Sequence[Cell], page: _Page, *, indent: str) -> Iterator[str]:
    """One character per node, in lines."""
    signs = "".join(_sign(cell, page) for cell in cells)
    room = max(page.width - len(indent), _LEAST_ROOM)
    for start in range(0, len(signs), room):
        yield indent + page.painted(signs[start : start + room])


def _sign(cell: Cell, page: _Page) -> str:
    """A node as one character; a node of several gangs shows the first."""
    owner = next((one for one in cell.owners if one is not None), None)
    if owner is None and cell.unusable:
        return _UNUSABLE
    return page.letters[owner] if cell.owners else _NO_GPUS


def _bar(signs: str, room: int) -> str:
    """Equal signs side by side, the free at the end; squeezed in proportion where there are too many."""
    last = {_FREE: 1, _UNUSABLE: 2, _NO_GPUS: 3}
    grouped = "".join(
        sign * count
        for sign, count in sorted(Counter(signs).items(), key=lambda item: (last.get(item[0], 0), item[0]))
    )
    length = min(room, len(grouped))
    return "".join(grouped[at * len(grouped) // length] for at in range(length))


def _legend(drawn: Picture, page: _Page) -> Iterator[str]:
    line = ""
    used = 0
    for sign, words in _legend_entries(drawn, page):
        told = _fitted(words, page.width - 2)
        if used and used + 5 + len(told) > page.width:
            yield line
            line, used = "", 0
        line += f"{'   ' if used else ''}{page.painted(sign)} {told}"
        used += 2 + len(told) + (3 if used else 0)
    yield line


def _legend_entries(drawn: Picture, page: _Page) -> Iterator[tuple[str, str]]:
    named = [(name, gpus) for name, gpus in drawn.gangs if name != OTHER]
    for name, gpus in named:
        if page.letters[name] != _MANY:
            yield page.letters[name], f"{_plain(name)} ({counted(gpus, 'GPU')})"
    rest = [gpus for name, gpus in named if page.letters[name] == _MANY]
    if rest:
        yield _MANY, f"{counted(len(rest), 'smaller gang')} ({counted(sum(rest), 'GPU')})"
    for name, gpus in drawn.gangs:
        if name == OTHER:
            yield _OTHER, f"other pods ({counted(gpus, 'GPU')})"
    yield _FREE, "free"
    if any(cell.unusable for cell in drawn.cells):
        yield _UNUSABLE, "nothing may start"
    if any(not cell.owners for cell in drawn.cells):
        yield _NO_GPUS, "no GPUs"
    if any(cell.problem for cell in drawn.cells):
        yield _PROBLEM, "problem, with the number of nodes"


def _fitted(words: str, room: int) -> str:
    """The text, cut with an ellipsis where it is too wide."""
    return words if len(words) <= room else words[: max(room - 1, 0)] + "…"


def _plain(name: str) -> str:
    """A name without anything that could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)
