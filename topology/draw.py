"""Pictures of the fabric: what is where, and whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from topology.model import Fabric
from topology.picture import NodeUsage, picture
from topology.svg import svg
from topology.text import text

__all__ = ["NodeUsage", "draw_svg", "draw_text"]


def draw_svg(fabric: Fabric, usage: Mapping[str, NodeUsage], *, problems: Sequence[str] = ()) -> str:
    """The fabric as an SVG document: a box per domain, a cell per node, a colour per gang.

    `problems` are sentences on what is odd; the nodes concerned say so in their usage.
    """
    return svg(picture(fabric, usage, problems))


def draw_text(
    fabric: Fabric,
    usage: Mapping[str, NodeUsage],
    *,
    width: int = 100,
    colour: bool = False,
    problems: Sequence[str] = (),
) -> str:
    """The fabric in characters: a line per rack, a letter per gang; `colour` for terminals that have it."""
    return text(picture(fabric, usage, problems), width=width, coloured=colour)
