"""Colours of gangs: a hand-picked dozen, then hues as far apart as they go."""

from __future__ import annotations

import colorsys

_PICKED = (
    "#3b76c4",
    "#f08c2e",
    "#8f63c4",
    "#1fa187",
    "#d9487d",
    "#c9a227",
    "#4aa3d8",
    "#a0522d",
    "#5c6bc0",
    "#7a9a01",
    "#c0504d",
    "#00838f",
)
OTHER_PODS = "#9aa5b1"

_GOLDEN = 0.618033988749895


def colour(number: int) -> str:
    """The colour of the gang with this number, as #rrggbb."""
    if number < len(_PICKED):
        return _PICKED[number]
    later = number - len(_PICKED)
    lightness = (0.45, 0.6, 0.36)[later % 3]
    red, green, blue = colorsys.hls_to_rgb(later * _GOLDEN % 1, lightness, 0.55)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def rgb(colour: str) -> tuple[int, int, int]:
    """The three parts of #rrggbb, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
