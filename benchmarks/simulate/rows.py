"""Rows that wait on the disk, so that a long simulation takes no more memory than a short one."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any
from weakref import finalize

from benchmarks.simulate.traces.job import invalid

IN_MEMORY_BYTES = 4 << 20
"""So much stays in memory; past that all of it goes into a file without a name, gone with the process."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Rows:
    """Rows put in any order, each under its number, and read in the order of their numbers, as often as
    one likes. 12 bytes of memory a row. `folder`: where the file is, the system's for temporary files
    by default."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file = SpooledTemporaryFile(  # noqa: SIM115  (closed with the rows)
            max_size=IN_MEMORY_BYTES, dir=None if folder is None else str(folder)
        )
        finalize(self, self._file.close)
        self._starts = array("q")
        self._lengths = array("i")
        self._size = 0
        self._count = 0
        self._written = True

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Any]]:
        return map(json.loads, self._texts())

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[list[Any]]]]:
        """Another process gets them as a list."""
        return list, (list(self),)

    def add(self, row: Sequence[Any]) -> None:
        """One more row, after all others."""
        self.put(len(self._starts), row)

    def put(self, number: int, row: Sequence[Any]) -> None:
        """The row of a number; raises InvalidInput when the disk is full."""
        text = _encode(row).encode()
        missing = number + 1 - len(self._starts)
        if missing > 0:
            self._starts.extend([-1] * missing)
            self._lengths.extend([0] * missing)
        self._starts[number], self._lengths[number] = self._size, len(text)
        try:
            if not self._written:
                self._file.seek(self._size)
                self._written = True
            self._file.write(text)
        except OSError as error:
            raise self._full(error) from error
        self._size += len(text)
        self._count += 1

    def lines(self) -> Iterator[str]:
        """Every row as JSON."""
        return (text.decode() for text in self._texts())

    def _texts(self) -> Iterator[bytes]:
        self._written = False
        try:
            for start, length in zip(self._starts, self._lengths, strict=True):
                if start >= 0:
                    self._file.seek(start)
                    yield self._file.read(length)
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> Exception:
        wanted = f"a folder with room for the rows of the jobs ({error.strerror})"
        where = str(self._folder or "folder for temporary files")
        return invalid(where, "rows", f"{self._size} bytes", wanted)


class FileRows:
    """The rows of a document that was written before: `count` lines of a file from a place in it on."""

    def __init__(self, path: Path, *, start: int, count: int) -> None:
        self._path, self._start, self._count = path, start, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Any]]:
        return (json.loads(text) for text in self.lines())

    def lines(self) -> Iterator[str]:
        """Every row as JSON."""
        with self._path.open("rb") as file:
            file.seek(self._start)
            for _ in range(self._count):
                yield file.readline().decode().strip().removesuffix(",")
