"""Charts as SVG text: lines over time, cumulative distributions, bars with the range they may be in.

Points stand in a data attribute too, so that the page can tell values under the pointer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

WIDTH, HALF, HEIGHT = 1130, 540, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 26, 14, 40
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Line:
    """A named row of points (x, y) by x; `dashed` for a reference."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows: its words, how values are written, and whether it grows by factors."""

    label: str
    written: Callable[[float], str]
    log: bool = False
    low: float | None = None
    high: float | None = None
    marks: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        low, high, value = (_logged(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1) * (self.end - self.start)


def chart(
    title: str,
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    steps: bool = False,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> str:
    """One chart; `steps` holds each value until the next. The first of several lines is the widest, so
    that lines that run together are all seen."""
    lines = [_thinned(line) for line in lines]
    across = _scale([p[0] for line in lines for p in line.points], x, _LEFT, width - _RIGHT)
    down = _scale([p[1] for line in lines for p in line.points], y, height - _BOTTOM, _TOP)
    data = escape(_data(lines, x, y, across, width))
    parts = [
        f'<svg {_frame(title, width, height)} data-chart="{data}">',
        *_grid(across, down, x, y, (width, height)),
        *(
            _path(line, across, down, steps=steps, wide=at == 0 < len(lines) - 1)
            for at, line in enumerate(lines)
        ),
        f'<line class="cursor" y1="{_TOP}" y2="{height - _BOTTOM}" visibility="hidden"/></svg>',
    ]
    return "".join(parts)


def _frame(title: str, width: int, height: int) -> str:
    return f'class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"'


def _scale(values: Sequence[float], axis: Axis, start: float, end: float) -> _Scale:
    low = axis.low if axis.low is not None else min(values, default=0.0)
    high = axis.high if axis.high is not None else max(values, default=1.0)
    if axis.log:
        low, high = max(low, 1.0), max(high, 10.0)
        return _Scale(
            low if axis.low else 10.0 ** floor(log10(low)),
            high if axis.high else 10.0 ** ceil(log10(high)),
            start,
            end,
            True,
        )
    if axis.high is None and high > low:
        step = _step(low, high)
        low, high = floor(low / step) * step if axis.low is None else low, ceil(high / step) * step
    return _Scale(low, high if high > low else low + 1, start, end, False)


def _step(low: float, high: float, *, most: int = 6) -> float:
    """A round distance between marks."""
    rough = (high - low) / most or 1.0
    unit = 10.0 ** floor(log10(rough))
    return next((unit * factor for factor in (1, 2, 2.5, 5) if unit * factor >= rough), unit * 10)


def _marks(scale: _Scale, axis: Axis) -> list[float]:
    if axis.marks:
        return [mark for mark in axis.marks if scale.low <= mark <= scale.high]
    if scale.log:
        first, last = round(log10(scale.low)), round(log10(scale.high))
        return [10.0**power for power in range(first, last + 1)]
    step = _step(scale.low, scale.high)
    first = ceil(scale.low / step - 1e-9)
    return [step * at for at in range(first, floor(scale.high / step + 1e-9) + 1)]


def _logged(value: float) -> float:
    return log10(max(value, 1.0))


def _grid(across: _Scale, down: _Scale, x: Axis, y: Axis, size: tuple[int, int]) -> list[str]:
    parts = []
    width, height = size
    for mark in _marks(down, y):
        at = down.at(mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(
            f'<text class="mark end" x="{_LEFT - 8}" y="{at + 3.5:.1f}">{escape(y.written(mark))}</text>'
        )
    foot = height - _BOTTOM
    for mark in _marks(across, x):
        at = across.at(mark)
        parts.append(f'<line class="tick" x1="{at:.1f}" x2="{at:.1f}" y1="{foot}" y2="{foot + 4}"/>')
        parts.append(f'<text class="mark mid" x="{at:.1f}" y="{foot + 17}">{escape(x.written(mark))}</text>')
    middle = (_LEFT + width - _RIGHT) / 2
    parts.append(f'<text class="axis mid" x="{middle}" y="{height - 6}">{escape(x.label)}</text>')
    centre = (_TOP + foot) / 2
    parts.append(
        f'<text class="axis mid" transform="translate(13 {centre}) rotate(-90)">{escape(y.label)}</text>'
    )
    return parts


def _path(line: Line, across: _Scale, down: _Scale, *, steps: bool, wide: bool) -> str:
    if not line.points:
        return ""
    spots = [(across.at(x), down.at(y)) for x, y in line.points]
    text = [f"M{spots[0][0]:.1f} {spots[0][1]:.1f}"]
    for (_, before), (x, y) in pairwise(spots):
        text.append(f"L{x:.1f} {before:.1f}L{x:.1f} {y:.1f}" if steps else f"L{x:.1f} {y:.1f}")
    width = ' style="stroke-width:3.6;stroke-opacity:.55"' if wide else ""
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    return f'<path class="line" d="{"".join(text)}" stroke="{line.colour}"{dashes}{width}/>'


def _thinned(line: Line) -> Line:
    """At most a few hundred points: of every run the one that stands out most from its mean."""
    points = list(line.points)
    if len(points) <= _MOST_POINTS:
        return line
    size = -(-len(points) // _MOST_POINTS)
    kept = []
    for start in range(0, len(points), size):
        run = points[start : start + size]
        mean = sum(y for _, y in run) / len(run)
        kept.append(max(run, key=lambda point: abs(point[1] - mean)))
    return Line(line.name, line.colour, [points[0], *kept[1:-1], points[-1]], line.dashed)


def _data(lines: Sequence[Line], x: Axis, y: Axis, across: _Scale, width: int) -> str:
    """What the page needs to tell the values under the pointer."""
    series = [
        {
            "name": line.name,
            "colour": line.colour,
            "x": [round(across.at(px), 1) for px, _ in line.points],
            "at": [x.written(px) for px, _ in line.points],
            "y": [y.written(py) for _, py in line.points],
        }
        for line in lines
    ]
    return json.dumps({"width": width, "series": series}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with the range that it may be in."""

    name: str
    colour: str
    value: float
    least: float
    most: float


def bars(title: str, rows: Sequence[Bar], written: Callable[[float], str]) -> str:
    """Horizontal bars, each with its range as a whisker."""
    top, each, left = 8, 34, 190
    height = top + each * len(rows) + 8
    most = max((row.most for row in rows), default=1.0) or 1.0
    room = WIDTH - left - 230

    def at(value: float) -> float:
        return left + value / most * room

    parts = [f"<svg {_frame(title, WIDTH, height)}>"]
    for number, row in enumerate(rows):
        y = top + number * each
        middle = y + 12
        wide, least, most_at = at(row.value) - left, f"{at(row.least):.1f}", f"{at(row.most):.1f}"
        ends = f"M{least} {middle - 6}v12M{most_at} {middle - 6}v12"
        label = f"{written(row.value)} ({written(row.least)} to {written(row.most)})"
        parts += [
            f'<text class="name end" x="{left - 10}" y="{middle + 4}">{escape(row.name)}</text>',
            f'<rect class="bar" x="{left}" y="{y}" width="{wide:.1f}" height="24" fill="{row.colour}"/>',
            f'<path class="whisker" d="M{least} {middle}H{most_at}{ends}"/>',
            f'<text class="mark" x="{at(row.most) + 8:.1f}" y="{middle + 4}">{escape(label)}</text>',
        ]
    return "".join([*parts, "</svg>"])
