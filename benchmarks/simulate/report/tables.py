"""Tables that sort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.simulate.report.runs import Run


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and what it sorts by; `best` marks the best of its row or column."""

    shown: str
    value: float | str | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of every run: how it is written, and whether more (1) or less (-1) is better (0: neither)."""

    name: str
    value: Callable[[Run], float | None]
    written: Callable[[float], str]
    better: int = 0
    title: str = ""


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str, tall: bool = False) -> str:
    """A table whose columns sort by their values."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll{" tall" if tall else ""}">'
        f'<table class="sortable" aria-label="{escape(caption)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figures(runs: Sequence[Run], rows: Sequence[Row], *, caption: str) -> str:
    """A row per figure and a column per run; the best of several is marked."""
    found = []
    for row in rows:
        values = [row.value(run) for run in runs]
        known = [value for value in values if value is not None]
        best = None
        if row.better and len(set(known)) > 1:
            best = max(known) if row.better > 0 else min(known)
        cells = [
            Cell("" if value is None else row.written(value), value, best is not None and value == best)
            for value in values
        ]
        found.append([Cell(row.name), *cells])
    return table(["", *(run.name for run in runs)], found, caption=caption)


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{escape(str(cell.value))}"'
    return f"<td{' class=best' if cell.best else ''}{value}>{escape(cell.shown)}</td>"
