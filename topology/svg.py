"""The fabric as an SVG picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import NamedTuple

from topology.colours import OTHER_PODS, colour
from topology.layout import Placed, Scale, arrange, header_texts, scale_for, text_width
from topology.picture import OTHER, Box, Cell, Owner, Picture, counted, letters

_MARGIN = 22
_TOP = 50
_LEGEND_LIMIT = 30
_LEGEND_FONT = 11.5
_LEAST_WIDTH = 480
_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
)
_MOST_PROBLEMS = 8

_STYLE = """
text{font-family:Inter,'Segoe UI','Helvetica Neue','DejaVu Sans',Arial,sans-serif;fill:#27323f}
.h{font-size:16px;font-weight:600}.m{fill:#5d6b7a}.r{text-anchor:end;fill:#7b8794}
.n{font-size:8.5px;fill:#52606d}.t{font-weight:600}.c{font-size:8.5px;font-weight:700;text-anchor:end}
.b0{fill:#f3f6fa;stroke:#cfd8e3}.b1{fill:#fff;stroke:#d9e1ea}.l{stroke:#6aa000;stroke-width:1.6}
.k{fill:#fff;stroke:#6aa000;stroke-width:1.6}
.p{fill:none;stroke:#1a1a1a;stroke-width:1.8;stroke-dasharray:3 2}
.f{fill:#e3e9f0}.o{fill:%s}.e{fill:#fff;stroke:#cbd5e0}.x{fill:url(#x)}.u{fill:none;stroke:#d0453b;stroke-width:1.2}
"""


def svg(drawn: Picture) -> str:
    """The picture as one SVG document; equal pictures give equal text."""
    scale = scale_for(len(drawn.cells))
    least = max(_LEAST_WIDTH, text_width(drawn.headline, 16) + 2 * _MARGIN)
    body = arrange(drawn.root, scale, least=least - 2 * _MARGIN).shifted(_MARGIN, _TOP)
    classes: dict[Owner, str] = {OTHER: "o"}
    classes |= {name: f"g{at}" for at, (name, _) in enumerate(drawn.gangs) if name != OTHER}
    width = max(body.x + body.width + _MARGIN, least)
    foot = body.y + body.height + 24
    legend, height = _legend(drawn, classes, foot, width)
    told, height = _problems(drawn, height, width)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
            f'width="{_n(width)}" height="{_n(height)}" role="img" aria-label="{_text(drawn.headline)}">'
        ),
        _definitions(drawn, scale),
        (
            f'<rect x=".5" y=".5" width="{_n(width - 1)}" height="{_n(height - 1)}" rx="12" '
            f'fill="#fcfdfe" stroke="#dde4ec"/>'
        ),
        f'<text class="h" x="{_MARGIN}" y="31">{_text(drawn.headline)}</text>',
        *_things(body, _Style(scale, classes, letters(drawn) if scale.named else {})),
        *legend,
        *told,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _definitions(drawn: Picture, scale: Scale) -> str:
    colours = "".join(
        f".g{at}{{fill:{colour(at)}}}" for at, (name, _) in enumerate(drawn.gangs) if name != OTHER
    )
    return (
        '<defs><pattern id="x" width="5" height="5" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="5" height="5" fill="#fbeceb"/>'
        '<rect width="1.6" height="5" fill="#e3948d"/></pattern>'
        f"<style>{_STYLE % OTHER_PODS}.t,.r{{font-size:{scale.font}px}}{colours}</style></defs>"
    )


class _Style(NamedTuple):
    """The scale, the class of each owner, and the letter of each gang where there is room for it."""

    scale: Scale
    classes: dict[Owner, str]
    letters: dict[str, str]


def _things(body: Placed, style: _Style) -> Iterator[str]:
    for depth, placed in body.walk():
        if isinstance(placed.what, Cell):
            yield _cell(placed, placed.what, style)
        elif depth:
            yield _box(placed, placed.what, style.scale, depth)


def _box(placed: Placed, box: Box, scale: Scale, depth: int) -> str:
    shade = f"b{(depth - 1) % 2}{' l' if box.linked else ''}"
    left, right = header_texts(box)
    room = placed.width - text_width(right, scale.font) - 2 * scale.padding
    link = "NVLink " if box.linked and scale.named else ""
    if text_width(left + link, scale.font) > room:
        link = ""
    title = _fitted(left, room - text_width(link, scale.font), scale.font)
    base = _n(placed.y + scale.header * 0.68)
    mark = f'<tspan fill="#4f7a00"> {link}</tspan>' if link else ""
    return (
        f'<rect class="{shade}" {_frame(placed)} rx="{scale.corner}"/>'
        f'<text class="t" x="{_n(placed.x + scale.padding)}" y="{base}">{_text(title)}{mark}</text>'
        f'<text class="r" x="{_n(placed.x + placed.width - scale.padding)}" y="{base}">{right}</text>'
    )


def _cell(placed: Placed, cell: Cell, style: _Style) -> str:
    named = 12 if style.scale.named else 0
    area = Area(placed.x, placed.y + named, placed.width, placed.height - named)
    head = _cell_head(placed, cell, style) if named else ""
    if not cell.owners:
        shown = f'<rect class="{"x" if cell.unusable else "e"}" {_rect(*area)} rx="2"/>'
    elif area.width >= 27:
        shown = "".join(_gpus(cell, area, style.classes))
    else:
        shown = "".join(_bar(cell, area, style.classes))
    edge = f'<rect class="u" {_rect(*area.wider(1))} rx="2"/>' if cell.unusable else ""
    odd = f'<rect class="p" {_rect(*area.wider(1))} rx="2"/>' if cell.problem else ""
    return f"<g>{head}{shown}{edge}{odd}<title>{_text(_told(cell))}</title></g>"


def _cell_head(placed: Placed, cell: Cell, style: _Style) -> str:
    """The node's name, and the letters of its gangs, so that nobody needs the colours."""
    gangs = "".join(dict.fromkeys(style.letters[owner] for owner in cell.owners if owner))[:3]
    room = placed.width - (text_width(gangs, 8.5) + 4 if gangs else 0)
    name = _fitted(("⚠" if cell.problem else "") + cell.name, room, 8.5, keep_end=True)
    base = _n(placed.y + 8.5)
    mark = f'<text class="c" x="{_n(placed.x + placed.width)}" y="{base}">{gangs}</text>' if gangs else ""
    return f'<text class="n" x="{_n(placed.x)}" y="{base}">{_text(name)}</text>{mark}'


class Area(NamedTuple):
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float

    def wider(self, by: float) -> Area:
        return Area(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


def _gpus(cell: Cell, area: Area, classes: dict[Owner, str]) -> Iterator[str]:
    """A square per GPU, in one row up to four and in two above."""
    rows = 1 if len(cell.owners) <= 4 else 2
    columns = -(-len(cell.owners) // rows)
    x, y, width, height = area
    gap = 2 if width > 40 else 1
    across, down = (width + gap) / columns, (height + gap) / rows
    for at, owner in enumerate(cell.owners):
        place = _rect(x + at % columns * across, y + at // columns * down, across - gap, down - gap)
        yield f'<rect class="{_class(cell, owner, classes)}" {place} rx="{gap}"/>'


def _bar(cell: Cell, area: Area, classes: dict[Owner, str]) -> Iterator[str]:
    """A strip per owner, as wide as its share of the GPUs."""
    x, y, width, height = area
    step = width / len(cell.owners)
    at = 0
    for owner, run in groupby(cell.owners):
        count = len(list(run))
        place = _rect(x + at * step, y, count * step, height)
        yield f'<rect class="{_class(cell, owner, classes)}" {place}/>'
        at += count


def _class(cell: Cell, owner: Owner, classes: dict[Owner, str]) -> str:
    if owner is None:
        return "x" if cell.unusable else "f"
    return classes[owner]


def _told(cell: Cell) -> str:
    """The tooltip of a node."""
    gangs = ", ".join(dict.fromkeys(owner for owner in cell.owners if owner))
    by = f" by {gangs}" if gangs else ""
    more = "".join(f"; {one}" for one in (cell.unusable, cell.problem) if one)
    return f"{cell.name}: {cell.used}/{len(cell.owners)} GPUs used{by}{more}"


def _legend(drawn: Picture, classes: dict[Owner, str], top: float, width: float) -> tuple[list[str], float]:
    """The legend below the picture, and the height of everything."""
    parts: list[str] = []
    x, y = float(_MARGIN), top
    for style, full in _legend_entries(drawn, classes):
        words = _fitted(full, width - 2 * _MARGIN - 20, _LEGEND_FONT)
        wide = 17 + text_width(words, _LEGEND_FONT) + 14
        if x > _MARGIN and x + wide - 14 > width - _MARGIN:
            x, y = float(_MARGIN), y + 20
        chip = f'<rect class="{style}" {_rect(x, y - 10, 12, 12)} rx="2.5"/>' if style else ""
        parts.append(
            f'{chip}<text class="m" font-size="{_LEGEND_FONT}" x="{_n(x + 17)}" y="{_n(y)}">'
            f"{_text(words)}</text>"
        )
        x += wide
    return parts, y + 20


def _legend_entries(drawn: Picture, classes: dict[Owner, str]) -> Iterable[tuple[str, str]]:
    named = [item for item in drawn.gangs if item[0] != OTHER]
    shown = set(sorted(named, key=lambda item: (-item[1], item[0]))[:_LEGEND_LIMIT])
    signs = letters(drawn) if scale_for(len(drawn.cells)).named else {}
    for name, gpus in named:
        if (name, gpus) in shown:
            sign = f"{signs[name]}  " if name in signs else ""
            yield classes[name], f"{sign}{name} ({counted(gpus, 'GPU')})"
    rest = [gpus for name, gpus in named if (name, gpus) not in shown]
    if rest:
        yield "", f"and {counted(len(rest), 'smaller gang')} ({counted(sum(rest), 'GPU')})"
    for name, gpus in drawn.gangs:
        if name == OTHER:
            yield "o", f"other pods ({counted(gpus, 'GPU')})"
    yield "f", "free"
    if any(cell.unusable for cell in drawn.cells):
        yield "x", "nothing may start there"
    if any(not cell.owners for cell in drawn.cells):
        yield "e", "no GPUs"
    if _has_links(drawn.root):
        yield "k", "NVLink domain of several nodes"
    if any(cell.problem for cell in drawn.cells):
        yield "p", "problem, told in the tooltip"
    if drawn.levels:
        yield "", f"boxes: {' > '.join(drawn.levels)}, with free/all GPUs; a cell is a node"


def _problems(drawn: Picture, top: float, width: float) -> tuple[list[str], float]:
    """What is odd, in sentences below the legend, and the height of everything."""
    told = list(drawn.problems[:_MOST_PROBLEMS])
    if len(drawn.problems) > _MOST_PROBLEMS:
        told.append(f"and {len(drawn.problems) - _MOST_PROBLEMS} more")
    lines = [
        f'<text class="m" font-size="{_LEGEND_FONT}" x="{_MARGIN}" y="{_n(top + 4 + 17 * at)}">'
        f"{_text(_fitted('⚠ ' + words, width - 2 * _MARGIN, _LEGEND_FONT))}</text>"
        for at, words in enumerate(told)
    ]
    return lines, top + 17 * len(lines)


def _has_links(box: Box) -> bool:
    return box.linked or any(_has_links(inner) for inner in box.boxes)


def _fitted(text: str, room: float, font: float, *, keep_end: bool = False) -> str:
    """The text, cut with an ellipsis where it is too wide."""
    fits = max(1, int(room / (font * 0.58)))
    if len(text) <= fits:
        return text
    return "…" + text[len(text) - fits + 1 :] if keep_end else text[: fits - 1] + "…"


def _text(text: str) -> str:
    """Safe inside elements and attributes; what XML cannot hold becomes a question mark."""
    return escape(_UNPRINTABLE.sub("?", text))


def _frame(placed: Placed) -> str:
    return _rect(placed.x, placed.y, placed.width, placed.height)


def _rect(x: float, y: float, width: float, height: float) -> str:
    return f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'


def _n(number: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")
