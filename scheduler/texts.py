"""Text from the cluster on its way to a terminal, a log, an Event: nothing in it may steer the reader."""

from __future__ import annotations


def clean(text: str) -> str:
    """The text with everything that is not printable as a question mark: control and escape characters,
    line breaks, marks that turn the direction of writing."""
    return "".join(c if c.isprintable() or c == " " else "?" for c in text)


def capped(text: str, most: int) -> str:
    """The text, cut at so many bytes of UTF-8 with a mark that it was."""
    data = text.encode("utf-8", errors="replace")
    if len(data) <= most:
        return data.decode("utf-8")
    return data[: most - 3].decode("utf-8", errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"
