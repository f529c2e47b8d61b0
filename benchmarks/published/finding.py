"""What a comparison with a publication found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure


@dataclass(frozen=True, slots=True)
class Finding:
    """Figures beside their targets, lines of markdown that tell the rest, and a page to look at."""

    figures: tuple[Figure, ...]
    lines: tuple[str, ...]
    page: str

    @property
    def met(self) -> bool:
        """Whether every target is met."""
        return all(figure.met for figure in self.figures)

    def text(self) -> list[str]:
        """All of it as markdown."""
        return [*table(self.figures), "", *self.lines]


def table(figures: Sequence[Figure]) -> list[str]:
    """Figures beside their targets."""
    rows = [figure.row() for figure in figures]
    return [
        "| what | measured | target | met | how |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
