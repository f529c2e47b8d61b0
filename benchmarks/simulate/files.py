"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.simulate.traces.job import invalid


def write(path: Path, text: str | Iterable[str], *, option: str = "--out") -> None:
    """Write a file so that it is there whole or as it was: a temporary file beside it, on the
    disk, takes its name. Text may come in parts. Raises InvalidInput when it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines((text,) if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        wanted = f"a file that can be written ({error.strerror})"
        raise invalid(str(path), option, path, wanted) from error
    finally:
        part.unlink(missing_ok=True)
