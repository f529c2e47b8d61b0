"""Colours of gangs: a hand-picked dozen, then hues as far apart as they go, in three lightnesses."""

from __future__ import annotations

import colorsys

_PICKED = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#882255",
    "#b3a100",
    "#332288",
    "#d55e00",
    "#44aa99",
    "#6f4e37",
    "#8c6bd1",
)
"""Told apart with every usual kind of colour blindness: after Okabe and Ito, and Tol's muted set."""
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
