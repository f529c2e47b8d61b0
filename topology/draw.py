"""Pictures of the fabric: what is where, and whose."""

from __future__ import annotations

from collections.abc import Mapping

from topology.model import Fabric
from topology.picture import NodeUsage, picture
from topology.svg import svg

__all__ = ["NodeUsage", "draw_svg"]


def draw_svg(fabric: Fabric, usage: Mapping[str, NodeUsage]) -> str:
    """The fabric as an SVG document: a box per domain, a cell per node, a colour per gang."""
    return svg(picture(fabric, usage))
