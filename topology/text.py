"""The fabric in characters, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from topology.picture import OTHER, Box, Cell, Owner, Picture, counted

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwyz"
_FREE, _OTHER, _UNUSABLE, _MANY = ".", "#", "x", "+"
_EVERY_GPU_UP_TO = 200
_EVERY_NODE_UP_TO = 1500


def text(drawn: Picture, *, width: int) -> str:
    """The picture as lines of at most `width` columns; equal pictures give equal text.

    Small fabrics show every GPU, larger ones a character per node, very large ones a bar per
    domain. A letter stands for a gang, `.` for free, `#` for pods without a gang, `x` for a
    node where nothing may start.
    """
    letters = _letters(drawn)
    lines = [drawn.headline, ""]
    lines += _box_lines(drawn.root, letters, depth=0, width=width, nodes=len(drawn.cells))
    return "\n".join([*lines, "", *_legend(drawn, letters, width)]) + "\n"


def _letters(drawn: Picture) -> dict[Owner, str]:
    """The biggest gangs get letters; what is beyond the alphabet shares one sign."""
    letters: dict[Owner, str] = {None: _FREE, OTHER: _OTHER}
    named = [name for name, _ in drawn.gangs if name != OTHER]
    for at, name in enumerate(named):
        letters[name] = _LETTERS[at] if at < len(_LETTERS) else _MANY
    return letters


def _box_lines(
    box: Box, letters: Mapping[Owner, str], *, depth: int, width: int, nodes: int
) -> Iterator[str]:
    indent = "  " * depth
    if box.title:
        cells = tuple(box.all_cells())
        free, gpus = sum(cell.free for cell in cells), sum(len(cell.owners) for cell in cells)
        link = ", one NVLink domain" if box.linked else ""
        title = f"{indent}{box.level} {_plain(box.title)}{link}"
        yield f"{title}  {counted(len(cells), 'node')}, {free}/{gpus} GPUs free"
        if nodes > _EVERY_NODE_UP_TO and not box.boxes:
            yield f"{indent}  {_bar(cells, letters, width - len(indent) - 4)}"
            return
    inner = depth + bool(box.title)
    for one in box.boxes:
        yield from _box_lines(one, letters, depth=inner, width=width, nodes=nodes)
    if box.cells:
        draw = _with_gpus if nodes <= _EVERY_GPU_UP_TO else _with_signs
        yield from draw(box.cells, letters, indent="  " * inner, width=width)


def _with_gpus(
    cells: tuple[Cell, ...], letters: Mapping[Owner, str], *, indent: str, width: int
) -> Iterator[str]:
    """Names with a character per GPU, in columns."""
    entries = [f"{_plain(cell.name)} {_gpus(cell, letters)}" for cell in cells]
    longest = max(len(entry) for entry in entries)
    per_line = max((width - len(indent) + 3) // (longest + 3), 1)
    for start in range(0, len(entries), per_line):
        part = entries[start : start + per_line]
        yield indent + "   ".join(entry.ljust(longest) for entry in part).rstrip()


def _gpus(cell: Cell, letters: Mapping[Owner, str]) -> str:
    free = _UNUSABLE if cell.unusable else _FREE
    return "".join(free if owner is None else letters[owner] for owner in cell.owners) or "-"


def _with_signs(
    cells: tuple[Cell, ...], letters: Mapping[Owner, str], *, indent: str, width: int
) -> Iterator[str]:
    """One character per node, in lines; a node of several gangs shows the first."""
    signs = "".join(_sign(cell, letters) for cell in cells)
    room = max(width - len(indent), 10)
    for start in range(0, len(signs), room):
        yield indent + signs[start : start + room]


def _sign(cell: Cell, letters: Mapping[Owner, str]) -> str:
    owner = next((one for one in cell.owners if one is not None), None)
    return _UNUSABLE if cell.unusable and owner is None else letters[owner]


def _bar(cells: tuple[Cell, ...], letters: Mapping[Owner, str], width: int) -> str:
    """Many nodes squeezed into one line, in proportion."""
    signs = "".join(_sign(cell, letters) for cell in cells)
    room = max(min(width, len(signs)), 1)
    runs = [(sign, len(list(run))) for sign, run in groupby(sorted(signs, key=signs.index))]
    return "".join(sign * max(round(count * room / len(signs)), 1) for sign, count in runs)[:room]


def _legend(drawn: Picture, letters: Mapping[Owner, str], width: int) -> Iterator[str]:
    entries = [
        f"{letters[name]} {_plain(name)} ({counted(count, 'GPU')})" for name, count in drawn.gangs if name
    ]
    shown, beyond = entries[: len(_LETTERS)], entries[len(_LETTERS) :]
    if beyond:
        shown.append(f"{_MANY} {len(beyond)} more gangs")
    others = dict(drawn.gangs).get(OTHER)
    shown += [f"{_OTHER} other pods ({counted(others, 'GPU')})"] if others else []
    shown += [f"{_FREE} free"]
    shown += [f"{_UNUSABLE} nothing may start"] if any(cell.unusable for cell in drawn.cells) else []
    line = ""
    for entry in shown:
        if line and len(line) + len(entry) + 3 > width:
            yield line
            line = ""
        line = f"{line}   {entry}" if line else entry
    yield line


def _plain(name: str) -> str:
    """A name without anything that could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)
