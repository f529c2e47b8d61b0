"""Where boxes and cells of a picture go, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from topology.picture import Box, Cell
from topology.spec import NVLINK


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of one density, in pixels; `named` cells carry their node's name above the GPUs."""

    cell_width: int
    cell_height: int
    gap: int
    padding: int
    header: int
    font: float
    named: bool
    corner: int


SCALES = (
    (180, Scale(62, 38, 6, 10, 22, 11.5, True, 8)),
    (1000, Scale(27, 14, 4, 7, 17, 10, False, 6)),
    (2500, Scale(15, 10, 3, 5, 14, 8.5, False, 4)),
)
_SMALLEST = Scale(10, 9, 2, 4, 12, 7.5, False, 3)

_WIDTHS = (420, 640, 860, 1080, 1200, 1300, 1450, 1600, 1800, 2000)
_ASPECT = 1.7


@dataclass(frozen=True, slots=True)
class Placed:
    """A box or a cell with its corner relative to what it lies in, and what it holds."""

    what: Box | Cell
    x: float
    y: float
    width: float
    height: float
    inside: tuple[Placed, ...] = ()

    def shifted(self, dx: float, dy: float) -> Placed:
        """The same, moved with all it holds."""
        return Placed(self.what, self.x + dx, self.y + dy, self.width, self.height, self.inside)

    def walk(self, depth: int = 0, x: float = 0, y: float = 0) -> Iterator[tuple[int, Placed]]:
        """This and everything inside with its depth and its place in the picture, outer things first."""
        here = self.shifted(x, y)
        yield depth, here
        for placed in self.inside:
            yield from placed.walk(depth + 1, here.x, here.y)


def scale_for(nodes: int) -> Scale:
    """The density at which so many nodes stay readable."""
    return next((scale for limit, scale in SCALES if nodes <= limit), _SMALLEST)


def arrange(root: Box, scale: Scale, *, least: float = 0) -> Placed:
    """The layout whose proportions are nearest to a page, which is `least` wide; the first among equals."""
    heads = {id(box): header_texts(box) for box in _boxes(root)}
    tries = [_place(root, scale, width, heads, top=True) for width in _WIDTHS]
    return min(tries, key=lambda placed: _clumsiness(placed, least))


def _boxes(box: Box) -> Iterator[Box]:
    yield box
    for inner in box.boxes:
        yield from _boxes(inner)


def _clumsiness(placed: Placed, least: float) -> float:
    """How far from the shape of a page, and how much of it is left empty in ragged rows."""
    width = max(placed.width, least)
    inner = [one for one in placed.inside for one in (one.inside or (one,))]
    filled = sum(one.width * one.height for one in inner) / max(width * placed.height, 1)
    return abs(log(max(width, 1) / max(placed.height, 1) / _ASPECT)) + 2 * (1 - filled)


def text_width(text: str, font: float) -> float:
    """About how wide a text is in a sans-serif font."""
    return len(text) * font * 0.58


def header_texts(box: Box) -> tuple[str, str]:
    """What stands left and right above a box."""
    cells = list(box.all_cells())
    gpus = sum(len(cell.owners) for cell in cells)
    called = box.level in ("", NVLINK) or " · " in box.title or box.level in box.title.lower()
    odd = any(cell.problem for cell in cells)
    title = box.title if called or not box.title else f"{box.level} {box.title}"
    return ("⚠ " if odd else "") + title, f"{sum(cell.free for cell in cells):,}/{gpus:,}"


def _place(
    box: Box, scale: Scale, limit: float, heads: Mapping[int, tuple[str, str]], *, top: bool = False
) -> Placed:
    """A box at the origin, at most `limit` wide where its parts allow."""
    padding = 0 if top else scale.padding
    header = 0 if top else scale.header
    room = limit - 2 * padding
    title, count = heads[id(box)]
    least = 0 if top else min(text_width(title + "  " + count, scale.font) + scale.font, room)
    parts: list[Placed] = []
    below: float = 0
    if box.boxes:
        inner = [_place(inner, scale, room, heads) for inner in box.boxes]
        parts = _shelves(inner, scale.gap + scale.padding / 2, room)
        below = _bottom(parts) + scale.gap
    parts.extend(cell.shifted(0, below) for cell in _grid(box.cells, scale, room, least))
    width = max(max((part.x + part.width for part in parts), default=0), least)
    inside = tuple(part.shifted(padding, header) for part in parts)
    return Placed(box, 0, 0, width + 2 * padding, header + _bottom(parts) + padding, inside)


def _bottom(parts: Sequence[Placed]) -> float:
    return max((part.y + part.height for part in parts), default=0)


def _shelves(parts: Sequence[Placed], gap: float, room: float) -> list[Placed]:
    """Left to right in rows; boxes of one row get the same height."""
    rows: list[list[Placed]] = [[]]
    x: float = 0
    for part in parts:
        if rows[-1] and x + part.width > room:
            rows.append([])
            x = 0
        rows[-1].append(part.shifted(x, 0))
        x += part.width + gap
    placed: list[Placed] = []
    y: float = 0
    for row in rows:
        height = max(part.height for part in row)
        placed.extend(replace(part.shifted(0, y), height=height) for part in row)
        y += height + gap
    return placed


def _grid(cells: Sequence[Cell], scale: Scale, room: float, least: float) -> list[Placed]:
    """Cells in rows, which fill at least the width that the title needs."""
    if not cells:
        return []
    across, down = scale.cell_width + scale.gap, scale.cell_height + scale.gap
    fitting = max(1, int((room + scale.gap) // across))
    columns = min(_columns(len(cells), across / down), fitting)
    wider = min(max(columns, int((least + scale.gap) // across)), fitting)
    if wider > columns:
        columns = -(-len(cells) // -(-len(cells) // wider))
    return [
        Placed(cell, at % columns * across, at // columns * down, scale.cell_width, scale.cell_height)
        for at, cell in enumerate(cells)
    ]


def _columns(cells: int, shape: float) -> int:
    """A number of columns that gives a block about as wide as a page and leaves few holes."""
    ideal = max(1, round((cells * _ASPECT / shape) ** 0.5))
    near = range(max(1, ideal - 1), ideal + 3)
    return min(near, key=lambda columns: (-cells % columns, abs(columns - ideal), -columns))
