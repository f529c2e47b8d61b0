"""How answers are printed: tables for people, JSON, YAML or names for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from scheduler.texts import clean, unsteering

__all__ = ["Format", "age", "clean", "columns", "complain", "emit", "remark"]


class Format(StrEnum):
    """Values of -o."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def emit(
    document: dict[str, Any] | list[Any],
    form: Format,
    *,
    table: Callable[[bool], None],
    names: Callable[[], Sequence[str]],
) -> None:
    """Print a document in one form; `table` is told whether it may be wide."""
    match form:
        case Format.JSON:
            print(unsteering(json.dumps(document, indent=2, ensure_ascii=False)))
        case Format.YAML:
            import yaml  # noqa: PLC0415

            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
            if not text.replace("\n", "").isprintable():
                text = yaml.safe_dump(document, sort_keys=False)  # with escapes, equal when read
            print(text, end="")
        case Format.NAME:
            for name in names():
                print(clean(name))
        case _:
            table(form is Format.WIDE)


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]], *, heads: bool = True) -> None:
    """A table as kubectl prints it: capital titles, three spaces between columns, nothing cut off."""
    if not rows:
        return
    cells = [[clean(cell) for cell in row] for row in rows]
    titles = [clean(title) for title in titles]
    widths = [max(len(title), *(len(row[at]) for row in cells)) for at, title in enumerate(titles)]
    for row in [titles, *cells] if heads else cells:
        line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def age(seconds: float) -> str:
    """A duration as kubectl writes it."""
    whole = int(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def complain(message: str) -> None:
    """One line on standard error: what went wrong."""
    print(f"error: {clean(message)}", file=sys.stderr)


def remark(message: str) -> None:
    """One line on standard error that is no error: the command goes on."""
    print(clean(message), file=sys.stderr)
