"""Where boxes and cells of a picture go, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from topology.picture import Box, Cell


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

_WIDTHS = (420, 640, 860, 1080, 1300, 1600, 2000)
_ASPECT = 1.7


@dataclass(frozen=True, slots=True)
class Placed:
    """A box or a cell with its corner relative to the picture, and what it holds."""

    what: Box | Cell
    x: float
    y: float
    width: float
    height: float
    inside: tuple[Placed, ...] = ()

    def shifted(self, dx: float, dy: float) -> Placed:
        """The same, moved with all it holds."""
        inside = tuple(placed.shifted(dx, dy) for placed in self.inside)
        return replace(self, x=self.x + dx, y=self.y + dy, inside=inside)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Placed]]:
        """This and everything inside with its depth, outer things first."""
        yield depth, self
        for placed in self.inside:
            yield from placed.walk(depth + 1)


def scale_for(nodes: int) -> Scale:
    """The density at which so many nodes stay readable."""
    return next((scale for limit, scale in SCALES if nodes <= limit), _SMALLEST)


def arrange(root: Box, scale: Scale) -> Placed:
    """The layout whose proportions are nearest to a page; the first among equals."""
    tries = [_place(root, scale, width, top=True) for width in _WIDTHS]
    return min(tries, key=lambda placed: abs(placed.width / max(placed.height, 1) - _ASPECT))


def text_width(text: str, font: float) -> float:
    """About how wide a text is in a sans-serif font."""
    return len(text) * font * 0.58


def header_texts(box: Box) -> tuple[str, str]:
    """What stands left and right above a box."""
    cells = list(box.all_cells())
    gpus = sum(len(cell.owners) for cell in cells)
    return box.title, f"{sum(cell.free for cell in cells)}/{gpus}"


def _place(box: Box, scale: Scale, limit: float, *, top: bool = False) -> Placed:
    """A box at the origin, at most `limit` wide where its parts allow."""
    padding = 0 if top else scale.padding
    header = 0 if top else scale.header
    room = limit - 2 * padding
    parts: list[Placed] = []
    below: float = 0
    if box.boxes:
        parts = _shelves(
            [_place(inner, scale, room) for inner in box.boxes], scale.gap + scale.padding / 2, room
        )
        below = _bottom(parts) + scale.gap
    parts.extend(cell.shifted(0, below) for cell in _grid(box.cells, scale, room))
    title, count = header_texts(box)
    least = 0 if top else text_width(title + "  " + count, scale.font) + scale.font
    width = max(max((part.x + part.width for part in parts), default=0), min(least, room))
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


def _grid(cells: Sequence[Cell], scale: Scale, room: float) -> list[Placed]:
    if not cells:
        return []
    across, down = scale.cell_width + scale.gap, scale.cell_height + scale.gap
    columns = min(_columns(len(cells), across / down), max(1, int((room + scale.gap) // across)))
    return [
        Placed(cell, at % columns * across, at // columns * down, scale.cell_width, scale.cell_height)
        for at, cell in enumerate(cells)
    ]


def _columns(cells: int, shape: float) -> int:
    """A number of columns that gives a block about as wide as a page and leaves few holes."""
    ideal = max(1, round((cells * _ASPECT / shape) ** 0.5))
    near = range(max(1, ideal - 1), ideal + 3)
    return min(near, key=lambda columns: (-cells % columns, abs(columns - ideal), -columns))
