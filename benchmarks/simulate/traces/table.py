"""Rows of a delimited file one after another, each cell read once and every fault named by its place."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.simulate.traces.job import invalid
from scheduler.files import GZIP
from scheduler.model import InvalidInput

LONGEST_LINE = 1 << 20
"""Characters of a line; a job takes a few hundred."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands (`file:line`), its cells by column, and how many more there are."""

    where: str
    cells: Mapping[str, str]
    extra: int = 0

    def check(self) -> None:
        """Raises InvalidInput for a row with more cells than the first line has columns."""
        if self.extra:
            found = len(self.cells) + self.extra
            raise invalid(self.where, "row", f"{found} cells", f"{len(self.cells)}, as the first line has")

    def text(self, column: str) -> str:
        """The cell of a column, "" when it is empty; raises InvalidInput when the row is too short."""
        found = self.cells.get(column)
        if found is None:
            raise invalid(self.where, column, "", "a row with as many cells as the first line has columns")
        return found.strip()

    def number(self, column: str, *, default: float | None = None, least: float = 0.0) -> float:
        """A finite number of at least `least`; the default for an empty cell, where there is one."""
        text = self.text(column)
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise invalid(self.where, column, text, "a number") from None
        if not math.isfinite(value) or value < least:
            raise invalid(self.where, column, text, f"a number of at least {least:g}")
        return value

    def whole(self, column: str, *, default: int | None = None, least: int = 0) -> int:
        """A whole number of at least `least`; `8.0` is 8."""
        value = self.number(column, default=None if default is None else float(default), least=least)
        if value != int(value):
            raise invalid(self.where, column, self.text(column), "a whole number")
        return int(value)


def rows(
    path: Path, *, needs: Sequence[str], optional: Sequence[str] = (), delimiter: str = ","
) -> Iterator[Row]:
    """The rows of a file, also of a gzipped one, streamed.

    `needs`: columns that the first line must have; those of `optional` that it lacks read as
    empty cells. Raises InvalidInput that names file and line, also for a truncated gzip.
    """
    with lines(path) as stream:
        reader = csv.reader(_bounded(stream, path), delimiter=delimiter, strict=True)
        try:
            head = [name.strip() for name in next(reader, [])]
            trailing = len(head) > 1 and not head[-1]  # as `sacct --parsable` ends its lines
            head = head[:-1] if trailing else head
            _check_head(path, head, needs)
            absent = {name: "" for name in optional if name not in head}
            for cells in reader:
                if cells:
                    cells = cells[:-1] if trailing and not cells[-1] else cells  # noqa: PLW2901
                    found = dict(zip(head, cells, strict=False)) | absent
                    yield Row(f"{path}:{reader.line_num}", found, max(len(cells) - len(head), 0))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise unreadable(f"{path}:{reader.line_num + 1}", error) from error


def _bounded(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of a file; raises InvalidInput for one that does not end, before it fills the memory."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            wanted = f"lines of at most {LONGEST_LINE:,} characters"
            raise invalid(f"{path}:{number}", "line", f"{line[:20]}...", wanted)
        yield line


def lines(path: Path) -> io.TextIOWrapper:
    """A text file, unpacked when it is gzip; raises InvalidInput when it cannot be opened."""
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == GZIP
        raw = gzip.open(path, "rb") if packed else path.open("rb")  # noqa: SIM115  (the caller closes it)
    except OSError as error:
        raise invalid(str(path), "file", path, f"a file that can be read ({error.strerror})") from error
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def unreadable(where: str, error: Exception) -> InvalidInput:
    """The error for a file that breaks off or is not what it says."""
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return invalid(where, "file", str(error), "a complete gzip file")
    return invalid(where, "file", str(error), "UTF-8 text that can be read")


def _check_head(path: Path, head: Sequence[str], needs: Sequence[str]) -> None:
    missing = [name for name in needs if name not in head]
    if missing:
        raise invalid(f"{path}:1", "column", ", ".join(missing), f"the columns {', '.join(needs)}")
    twice = sorted({name for name in head if head.count(name) > 1})
    if twice:
        raise invalid(f"{path}:1", "column", twice[0], "every column once")
